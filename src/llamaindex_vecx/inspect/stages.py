"""One question through every stage: dense, BM25, fused, reranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError
from llamaindex_vecx.fusion import pool_size
from llamaindex_vecx.fusion.methods import check_method
from llamaindex_vecx.retrievers.fused import fuse_answers, pass_on
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["Hit", "Run", "Stage", "run_stages"]

_CANDIDATES = ("ef_search", "efSearch")


@dataclass(frozen=True)
class Hit:
    """A passage in one list; the first rank is 1."""

    id: str
    rank: int
    score: float


@dataclass(frozen=True)
class Stage:
    """One list, best first, and the wall-clock seconds that it took.

    Attributes
    ----------
    shown : list of Hit
        The first ``top_k``.
    hits : list of Hit
        All that were found, as deep as they were fused.
    """

    name: str
    shown: list[Hit]
    hits: list[Hit]
    seconds: float


@dataclass(frozen=True)
class Run:
    """What every stage answered to one question.

    Attributes
    ----------
    stages : list of Stage
        Of ``dense``, ``bm25``, ``fused`` and ``reranked`` those that were asked for, in this order.
    nodes : dict of str to BaseNode
        Every passage that a list shows.
    """

    question: str
    stages: list[Stage]
    nodes: dict[str, BaseNode]

    def stage(self, name: str) -> Stage | None:
        """The stage of that name, None where it was not asked."""
        return next((stage for stage in self.stages if stage.name == name), None)

    @property
    def last(self) -> Stage:
        """The list that a query engine would get."""
        return self.stages[-1]

    def ranks(self, node_id: str) -> dict[str, Hit]:
        """Where each list has a passage, also below what it shows."""
        return {stage.name: hit for stage in self.stages for hit in stage.hits if hit.id == node_id}

    def passages(self) -> list[str]:
        """Every id that a list shows: those of the last in its order, then those that it dropped."""
        order = [hit.id for stage in reversed(self.stages) for hit in stage.shown]
        return list(dict.fromkeys(order))


def run_stages(
    store: LocalVectorStore,
    question: str,
    embedding: Sequence[float] | None,
    *,
    top_k: int = 10,
    ef_search: int | None = None,
    method: str = "rrf",
    alpha: float = 0.5,
    filters: MetadataFilters | None = None,
    reranker: BaseNodePostprocessor | None = None,
) -> Run:
    """Ask as :class:`HybridRetriever` asks, and keep what each stage answered.

    Parameters
    ----------
    store : LocalVectorStore
    question : str
    embedding : sequence of float, optional
        Of the question. None leaves out ``dense``, and with it ``fused``.
    top_k : int
        Passages in each list. Pools of ``max(2 * top_k, 50)`` are fused, as everywhere.
    ef_search : int, optional
        Candidates of the graph search; for stores whose index has no such thing it is left out.
    method : str
        Of fusion; one of :data:`llamaindex_vecx.fusion.METHODS`.
    alpha : float
        Weight of the dense side in [0, 1]; BM25 has the rest.
    filters : MetadataFilters, optional
    reranker : BaseNodePostprocessor, optional
        Orders the fused list.

    Raises
    ------
    EmptyQueryError, InvalidInputError, FilterError, DimensionError
    """
    if not question.strip():
        raise EmptyQueryError("the question is empty; write one")
    check_count(top_k, "top_k")
    check_method(method, None)
    if not 0 <= alpha <= 1:
        raise InvalidInputError(f"alpha={alpha!r} must lie in [0, 1]: 1 is dense alone, 0 BM25")
    pool = pool_size(top_k)
    query = VectorStoreQuery(query_str=question, similarity_top_k=pool, filters=filters)
    found: dict[str, list[NodeWithScore]] = {}
    stages: list[Stage] = []

    def note(name: str, hits: list[NodeWithScore], start: float) -> None:
        seconds = perf_counter() - start
        ranked = [
            Hit(hit.node.node_id, rank, float(hit.score or 0.0))
            for rank, hit in enumerate(hits, start=1)
        ]
        stages.append(Stage(name, ranked[:top_k], ranked, seconds))
        found[name] = hits

    if embedding is not None:
        start = perf_counter()
        query.query_embedding = [float(value) for value in embedding]
        note("dense", _ask(store, query, VectorStoreQueryMode.DEFAULT, ef_search), start)
    start = perf_counter()
    note("bm25", _ask(store, query, VectorStoreQueryMode.TEXT_SEARCH, None), start)
    if embedding is not None:
        start = perf_counter()
        note("fused", _fuse(found, method, alpha, pool), start)
    if reranker is not None:
        start = perf_counter()
        candidates = found["fused" if "fused" in found else "bm25"][:top_k]
        copies = [NodeWithScore(node=hit.node, score=hit.score) for hit in candidates]
        bundle = QueryBundle(query_str=question)
        note("reranked", reranker.postprocess_nodes(copies, query_bundle=bundle), start)
    nodes = {hit.node.node_id: hit.node for hits in found.values() for hit in hits}
    listed = {hit.id for stage in stages for hit in stage.shown}
    return Run(question, stages, {id_: node for id_, node in nodes.items() if id_ in listed})


def _ask(
    store: LocalVectorStore,
    query: VectorStoreQuery,
    mode: VectorStoreQueryMode,
    ef_search: int | None,
) -> list[NodeWithScore]:
    query.mode = mode
    candidates = next((name for name in _CANDIDATES if name in store.query_settings), None)
    options = {} if ef_search is None or candidates is None else {candidates: ef_search}
    result = store.query(query, **options)
    pairs = zip(result.nodes or (), result.similarities or (), strict=True)
    return [NodeWithScore(node=node, score=score) for node, score in pairs]


def _fuse(
    found: dict[str, list[NodeWithScore]], method: str, alpha: float, pool: int
) -> list[NodeWithScore]:
    """In the order of ``HybridRetriever.from_store``: on a tie BM25 comes first."""
    weights = {"bm25": 1 - alpha, "dense": alpha}
    counted = {name: found[name] for name, weight in weights.items() if weight > 0}
    if len(counted) == 1:
        ((name, hits),) = counted.items()
        return pass_on(name, hits, None, pool)
    return fuse_answers(
        counted,
        method=method,
        k=None,
        weights=weights,
        group_by=None,
        top_k=pool,
        depths=dict.fromkeys(counted, pool),
    )
