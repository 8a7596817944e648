"""A retriever straight over a vector store, in one query mode."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from llama_index.core import Settings
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.embeddings.utils import EmbedType, resolve_embed_model
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import EmptyQueryError, UnsupportedError
from llamaindex_vecx.retrievers.filtered import both

__all__ = ["StoreRetriever"]

_TEXT_MODES = (VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE)


class StoreRetriever(BaseRetriever):
    """Ask a vector store that keeps its nodes' text.

    ``VectorStoreIndex.as_retriever`` does so too, by way of an index and its docstore; this one needs
    neither, and no embedding model where only text is searched.

    Parameters
    ----------
    store : BasePydanticVectorStore
        With ``stores_text``.
    mode : str
        A :class:`VectorStoreQueryMode`, e.g. ``"default"`` or ``"text_search"``.
    embed_model : embedding model, optional
        As LlamaIndex resolves it; None is ``Settings.embed_model``. Not used in text modes.
    similarity_top_k : int
    filters : MetadataFilters, optional
    doc_ids : sequence of str, optional
        Only nodes of these documents.
    query_options : mapping, optional
        Further fields of :class:`VectorStoreQuery`, e.g. ``alpha``.
    store_options : mapping, optional
        Keyword arguments for the store's ``query``, e.g. ``ef_search``.

    Raises
    ------
    UnsupportedError
        The store keeps no text.
    InvalidInputError
    """

    def __init__(
        self,
        store: BasePydanticVectorStore,
        mode: str | VectorStoreQueryMode = VectorStoreQueryMode.DEFAULT,
        *,
        embed_model: EmbedType | None = None,
        similarity_top_k: int = 10,
        filters: MetadataFilters | None = None,
        doc_ids: Sequence[str] | None = None,
        query_options: Mapping[str, Any] | None = None,
        store_options: Mapping[str, Any] | None = None,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
    ) -> None:
        if not store.stores_text:
            raise UnsupportedError(
                f"{type(store).__name__} keeps no text, so it can't return nodes; "
                "use VectorStoreIndex(...).as_retriever() as the source"
            )
        check_count(similarity_top_k, "similarity_top_k")
        self.mode: VectorStoreQueryMode = VectorStoreQueryMode(mode)
        self._store = store
        self._store_options = dict(store_options or {})
        self._template = VectorStoreQuery(
            similarity_top_k=similarity_top_k,
            filters=filters,
            doc_ids=None if doc_ids is None else list(doc_ids),
            mode=self.mode,
            **dict(query_options or {}),
        )
        if self._needs_embedding():
            self._embed_model = (
                Settings.embed_model if embed_model is None else resolve_embed_model(embed_model)
            )
        super().__init__(callback_manager=callback_manager, verbose=verbose)

    @property
    def similarity_top_k(self) -> int:
        """How many nodes come back."""
        return self._template.similarity_top_k

    @similarity_top_k.setter
    def similarity_top_k(self, value: int) -> None:
        check_count(value, "similarity_top_k")
        self._template = replace(self._template, similarity_top_k=value)

    def with_filters(self, filters: MetadataFilters) -> StoreRetriever:
        """A copy that returns only nodes that match, beside what it is restricted to already."""
        restricted = copy.copy(self)
        merged = both(self._template.filters, filters)
        restricted._template = replace(self._template, filters=merged)
        return restricted

    def _needs_embedding(self) -> bool:
        return self._store.is_embedding_query and self.mode not in _TEXT_MODES

    def _check(self, bundle: QueryBundle) -> None:
        if not self._needs_embedding():
            asked = bool(bundle.query_str.strip())
        else:
            asked = bundle.embedding is not None or any(map(str.strip, bundle.embedding_strs))
        if not asked:
            raise EmptyQueryError("the query text is empty; ask something, or give an embedding")

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self._check(query_bundle)
        embedding = query_bundle.embedding
        if self._needs_embedding() and embedding is None:
            embedding = self._embed_model.get_agg_embedding_from_queries(
                query_bundle.embedding_strs
            )
        return _scored(
            self._store.query(self._query(query_bundle, embedding), **self._store_options)
        )

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        self._check(query_bundle)
        embedding = query_bundle.embedding
        if self._needs_embedding() and embedding is None:
            embedding = await self._embed_model.aget_agg_embedding_from_queries(
                query_bundle.embedding_strs
            )
        query = self._query(query_bundle, embedding)
        return _scored(await self._store.aquery(query, **self._store_options))

    def _query(self, bundle: QueryBundle, embedding: list[float] | None) -> VectorStoreQuery:
        return replace(self._template, query_str=bundle.query_str, query_embedding=embedding)


def _scored(result: VectorStoreQueryResult) -> list[NodeWithScore]:
    nodes = result.nodes or []
    if not nodes and result.ids:
        raise UnsupportedError("the store returned ids without nodes")
    similarities: Sequence[float | None] = result.similarities or [None] * len(nodes)
    return [
        NodeWithScore(node=node, score=None if score is None else float(score))
        for node, score in zip(nodes, similarities, strict=True)
    ]
