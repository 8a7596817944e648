"""How much a reranker is worth beside the stage before it, learned on labelled queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from llamaindex_vecx.fusion import FittedFusion
from llamaindex_vecx.postprocessors.ranking import AFTER, BEFORE
from llamaindex_vecx.retrievers.fitting import fit_sources
from llamaindex_vecx.retrievers.grouped import depth_of

__all__ = ["fit_mix"]


class _Reranked(BaseRetriever):
    """A retriever whose answers a reranker puts in order."""

    def __init__(self, retriever: BaseRetriever, reranker: BaseNodePostprocessor) -> None:
        self._retriever = retriever
        self._reranker = reranker
        self.similarity_top_k = depth_of(retriever)
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._retriever.retrieve(query_bundle)
        return self._reranker.postprocess_nodes(found, query_bundle=query_bundle)


def fit_mix(
    reranker: BaseNodePostprocessor,
    retriever: BaseRetriever,
    queries: Mapping[str, str] | Sequence[str],
    qrels: Mapping[str, Any] | Sequence[Any],
    *,
    group_by: str | None,
    show_progress: bool,
    **choice: Any,
) -> FittedFusion:
    """Weights of a stage and of a reranker after it; the stage alone must be beaten.

    Parameters
    ----------
    reranker : BaseNodePostprocessor
        Returns every node with a score.
    retriever, queries, qrels, group_by, show_progress
        As for :meth:`~llamaindex_vecx.CrossEncoderRerank.fit`.
    **choice
        Of :func:`~llamaindex_vecx.fusion.fit_fusion`.

    Raises
    ------
    InvalidInputError, SourceError
    """
    return fit_sources(
        {BEFORE: retriever, AFTER: _Reranked(retriever, reranker)},
        queries,
        qrels,
        group_by=group_by,
        show_progress=show_progress,
        baseline=BEFORE,
        **choice,
    )
