"""What a store does with its namespace: each method once, as a coroutine over a port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import MetadataFilters, VectorStoreQuery

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.stores.pinecone.api import DataAPI
from llamaindex_vecx.stores.pinecone.filters import NOTHING, Where, both, pushed_down
from llamaindex_vecx.stores.pinecone.fresh import Journal
from llamaindex_vecx.stores.pinecone.limits import vector_id_of
from llamaindex_vecx.stores.pinecone.making import Maker, unfilterable
from llamaindex_vecx.stores.pinecone.modes import MODES, Search
from llamaindex_vecx.stores.pinecone.outside import Outside
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.progress import progress
from llamaindex_vecx.stores.pinecone.records import OUTSIDE, Found
from llamaindex_vecx.stores.pinecone.search import Reader, Restriction
from llamaindex_vecx.stores.pinecone.writing import upsert_all

__all__ = ["Work"]

_DELETED_AT_ONCE = 1_000
_DOCUMENT = "doc_id"


@dataclass(frozen=True)
class Work:
    """One namespace of one index, and how it is to be treated.

    Attributes
    ----------
    outside : Outside
        Keeps the texts that are too long for Pinecone.
    text_key : str
        Where another writer's records have their text.
    batch_size, max_concurrency : int
        Nodes a request, and requests at a time.
    """

    api: DataAPI
    maker: Maker
    journal: Journal
    outside: Outside
    text_key: str
    batch_size: int
    max_concurrency: int

    def reader(self, port: Port) -> Reader:
        """Reads the namespace over a port."""

        async def nodes(port: Port, found: list[Found]) -> None:
            await self.outside.fill(port, found, text_key=self.text_key)

        return Reader(port, self.api, nodes, self.max_concurrency)

    # ---------------------------------------------------------------- writing

    async def add(self, port: Port, nodes: Sequence[BaseNode], show_progress: bool) -> list[str]:
        """Store all nodes; see the store's ``add``."""
        records, kept_outside = self.maker.records(nodes)
        if not records:
            return []
        await self.outside.keep(port, kept_outside)
        self.journal.written(record.id for record in records)
        with progress("Upserting", len(records), show_progress) as advance:
            await upsert_all(
                port,
                self.api,
                records,
                batch_size=self.batch_size,
                max_concurrency=self.max_concurrency,
                advance=advance,
            )
        return [record.node_id for record in records]

    async def delete_document(self, port: Port, ref_doc_id: str) -> None:
        """Delete a document's nodes, and none of a document whose id begins alike."""
        where = {_DOCUMENT: {"$eq": ref_doc_id}}
        if self.outside.docstore is not None:
            found = await self.reader(port).scan(where)
            await self.outside.drop(port, [_node_id(one) for one in found])
        await self.api.delete_where(port, where)
        self.journal.gone(where)

    async def delete_nodes(
        self, port: Port, node_ids: list[str] | None, filters: MetadataFilters | None
    ) -> int:
        """Delete nodes; how many, as far as is known."""
        if filters is None:
            assert node_ids is not None
            vector_ids = await self.vector_ids(port, node_ids)
            gone = node_ids
        else:
            among = await self.restriction(port, node_ids, filters)
            found = await self.reader(port).matching(among)
            vector_ids = [one.id for one in found]
            gone = [_node_id(one) for one in found]
        for start in range(0, len(vector_ids), _DELETED_AT_ONCE):
            await self.api.delete(port, vector_ids[start : start + _DELETED_AT_ONCE])
        self.journal.deleted(vector_ids)
        await self.outside.drop(port, gone)
        return len(vector_ids)

    async def clear(self, port: Port) -> None:
        """Empty the namespace."""
        if self.outside.docstore is not None:
            found = await self.reader(port).scan({OUTSIDE: {"$eq": True}})
            await self.outside.drop(port, [_node_id(one) for one in found])
        await self.api.delete_all(port)
        self.journal.gone({})

    # ---------------------------------------------------------------- reading

    async def get_nodes(
        self, port: Port, node_ids: list[str] | None, filters: MetadataFilters | None
    ) -> list[BaseNode]:
        """Nodes with their embeddings."""
        among = await self.restriction(port, node_ids, filters)
        found = await self.reader(port).matching(among)
        return [one.node for one in found if one.node is not None]

    async def query(
        self, port: Port, query: VectorStoreQuery, params: Mapping[str, Any]
    ) -> tuple[list[BaseNode], list[float]]:
        """Nodes and their scores, best first."""
        with_embedding = query.output_fields is not None and "embedding" in query.output_fields
        search = Search(
            reader=self.reader(port),
            info=self.api.info,
            encoder=self.maker.encoder,
            normalize=self.maker.normalize,
            query=query,
            among=await self.restriction(
                port, query.node_ids or None, query.filters, query.doc_ids
            ),
            with_values=with_embedding,
        )
        found = await MODES[search.mode](search, params)
        nodes = [one.node for one in found if one.node is not None]
        if not with_embedding:
            for node in nodes:
                node.embedding = None
        return nodes, [float(one.score) for one in found if one.node is not None]

    async def restriction(
        self,
        port: Port,
        node_ids: list[str] | None,
        filters: MetadataFilters | None,
        doc_ids: list[str] | None = None,
    ) -> Restriction:
        """Which records a request is about; ``None`` leaves a part out."""
        parts: list[Where] = [pushed_down(filters, unfilterable(self.api.info))]
        if doc_ids is not None:
            parts.append({_DOCUMENT: {"$in": list(doc_ids)}} if doc_ids else NOTHING)
        return Restriction(
            where=both(*parts),
            filters=None if filters is None or not filters.filters else filters,
            vector_ids=None if node_ids is None else await self.vector_ids(port, node_ids),
            doc_ids=None if doc_ids is None else frozenset(doc_ids),
        )

    async def vector_ids(self, port: Port, node_ids: Sequence[str]) -> list[str]:
        """Ids of records; ids that no record can have are left out."""
        if self.maker.document_ids:
            return await self._ids_with_document(port, node_ids)
        found = []
        for node_id in dict.fromkeys(node_ids):
            try:
                found.append(vector_id_of(node_id))
            except InvalidInputError:
                continue
        return found

    async def _ids_with_document(self, port: Port, node_ids: Sequence[str]) -> list[str]:
        """LlamaIndex's own store puts the document before the node: every id has to be looked at."""
        places = {node_id: place for place, node_id in enumerate(dict.fromkeys(node_ids))}
        found: list[tuple[int, str]] = []
        token: str | None = None
        while places:
            page, token = await self.api.ids(port, token)
            for vector_id in page:
                ends = (vector_id[at + 1 :] for at, char in enumerate(vector_id) if char == "#")
                for node_id in (vector_id, *ends):
                    if node_id in places:
                        found.append((places[node_id], vector_id))
                        break
            if not token:
                break
        return [vector_id for _, vector_id in sorted(found)]

    async def wait(self, port: Port, seconds: float) -> None:
        """Until reads show the last writes."""
        await self.journal.wait(port, self.api, seconds)


def _node_id(found: Found) -> str:
    return found.id if found.node is None else found.node.node_id
