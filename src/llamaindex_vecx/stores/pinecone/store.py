"""``PineconeVectorStore``: LlamaIndex's whole store interface over one namespace of a Pinecone index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llamaindex_vecx.errors import InvalidInputError, UnsupportedError
from llamaindex_vecx.fusion import pool_size
from llamaindex_vecx.observe import stage
from llamaindex_vecx.stores.arguments import asked, check_counts, refuse_unknown
from llamaindex_vecx.stores.pinecone.limits import MAX_TOP_K
from llamaindex_vecx.stores.pinecone.opened import OpenedPinecone
from llamaindex_vecx.stores.pinecone.port import Port, run

__all__ = ["PineconeVectorStore"]


class PineconeVectorStore(OpenedPinecone):
    """Vector store over one namespace of a serverless Pinecone index, of either data API.

    Parameters
    ----------
    index_name : str, optional
        An index that is there; :meth:`create_if_missing` makes one.
    pinecone_index : pinecone.Index, optional
        Instead of the name.
    namespace : str, optional
        The tenant. Default Pinecone's default namespace.
    api_key : str, optional
        Default ``PINECONE_API_KEY``. Never shown, logged or pickled.
    host : str, optional
        Of the control plane, e.g. ``"http://127.0.0.1:5080"`` for ``vecx pinecone-local``. Default
        Pinecone's.
    sparse_encoder : BM25SparseEncoder or path, optional
        Fitted; makes modes sparse, text_search and hybrid possible where the index holds sparse vectors.
    docstore : BaseDocumentStore or path, optional
        Keeps texts that are over Pinecone's 40 KB of metadata; deleted nodes are deleted there.
    text_key : str
        Metadata key of the text in records that other software wrote.
    document_ids : bool, optional
        Whether record ids are ``document#node``, as LlamaIndex's own store writes them. Default: as
        found.
    batch_size : int
        Nodes a request, at most 1,000. Default 100.
    max_concurrency : int
        Requests at a time. Default 8.
    timeout : float
        Seconds of one request. Default 30.
    retry_seconds : float
        How long a request that fails is made again. Default 180.
    show_progress : bool
        A bar while adding.
    reranker : BaseNodePostprocessor, optional
        Orders the nodes of mode ``semantic_hybrid``.

    Raises
    ------
    MissingIndexError, AccessDeniedError, RemoteError, UnsupportedError, InvalidInputError, \
MissingExtraError

    Examples
    --------
    >>> store = PineconeVectorStore.create_if_missing("kb", dimension=384, namespace="tenant-1")
    >>> index = VectorStoreIndex.from_vector_store(store, embed_model=embed_model)
    """

    # ---------------------------------------------------------------- writing

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, or replace those whose id is there already.

        All are checked before the first is sent. They go in batches, several at a time.

        Parameters
        ----------
        nodes : sequence of BaseNode
            Each with an embedding; ids distinct.
        **kwargs
            ``show_progress`` for this call.

        Returns
        -------
        list of str
            Node ids in the order given. When this returns, Pinecone has acknowledged every one.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError, DuplicateIdError, MissingEmbeddingError, \
SerializationError
            Nothing was sent; the node is named.
        PartialWriteError
            Some were not stored after all retries; ``.failed`` names these, ``.stored`` the others.
        AccessDeniedError, RemoteError
            Nothing was stored.
        """
        return run(self._add(self._connection.sync_port(), nodes, kwargs))

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """:meth:`add` on the event loop. Cancelled, it raises when the batches under way have ended."""
        return await self._add(self._connection.async_port(), nodes, kwargs)

    async def _add(
        self, port: Port, nodes: Sequence[BaseNode], options: dict[str, Any]
    ) -> list[str]:
        refuse_unknown("add", options, ("show_progress",))
        with stage("add", self) as done:
            shown = bool(options.get("show_progress", self.show_progress))
            ids = await self._work.add(port, nodes, shown)
            done(ids=ids, nodes=len(ids))
        return ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete every node of the document ``ref_doc_id`` and of no other; none is no error."""
        run(self._delete(self._connection.sync_port(), ref_doc_id, delete_kwargs))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """:meth:`delete` on the event loop."""
        await self._delete(self._connection.async_port(), ref_doc_id, delete_kwargs)

    async def _delete(self, port: Port, ref_doc_id: str, options: dict[str, Any]) -> None:
        refuse_unknown("delete", options, ())
        if not isinstance(ref_doc_id, str):
            raise InvalidInputError(
                f"ref_doc_id must be a str, not {type(ref_doc_id).__name__}: {ref_doc_id!r}"
            )
        with stage("delete", self, ref_doc_id=ref_doc_id):
            await self._work.delete_document(port, ref_doc_id)

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete the nodes with these ids, or that match the filters, or both where both are given.

        ``node_ids=[]`` deletes nothing. With filters, the nodes that match are found first.

        Raises
        ------
        InvalidInputError
            Neither ids nor a filter: that would delete everything; call :meth:`clear` to do so.
        """
        run(self._delete_nodes(self._connection.sync_port(), node_ids, filters, delete_kwargs))

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """:meth:`delete_nodes` on the event loop."""
        await self._delete_nodes(self._connection.async_port(), node_ids, filters, delete_kwargs)

    async def _delete_nodes(
        self,
        port: Port,
        node_ids: list[str] | None,
        filters: MetadataFilters | None,
        options: dict[str, Any],
    ) -> None:
        refuse_unknown("delete_nodes", options, ())
        given = None if filters is None or not filters.filters else filters
        if node_ids is None and given is None:
            raise InvalidInputError(
                "delete_nodes() needs node_ids or filters; call clear() to delete every node"
            )
        with stage("delete", self) as done:
            done(nodes=await self._work.delete_nodes(port, node_ids, given))

    def clear(self) -> None:
        """Delete every node of the namespace. The index stays, and other namespaces."""
        run(self._clear(self._connection.sync_port()))

    async def aclear(self) -> None:
        """:meth:`clear` on the event loop."""
        await self._clear(self._connection.async_port())

    async def _clear(self, port: Port) -> None:
        with stage("clear", self):
            await self._work.clear(port)

    # ---------------------------------------------------------------- reading

    def get_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """The nodes with these ids (in the order asked), that match the filters; all by default.

        Nodes carry their embeddings. Unknown ids are left out. Without ids, every record that Pinecone
        lets through is read, and the order is that of the ids.
        """
        return run(self._get_nodes(self._connection.sync_port(), node_ids, filters))

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """:meth:`get_nodes` on the event loop."""
        return await self._get_nodes(self._connection.async_port(), node_ids, filters)

    async def _get_nodes(
        self, port: Port, node_ids: list[str] | None, filters: MetadataFilters | None
    ) -> list[BaseNode]:
        with stage("get", self) as done:
            nodes = await self._work.get_nodes(port, node_ids, filters)
            done(nodes=len(nodes))
        return nodes

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The best nodes for a query, best first; ``docs/pinecone.md`` says what each mode needs.

        Parameters
        ----------
        query : VectorStoreQuery
            ``filters``, ``node_ids`` and ``doc_ids`` intersect; ``node_ids=[]`` means unrestricted,
            ``doc_ids=[]`` nothing. Nodes come without embeddings unless ``output_fields`` names
            ``"embedding"``.
        **kwargs
            In mode mmr ``mmr_threshold`` and ``mmr_prefetch_k``.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError, MissingEmbeddingError, EmptyQueryError, \
