"""The Vectors API: indexes made with a dimension and a metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from llamaindex_vecx.errors import MissingIndexError
from llamaindex_vecx.stores.pinecone.api import Ask, HalfStoredError, Positions
from llamaindex_vecx.stores.pinecone.filters import EVERYTHING, Where
from llamaindex_vecx.stores.pinecone.limits import MAX_FETCH
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import Found, Record
from llamaindex_vecx.stores.pinecone.remote import Retry, retried
from llamaindex_vecx.stores.pinecone.scores import similarity_of
from llamaindex_vecx.stores.pinecone.sdk import IndexInfo

__all__ = ["VectorsAPI"]


@dataclass
class VectorsAPI:
    """One namespace of a vectors index; see :class:`~.api.DataAPI`."""

    info: IndexInfo
    namespace: str
    retry: Retry
    positions: Positions = field(default_factory=Positions)

    async def _call(
        self, port: Port, operation: Callable[[Any], Any], *, write: bool = False
    ) -> Any:
        response = await retried(port, operation, self.retry, write=write)
        self.positions.note(response)
        return response

    async def upsert(self, port: Port, records: Sequence[Record]) -> None:
        """Store all of these, in one request."""
        vectors = [_vector(record) for record in records]
        response = await self._call(
            port,
            lambda index: index.upsert(vectors=vectors, namespace=self.namespace),
            write=True,
        )
        if response.upserted_count < len(records):
            raise HalfStoredError(
                f"Pinecone stored {response.upserted_count} of {len(records)} vectors and does not "
                "say which"
            )

    async def search(
        self, port: Port, ask: Ask, top_k: int, where: Where, *, fields: bool, values: bool
    ) -> list[Found]:
        """The best, best first; scores higher is better."""
        by: dict[str, Any] = {}
        if ask.dense is not None:
            by["vector"] = ask.dense
        if ask.sparse is not None:
            by["sparse_vector"] = dict(zip(("indices", "values"), ask.sparse, strict=True))
            if self.info.dense is not None and self.info.dim is not None:
                by["vector"] = [0.0] * self.info.dim  # a dense index is never asked without one
        response = await self._call(
            port,
            lambda index: index.query(
                top_k=top_k,
                namespace=self.namespace,
                filter=where or None,
                include_metadata=fields,
                include_values=values,
                **by,
            ),
        )
        metric = "ip" if ask.dense is None else self.info.metric
        found = [_found(match, similarity_of(metric, match.score)) for match in response.matches]
        if ask.dense is None:
            found = [one for one in found if one.score > 0.0]
        return found

    async def fetch(self, port: Port, ids: Sequence[str]) -> list[Found]:
        """Those that are there, whole, in any order."""
        response = await self._call(
            port, lambda index: index.fetch(ids=list(ids), namespace=self.namespace)
        )
        return [_found(vector) for vector in response.vectors.values()]

    async def page(
        self, port: Port, where: Where, token: str | None
    ) -> tuple[list[Found], str | None]:
        """Some of the records that match, whole, and the token of the next page."""
        response = await self._call(
            port,
            lambda index: index.fetch_by_metadata(
                filter=where or EVERYTHING,
                namespace=self.namespace,
                limit=MAX_FETCH,
                pagination_token=token,
            ),
        )
        found = [_found(vector) for vector in response.vectors.values()]
        return found, response.pagination.next if response.pagination else None

    async def ids(self, port: Port, token: str | None) -> tuple[list[str], str | None]:
        """Some ids of the namespace, and the token of the next page."""
        response = await self._call(
            port,
            lambda index: index.list_paginated(namespace=self.namespace, pagination_token=token),
        )
        ids = [str(item.id) for item in response.vectors]
        return ids, response.pagination.next if response.pagination else None

    async def delete(self, port: Port, ids: Sequence[str]) -> None:
        """Delete records; those that aren't there are ignored."""
        await self._delete(port, ids=list(ids))

    async def delete_where(self, port: Port, where: Where) -> None:
        """Delete all that match."""
        await self._delete(port, filter=where)

    async def delete_all(self, port: Port) -> None:
        """Empty the namespace."""
        await self._delete(port, delete_all=True)

    async def _delete(self, port: Port, **what: Any) -> None:
        try:
            await self._call(
                port, lambda index: index.delete(namespace=self.namespace, **what), write=True
            )
        except MissingIndexError:
            # The same 404 for a namespace that has no record yet, where nothing is to be deleted.
            await self._call(port, lambda index: index.describe_index_stats())


def _vector(record: Record) -> dict[str, Any]:
    vector: dict[str, Any] = {"id": record.id, "metadata": record.fields}
    if record.values is not None:
        vector["values"] = record.values.tolist()
    if record.sparse is not None:
        vector["sparse_values"] = dict(zip(("indices", "values"), record.sparse, strict=True))
    return vector


def _found(vector: Any, score: float = 0.0) -> Found:
    sparse = vector.sparse_values
    return Found(
        id=vector.id,
        score=score,
        fields=None if vector.metadata is None else dict(vector.metadata),
        values=list(vector.values) if vector.values else None,
        sparse=None if sparse is None else (list(sparse.indices), list(sparse.values)),
    )
