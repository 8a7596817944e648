"""Several retrievers as one: asked at the same time, fused by a method of choice."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.embeddings.utils import EmbedType
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import BasePydanticVectorStore, MetadataFilters

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError, ReadOnlyError, SourceError
from llamaindex_vecx.fusion import FittedFusion
from llamaindex_vecx.fusion.methods import check_method
from llamaindex_vecx.fusion.saved import Notes, load_fusion, save_fusion
from llamaindex_vecx.fusion.weights import check_weights
from llamaindex_vecx.groups import check_group_by
from llamaindex_vecx.observe.events import stage
from llamaindex_vecx.retrievers.filtered import with_filters
from llamaindex_vecx.retrievers.fitting import Labels, Queries, fit_sources
from llamaindex_vecx.retrievers.fused import fuse_answers, pass_on
from llamaindex_vecx.retrievers.gather import Answer, Asked, agather, gather, without_failures
from llamaindex_vecx.retrievers.grouped import depth_of
from llamaindex_vecx.retrievers.over_store import store_sources
from llamaindex_vecx.retrievers.sources import aprepare, name_sources, prepare, weigh_sources
from llamaindex_vecx.retrievers.variants import QueryVariants

__all__ = ["HybridRetriever"]


class HybridRetriever(BaseRetriever):
    """Fusion of any LlamaIndex retrievers.

    Each result is a :class:`FusedNode`: its ``sources`` say at which rank and with which score each source
    found it. Nodes are told apart by their id; what sources return is not altered. With RRF a ``score`` is
    ``Σ weight / (k + rank)`` divided by the largest possible value, so it lies in (0, 1], and 1 is a node
    that every source has first; for the other methods see :func:`llamaindex_vecx.fusion.fuse`. Where only
    one source counts, its order and scores are passed on.

    Parameters
    ----------
    sources : mapping of name to retriever, or sequence of retrievers
        In a sequence they are named by their class. Their results count as ordered best first, and a tie
        in the fused score goes to the source given first: give the most trusted first.
    similarity_top_k : int
        How many nodes come back.
    method : str, optional
        One of :data:`llamaindex_vecx.fusion.METHODS`; None is ``"rrf"``.
    k : float, optional
        Of RRF; the larger, the less first ranks stand out. None is 60.
    weights : mapping by name, or sequence, optional
        How much each source counts; None is the same for all. A source of weight 0 is not asked.
    group_by : str, optional
        ``"ref_doc_id"`` or a metadata key: ``similarity_top_k`` groups come back, each by its best node,
        and sources are fused by group. A source whose ``similarity_top_k`` can be set brings so many
        groups, and is asked deeper where its nodes hold fewer.
    filters : MetadataFilters, optional
        For every source, beside its own.
    query_variants : MultiQuery, HyDE or another QueryVariants, optional
        Queries that an LLM writes, asked beside the question or in its place.
    on_error : {"raise", "warn"}
        What to do when a source (or the LLM that writes variants) fails: raise SourceError, or go on
        without it and warn. When all sources fail, SourceError is raised in either case.

    Notes
    -----
    A query is embedded once for all sources that share an embedding model.

    Raises
    ------
    UnsupportedError
        A source can't be given ``filters``.
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
        method: str | None = None,
        k: float | None = None,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        group_by: str | None = None,
        filters: MetadataFilters | None = None,
        query_variants: QueryVariants | None = None,
        on_error: Literal["raise", "warn"] = "raise",
        callback_manager: CallbackManager | None = None,
        object_map: dict[str, Any] | None = None,
        objects: list[IndexNode] | None = None,
        verbose: bool = False,
    ) -> None:
        check_count(similarity_top_k, "similarity_top_k")
        if on_error not in ("raise", "warn"):
            raise InvalidInputError(f"on_error={on_error!r} must be 'raise' or 'warn'")
        if group_by is not None:
            check_group_by(group_by)
        if query_variants is not None and not isinstance(query_variants, QueryVariants):
            raise InvalidInputError(
                f"query_variants must be MultiQuery(...), HyDE(...) or the like, not {query_variants!r}"
            )
        self.similarity_top_k = similarity_top_k
        self.group_by = group_by
        self.query_variants = query_variants
        self.on_error = on_error
        self.sources: dict[str, BaseRetriever] = name_sources(sources)
        if filters is not None:
            self.sources = _filtered(self.sources, filters)
        self.use(method, k, weights)
        self._notes: Notes | None = None
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
        native: bool = False,
        **options: Any,
    ) -> HybridRetriever:
        """Keyword and dense search over one store, as the sources ``bm25`` and ``dense``.

        A fusion that was fitted and saved with the store's collection is taken up, unless ``method``,
        ``k`` or ``weights`` are given.

        Parameters
        ----------
        store : BasePydanticVectorStore
            With the modes ``default`` and ``text_search``; with ``native``, with the mode ``hybrid``.
        embed_model : embedding model, optional
            None is ``Settings.embed_model``.
        dense_top_k, sparse_top_k : int, optional
            How many of each source are fused; None is ``max(2 * similarity_top_k, 50)``.
        filters, doc_ids
            For both sources.
        native : bool
            Ask the store's own mode ``hybrid``, in one call, as the only source ``hybrid``. Results don't
            say where they were found, and the store fuses: our stores by the saved fusion, or RRF.
        **options
            Of :class:`HybridRetriever`, e.g. ``weights``.
        """
        check_count(similarity_top_k, "similarity_top_k")
        sources = store_sources(
            store,
            embed_model,
            similarity_top_k=similarity_top_k,
            dense_top_k=dense_top_k,
            sparse_top_k=sparse_top_k,
            filters=filters,
            doc_ids=doc_ids,
            native=native,
            group_by=options.get("group_by"),
        )
        hybrid = cls(sources, similarity_top_k=similarity_top_k, **options)
        notes = getattr(store, "client", None)
        if isinstance(notes, Notes) and not native:
            hybrid._notes = notes
            chosen = any(options.get(name) is not None for name in ("method", "k", "weights"))
            fitted = None if chosen else load_fusion(notes, hybrid.group_by)
            if fitted is not None:
                hybrid.use(**fitted.settings)
        return hybrid

    def __repr__(self) -> str:
        weights = ", ".join(f"{name} {weight:g}" for name, weight in self.weights.items())
        k = "" if self.k is None else f", k={self.k:g}"
        grouped = "" if self.group_by is None else f", group_by={self.group_by!r}"
        return (
            f"HybridRetriever({weights}; method={self.method!r}{k}, "
            f"similarity_top_k={self.similarity_top_k}{grouped})"
        )

    def use(
        self,
        method: str | None = None,
        k: float | None = None,
        weights: Mapping[str, float] | Sequence[float] | None = None,
    ) -> None:
        """Fuse in another way from now on; arguments as for the constructor.

        Raises
        ------
        InvalidInputError
            Nothing was changed.
        """
        method = "rrf" if method is None else method
        checked_k = check_method(method, k)
        weighed = weigh_sources(list(self.sources), weights)
        check_weights(list(weighed.values()), len(weighed))
        self.method = method
        self.k: float | None = checked_k if method == "rrf" else None
        self.weights = weighed

    def with_filters(self, filters: MetadataFilters) -> HybridRetriever:
        """A copy whose sources return only nodes that match, beside what they are restricted to already.

        Raises
        ------
        UnsupportedError
            A source can't be given filters.
        """
        restricted = copy.copy(self)
        restricted.sources = _filtered(self.sources, filters)
        return restricted

    def fit(
        self,
        queries: Queries,
        qrels: Labels,
        *,
        measure: str = "ndcg@10",
        methods: Sequence[str] | None = None,
        folds: int = 5,
        seed: int = 0,
        save: bool | None = None,
        show_progress: bool = False,
    ) -> FittedFusion:
        """Choose method, weights and k on labelled queries, and fuse so from now on.

        The choice is measured on queries that it was not made on, beside plain RRF and beside each source
        alone; where it is no better there than plain RRF, plain RRF is kept. See
        :func:`~llamaindex_vecx.fusion.fit_fusion`.

        Parameters
        ----------
        queries : mapping of id to question, or sequence of questions
        qrels : mapping or sequence, as ``queries``
            For each query the ids of relevant nodes (with ``group_by``: the values of relevant groups),
            or their grades by id. Queries that it does not judge are left out.
        measure : str
            What is to be raised, e.g. ``"ndcg@10"``, ``"mrr@10"``, ``"recall@5"``.
        methods : sequence of str, optional
            What to choose among; None is every method.
        folds, seed : int
            How queries are held out.
        save : bool, optional
            Keep the choice with the collection, where :meth:`from_store` and the store's own mode
            ``hybrid`` take it up. None: if there is a collection that can be written.
        show_progress : bool

        Returns
        -------
        FittedFusion
            Print it for a summary.

        Raises
        ------
        InvalidInputError
            Too few queries, or labels that fit nothing; nothing was changed.
        SourceError
            A source failed; nothing was changed.
        """
        notes = self._notes
        if save and notes is None:
            raise InvalidInputError(
                "save=True needs a retriever made by from_store over one of our stores; keep "
                "fit(...).settings yourself, and give them to HybridRetriever(**settings)"
            )
        if save is None:
            save = notes is not None and not getattr(notes, "read_only", False)
        if save and getattr(notes, "read_only", False):
            raise ReadOnlyError("the store was opened with read_only=True; give save=False")
        with stage("fit", self, measure=measure, folds=folds, seed=seed) as done:
            fitted = fit_sources(
                self.sources,
                queries,
                qrels,
                group_by=self.group_by,
                show_progress=show_progress,
                measure=measure,
                methods=methods,
                folds=folds,
                seed=seed,
            )
            done(queries=len(queries))
        if save and notes is not None:
            save_fusion(notes, fitted, self.group_by)
        self.use(**fitted.settings)
        return fitted

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        _check_text(query_bundle)
        bundles = [query_bundle]
        if self.query_variants is not None:
            try:
                bundles = self.query_variants.expand(query_bundle)
            except Exception as error:
                self._without_variants(error)
        counted = self._counted()
        questions = self._questions(counted, [prepare(counted, bundle) for bundle in bundles])
        return self._fuse(questions, gather(questions))

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        _check_text(query_bundle)
        bundles = [query_bundle]
        if self.query_variants is not None:
            try:
                bundles = await self.query_variants.aexpand(query_bundle)
            except Exception as error:
                self._without_variants(error)
        counted = self._counted()
        questions = self._questions(
            counted, [await aprepare(counted, bundle) for bundle in bundles]
        )
        return self._fuse(questions, await agather(questions))

    def _counted(self) -> dict[str, BaseRetriever]:
        return {name: source for name, source in self.sources.items() if self.weights[name] > 0}

    def _without_variants(self, error: Exception) -> None:
        message = f"query variants failed: {type(error).__name__}: {error}"
        if self.on_error == "raise":
            raise SourceError("query_variants", message) from error
        warnings.warn(f"{message}. The question alone was asked", RuntimeWarning, stacklevel=2)

    def _questions(
        self,
        counted: Mapping[str, BaseRetriever],
        prepared: Sequence[Mapping[str, QueryBundle]],
    ) -> dict[str, Asked]:
        """A variant's run has its source's name and a number from 2."""
        return {
            f"{name} #{number}" if number > 1 else name: Asked(
                source, bundles[name], self.group_by, self.weights[name]
            )
            for number, bundles in enumerate(prepared, start=1)
            for name, source in counted.items()
        }

    def _fuse(
        self, questions: Mapping[str, Asked], answers: Mapping[str, Answer]
    ) -> list[NodeWithScore]:
        found = without_failures(questions, answers, self.on_error)
        weights = {name: questions[name].weight for name in found}
        with stage(
            "fuse",
            self,
            method=self.method,
            k=self.k,
            weights=weights,
            similarity_top_k=self.similarity_top_k,
        ) as done:
            if len(questions) == 1:
                ((name, answer),) = found.items()
                fused = pass_on(name, answer, self.group_by, self.similarity_top_k)
            else:
                fused = fuse_answers(
                    found,
                    method=self.method,
                    k=self.k,
                    weights=weights,
                    group_by=self.group_by,
                    top_k=self.similarity_top_k,
                    depths={name: depth_of(questions[name].source) for name in found},
                )
            done(
                ids=[node.node_id for node in fused],
                scores=[node.get_score() for node in fused],
                nodes=len(fused),
                **{f"from_{name}": len(nodes) for name, nodes in found.items()},
            )
        return fused


def _filtered(
    sources: Mapping[str, BaseRetriever], filters: MetadataFilters
) -> dict[str, BaseRetriever]:
    return {name: with_filters(name, source, filters) for name, source in sources.items()}


def _check_text(bundle: QueryBundle) -> None:
    if not bundle.query_str.strip():
        raise EmptyQueryError("the query text is empty; ask something")