FilterError
            The query is wrong; nothing was sent.
        UnsupportedError
            The index, or the store as it was opened, can't answer that mode.
        AccessDeniedError, RemoteError
        """
        return run(self._query(self._connection.sync_port(), query, kwargs))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """:meth:`query` on the event loop."""
        return await self._query(self._connection.async_port(), query, kwargs)

    async def _query(
        self, port: Port, query: VectorStoreQuery, options: dict[str, Any]
    ) -> VectorStoreQueryResult:
        mode = VectorStoreQueryMode(query.mode)
        known = ("mmr_threshold", "mmr_prefetch_k") if mode is VectorStoreQueryMode.MMR else ()
        refuse_unknown("query", options, known)
        check_counts(query, most=MAX_TOP_K)
        with stage("query", self, **asked(query), **options) as done:
            if mode is VectorStoreQueryMode.SEMANTIC_HYBRID:
                nodes, scores = await self._reranked(port, query, options)
            else:
                nodes, scores = await self._work.query(port, query, options)
            ids = [node.node_id for node in nodes]
            done(ids=ids, scores=scores, nodes=len(ids))
        return VectorStoreQueryResult(nodes=nodes, similarities=scores, ids=ids)

    async def _reranked(
        self, port: Port, query: VectorStoreQuery, options: dict[str, Any]
    ) -> tuple[list[BaseNode], list[float]]:
        reranker = self.reranker
        if reranker is None:
            raise UnsupportedError(
                "mode 'semantic_hybrid' needs a reranker; give the store one "
                "(reranker=…, any node postprocessor), or use mode 'hybrid'"
            )
        top_k = query.hybrid_top_k or query.similarity_top_k
        wide = VectorStoreQuery(**{**vars(query), "hybrid_top_k": None})
        wide.similarity_top_k = min(pool_size(top_k), MAX_TOP_K)
        nodes, scores = await self._work.query(port, wide, options)
        hits = [
            NodeWithScore(node=node, score=score) for node, score in zip(nodes, scores, strict=True)
        ]
        question = QueryBundle(query_str=query.query_str or "")
        ranked = await port.either(
            lambda: reranker.postprocess_nodes(hits, query_bundle=question),
            lambda: reranker.apostprocess_nodes(hits, query_bundle=question),
        )
        return [hit.node for hit in ranked[:top_k]], [hit.get_score() for hit in ranked[:top_k]]

    # ---------------------------------------------------------------- freshness

    def wait_until_fresh(self, timeout: float = 60.0) -> None:
        """Return when reads show what this store wrote and deleted last.

        Pinecone is eventually consistent: an acknowledged write is safe at once and seen a little later.
        The service's log positions are compared where it tells them, and the last hundred changes
        looked up.

        Raises
        ------
        RemoteError
            They don't after ``timeout`` seconds.
        """
        run(self._work.wait(self._connection.sync_port(), timeout))

    async def await_until_fresh(self, timeout: float = 60.0) -> None:
        """:meth:`wait_until_fresh` on the event loop."""
        await self._work.wait(self._connection.async_port(), timeout)
