"""The Documents API: indexes made with a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llamaindex_vecx.errors import MissingIndexError
from llamaindex_vecx.stores.pinecone.api import Ask, HalfStoredError, Positions
from llamaindex_vecx.stores.pinecone.filters import EVERYTHING, Where
from llamaindex_vecx.stores.pinecone.limits import MAX_FETCH
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import (
    CONTENT,
    NORM,
    OUTSIDE,
    TYPE,
    Found,
    Record,
)
from llamaindex_vecx.stores.pinecone.remote import Retry, retried
from llamaindex_vecx.stores.pinecone.scores import similarity_of
from llamaindex_vecx.stores.pinecone.sdk import IndexInfo, documents_of

__all__ = ["DENSE_FIELD", "SPARSE_FIELD", "TEXT_FIELD", "DocumentsAPI", "schema_for"]

DENSE_FIELD, SPARSE_FIELD, TEXT_FIELD = "embedding", "terms", "text"
_OWN = ("_id", "_score")
_NODE = (CONTENT, TYPE, NORM, OUTSIDE)


def schema_for(dimension: int, metric: str, *, sparse: bool) -> dict[str, Any]:
    """The schema of an index for nodes: their embedding, their text, and its terms if wanted."""
    fields: dict[str, Any] = {
        DENSE_FIELD: {"type": "dense_vector", "dimension": dimension, "metric": metric},
        TEXT_FIELD: {"type": "string", "full_text_search": {}},
    }
    if sparse:
        fields[SPARSE_FIELD] = {"type": "sparse_vector"}
    return {"fields": fields}


@dataclass
class DocumentsAPI:
    """One namespace of a documents index; see :class:`~.api.DataAPI`."""

    info: IndexInfo
    namespace: str
    retry: Retry
    positions: Positions = field(default_factory=Positions)

    async def _call(
        self, port: Port, operation: Callable[[Any], Any], *, write: bool = False
    ) -> Any:
        """``operation`` is called with the Documents API and the namespace."""
        response = await retried(
            port, lambda index: operation(documents_of(index)), self.retry, write=write
        )
        self.positions.note(response)
        return response

    async def upsert(self, port: Port, records: Sequence[Record]) -> None:
        """Store all of these, in one request."""
        documents = [self._document(record) for record in records]
        response = await self._call(
            port,
            lambda api: api.upsert(namespace=self.namespace, documents=documents),
            write=True,
        )
        if response.upserted_count < len(records):
            raise HalfStoredError(
                f"Pinecone stored {response.upserted_count} of {len(records)} documents and does "
                "not say which"
            )

    def _document(self, record: Record) -> dict[str, Any]:
        document = {"_id": record.id, **record.fields}
        if record.values is not None and self.info.dense is not None:
            document[self.info.dense] = record.values.tolist()
        if record.sparse is not None and self.info.sparse is not None:
            document[self.info.sparse] = dict(
                zip(("indices", "values"), record.sparse, strict=True)
            )
        if record.text and self.info.texts:
            document[self.info.texts[0]] = record.text
        return document

    async def search(
        self, port: Port, ask: Ask, top_k: int, where: Where, *, fields: bool, values: bool
    ) -> list[Found]:
        """The best, best first; scores higher is better."""
        response = await self._call(
            port,
            lambda api: api.search(
                namespace=self.namespace,
                score_by=[self._score_by(ask)],
                top_k=top_k,
                include_fields=["*"] if values else list(_NODE) if fields else [],
                filter=where or None,
            ),
        )
        metric = "ip" if ask.dense is None else self.info.metric
        found = []
        for match in response.to_dict().get("matches", []):
            # another writer's document is read whole, in a request of its own
            one = self._found(match, fields=values or CONTENT in match)
            one.score = similarity_of(metric, float(match["_score"]))
            found.append(one)
        return found if ask.dense is not None else [one for one in found if one.score > 0.0]

    def _score_by(self, ask: Ask) -> dict[str, Any]:
        if ask.dense is not None:
            return {"type": "dense_vector", "field": self.info.dense, "values": ask.dense}
        if ask.sparse is not None:
            weights = dict(zip(("indices", "values"), ask.sparse, strict=True))
            return {"type": "sparse_vector", "field": self.info.sparse, "sparse_values": weights}
        return {"type": "text", "fields": list(self.info.texts), "query": ask.text}

    async def fetch(self, port: Port, ids: Sequence[str]) -> list[Found]:
        """Those that are there, whole, in any order."""
        response = await self._call(
            port, lambda api: api.fetch(namespace=self.namespace, ids=list(ids))
        )
        return [self._found(one) for one in _values(response.to_dict().get("documents"))]

    async def page(
        self, port: Port, where: Where, token: str | None
    ) -> tuple[list[Found], str | None]:
        """Some of the records that match, whole, and the token of the next page."""
        response = await self._call(
            port,
            lambda api: api.fetch(
                namespace=self.namespace,
                filter=where or EVERYTHING,
                limit=MAX_FETCH,
                pagination_token=token,
            ),
        )
        body = response.to_dict()
        found = [self._found(one) for one in _values(body.get("documents"))]
        return found, (body.get("pagination") or {}).get("next")

    async def ids(self, port: Port, token: str | None) -> tuple[list[str], str | None]:
        """Some ids of the namespace, and the token of the next page."""
        found, after = await self.page(port, EVERYTHING, token)
        return [one.id for one in found], after

    async def delete(self, port: Port, ids: Sequence[str]) -> None:
        """Delete documents; those that aren't there are ignored."""
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
                port, lambda api: api.delete(namespace=self.namespace, **what), write=True
            )
        except MissingIndexError:
            # The same 404 for a namespace that has no record yet, where nothing is to be deleted.
            await self.page(port, EVERYTHING, None)

    def _found(self, document: Mapping[str, Any], *, fields: bool = True) -> Found:
        sparse = document.get(self.info.sparse) if self.info.sparse else None
        own = {name for name in (self.info.dense, self.info.sparse) if name}
        if CONTENT in document:
            own.update(self.info.texts)  # the content has the text; a foreign document only here
        rest = {key: value for key, value in document.items() if key not in {*own, *_OWN}}
        return Found(
            id=str(document["_id"]),
            fields=rest if fields else None,
            values=document.get(self.info.dense) if self.info.dense else None,
            sparse=None if sparse is None else (sparse["indices"], sparse["values"]),
        )


def _values(documents: Any) -> list[dict[str, Any]]:
    return list(documents.values()) if isinstance(documents, Mapping) else list(documents or [])
