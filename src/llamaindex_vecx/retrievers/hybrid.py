"""Several retrievers as one: asked at the same time, fused by rank."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.embeddings.utils import EmbedType
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQueryMode,
)

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError, SourceError
from llamaindex_vecx.fusion import pool_size, reciprocal_rank_fusion
from llamaindex_vecx.observe.events import stage
from llamaindex_vecx.retrievers.gather import Answer, agather, gather
from llamaindex_vecx.retrievers.nodes import FusedNode, SourceHit
from llamaindex_vecx.retrievers.sources import aprepare, name_sources, prepare, weigh_sources
from llamaindex_vecx.retrievers.store import StoreRetriever

__all__ = ["HybridRetriever"]


class HybridRetriever(BaseRetriever):
    """Reciprocal Rank Fusion of any LlamaIndex retrievers.

    Each result is a :class:`FusedNode`: its ``sources`` say at which rank and with which score each source
    found it. Its ``score`` is ``Σ weight / (k + rank)`` divided by the largest possible value, so it lies in
    (0, 1], and 1 is a node that every source has first. Nodes are told apart by their id; what sources
    return is not altered.

    Parameters
    ----------
    sources : mapping of name to retriever, or sequence of retrievers
        In a sequence they are named by their class. Their results count as ordered best first, and a tie
        in the fused score goes to the source given first: give the most trusted first.
    similarity_top_k : int
        How many nodes come back.
    k : float
        Of the fusion; the larger, the less first ranks stand out.
    weights : mapping by name, or sequence, optional
        How much each source counts; None is the same for all.
    on_error : {"raise", "skip"}
        What to do when a source fails: raise SourceError, or fuse the others' results and warn. When all
        fail, SourceError is raised in either case.

    Notes
    -----
    A query is embedded once for all sources that share an embedding model.

    Raises
    ------
    EmptyQueryError
        From ``retrieve``: the query has no text.
    SourceError
        From ``retrieve``: a source failed; its exception is the cause.
    """

    def __init__(
        self,
        sources: Mapping[str, BaseRetriever] | Sequence[BaseRetriever],
        *,
        similarity_top_k: int = 10,
        k: float = 60,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        check_count(similarity_top_k, "similarity_top_k")
        if on_error not in ("raise", "skip"):
            raise InvalidInputError(f"on_error={on_error!r} must be 'raise' or 'skip'")
        self.similarity_top_k = similarity_top_k
        self.k = k
        self.on_error = on_error
        self.sources = name_sources(sources)
        self.weights = weigh_sources(list(self.sources), weights)
        # Refuse bad k and weights here, not at the first query.
        reciprocal_rank_fusion([()] * len(self.weights), k=k, weights=list(self.weights.values()))
        super().__init__(
            callback_manager=callback_manager,
            object_map=object_map,
            objects=objects,
            verbose=verbose,
        )

    @classmethod
    def from_store(
        cls,
        store: BasePydanticVectorStore,
        embed_model: EmbedType | None = None,
        *,
        similarity_top_k: int = 10,
        dense_top_k: int | None = None,
        sparse_top_k: int | None = None,
        filters: MetadataFilters | None = None,
        doc_ids: Sequence[str] | None = None,
        **options: Any,
    ) -> HybridRetriever:
        """Keyword and dense search over one store, as the sources ``bm25`` and ``dense``.

        Parameters
        ----------
        store : BasePydanticVectorStore
            With the modes ``default`` and ``text_search``.
        embed_model : embedding model, optional
            None is ``Settings.embed_model``.
        dense_top_k, sparse_top_k : int, optional
            How many of each source are fused; None is ``max(2 * similarity_top_k, 50)``.
        filters, doc_ids
            For both sources.
        **options
            Of :class:`HybridRetriever`, e.g. ``weights``.
        """
        check_count(similarity_top_k, "similarity_top_k")
        pool = pool_size(similarity_top_k)
        dense = StoreRetriever(
            store,
            VectorStoreQueryMode.DEFAULT,
            embed_model=embed_model,
            similarity_top_k=pool if dense_top_k is None else dense_top_k,
            filters=filters,
            doc_ids=doc_ids,
        )
        bm25 = StoreRetriever(
            store,
            VectorStoreQueryMode.TEXT_SEARCH,
            similarity_top_k=pool if sparse_top_k is None else sparse_top_k,
            filters=filters,
            doc_ids=doc_ids,
        )
        # Ties are many in RRF and go to the first source. Keywords first finds more: nDCG@10 0.716 against
        # 0.707 on SciFact's train claims, MRR@10 0.952 against 0.930 on KorQuAD (benchmarks/quality.py).
        return cls({"bm25": bm25, "dense": dense}, similarity_top_k=similarity_top_k, **options)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        _check_text(query_bundle)
        return self._fuse(gather(self.sources, prepare(self.sources, query_bundle)))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        _check_text(query_bundle)
        return self._fuse(await agather(self.sources, await aprepare(self.sources, query_bundle)))

    def _fuse(self, answers: Mapping[str, Answer]) -> list[NodeWithScore]:
        found = self._without_failures(answers)
        weights = {name: self.weights[name] for name in found}
        with stage(
            "fuse",
            self,
            method="rrf",
            k=self.k,
            weights=weights,
            similarity_top_k=self.similarity_top_k,
        ) as done:
            fused = self._rank(found, weights)
            done(
                ids=[node.node_id for node in fused],
                scores=[node.get_score() for node in fused],
                nodes=len(fused),
                **{f"from_{name}": len(nodes) for name, nodes in found.items()},
            )
        return fused

    def _rank(
        self, found: Mapping[str, Sequence[NodeWithScore]], weights: Mapping[str, float]
    ) -> list[NodeWithScore]:
        places = {name: _places(answer) for name, answer in found.items()}
        fused = reciprocal_rank_fusion(
            [list(ranking) for ranking in places.values()],
            k=self.k,
            weights=list(weights.values()),
            normalize=True,
        )
        results: list[NodeWithScore] = []
        for node_id, score in fused[: self.similarity_top_k]:
            hits = {
                name: ranking[node_id] for name, ranking in places.items() if node_id in ranking
            }
            node = next(iter(hits.values()))[1].node
            sources = {
                name: SourceHit(rank=rank, score=None if hit.score is None else float(hit.score))
                for name, (rank, hit) in hits.items()
            }
            results.append(FusedNode(node=node, score=score, sources=sources))
        return results

    def _without_failures(self, answers: Mapping[str, Answer]) -> dict[str, list[NodeWithScore]]:
        found: dict[str, list[NodeWithScore]] = {}
        failed: dict[str, Exception] = {}
        for name, answer in answers.items():
            if isinstance(answer, Exception):
                failed[name] = answer
            else:
                found[name] = answer
        counted = any(self.weights[name] > 0 for name in found)
        for name, error in failed.items():
            message = f"source {name!r} failed: {type(error).__name__}: {error}"
            if self.on_error == "raise" or not counted:
                raise SourceError(name, message) from error
            warnings.warn(f"{message}. It was left out of this query", RuntimeWarning, stacklevel=2)
        return found


def _places(answer: Sequence[NodeWithScore]) -> dict[str, tuple[int, NodeWithScore]]:
    """Rank from 1 and hit by node id, best first; an id that comes twice counts where it comes first."""
    first: dict[str, NodeWithScore] = {}
    for hit in answer:
        first.setdefault(hit.node_id, hit)
    return {node_id: (rank, hit) for rank, (node_id, hit) in enumerate(first.items(), start=1)}


def _check_text(bundle: QueryBundle) -> None:
    if not bundle.query_str.strip():
        raise EmptyQueryError("the query text is empty; ask something")
