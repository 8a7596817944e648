"""The whole pipeline in one line: hybrid retrieval, a reranker if there is one, an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.llms import LLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.retrievers.hybrid import HybridRetriever

__all__ = ["hybrid_query_engine"]


class KeepTop(BaseNodePostprocessor):
    """The first ``top_n`` nodes."""

    top_n: int

    @classmethod
    def class_name(cls) -> str:
        """The name that LlamaIndex's serialised components carry."""
        return "KeepTop"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return nodes[: self.top_n]


def hybrid_query_engine(
    index: VectorStoreIndex,
    *,
    similarity_top_k: int = 10,
    rerank_top_n: int | None = None,
    reranker: BaseNodePostprocessor | str | None = None,
    node_postprocessors: Sequence[BaseNodePostprocessor] = (),
    llm: LLM | None = None,
    response_mode: str = "compact",
    streaming: bool = False,
    **retrieval: Any,
) -> RetrieverQueryEngine:
    """A query engine of ordinary LlamaIndex parts over an index whose store has the hybrid's modes.

    Parameters
    ----------
    index : VectorStoreIndex
        Its store and its embedding model are used.
    similarity_top_k : int
        How many nodes are retrieved.
    rerank_top_n : int, optional
        How many of them the reranker leaves.
    reranker : BaseNodePostprocessor or str, optional
        Any that orders nodes, or the name or folder of a cross-encoder for
        :class:`~llamaindex_vecx.CrossEncoderRerank`. None is the store's own ``reranker``, where it has one,
        and else, with ``rerank_top_n``, the default model of ``CrossEncoderRerank``.
    node_postprocessors : sequence of BaseNodePostprocessor
        After the reranker, in order.
    llm : LLM, optional
        None is ``Settings.llm``.
    response_mode, streaming
        As in ``RetrieverQueryEngine.from_args``.
    **retrieval
        Of :meth:`HybridRetriever.from_store`: ``filters``, ``group_by``, ``method``, ``query_variants``, …

    Raises
    ------
    InvalidInputError
        The reranker's name stands for no cross-encoder.
    MissingExtraError
        The extra ``rerank`` is not installed and a cross-encoder is asked for.
    UnsupportedError
        The index's store keeps no text.

    Examples
    --------
    >>> engine = hybrid_query_engine(index, similarity_top_k=50, rerank_top_n=5, reranker=reranker)
    >>> engine.query("error E1042 on startup")
    """
    if not isinstance(index, VectorStoreIndex):
        raise InvalidInputError(f"index must be a VectorStoreIndex, not {type(index).__name__}")
    if rerank_top_n is not None:
        check_count(rerank_top_n, "rerank_top_n")
    if reranker is None:
        reranker = getattr(index.vector_store, "reranker", None)
    if isinstance(reranker, str) or (reranker is None and rerank_top_n is not None):
        reranker = _cross_encoder(reranker, rerank_top_n or similarity_top_k)
    after = list(node_postprocessors)
    if rerank_top_n is not None and reranker is not None:
        if "top_n" in type(reranker).model_fields:
            reranker = reranker.model_copy(update={"top_n": rerank_top_n})
        after.insert(0, KeepTop(top_n=rerank_top_n))
    if reranker is not None:
        after.insert(0, reranker)
    retriever = HybridRetriever.from_store(
        index.vector_store, index._embed_model, similarity_top_k=similarity_top_k, **retrieval
    )
    return RetrieverQueryEngine.from_args(
        retriever,
        llm=llm,
        node_postprocessors=after,
        response_mode=response_mode,  # type: ignore[arg-type]
        streaming=streaming,
    )


def _cross_encoder(model: str | None, top_n: int) -> BaseNodePostprocessor:
    from llamaindex_vecx.postprocessors.cross_encoder import DEFAULT_MODEL, CrossEncoderRerank

    return CrossEncoderRerank(model=DEFAULT_MODEL if model is None else model, top_n=top_n)
