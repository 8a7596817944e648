"""The Vectors API: upsert, query, fetch, update, delete, list, statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyroaring import BitMap

from llamaindex_vecx.pinecone_local.api.call import Answer, Call
from llamaindex_vecx.pinecone_local.api.pages import place, read_limit, row_place, token
from llamaindex_vecx.pinecone_local.api.vector import (
    check_not_zero,
    read_item,
    read_query,
    read_vectors,
    write_vector,
)
from llamaindex_vecx.pinecone_local.body import (
    take,
    take_bool,
    take_count,
    take_dict,
    take_list,
    take_strings,
    take_text,
)
from llamaindex_vecx.pinecone_local.data.filters import Filter, read_filter
from llamaindex_vecx.pinecone_local.data.index import Index
from llamaindex_vecx.pinecone_local.data.item import Item
from llamaindex_vecx.pinecone_local.data.namespace import Hits, Namespace
from llamaindex_vecx.pinecone_local.data.querying import search, vectors_of
from llamaindex_vecx.pinecone_local.data.values import (
    MAX_BATCH,
    MAX_TOP_K,
    check_id,
    check_metadata,
    check_namespace,
    check_request_size,
)
from llamaindex_vecx.pinecone_local.data.writes import page_of, remove
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = [
    "delete",
    "fetch",
    "fetch_by_metadata",
    "list_ids",
    "query",
    "stats",
    "update",
    "upsert",
]

_READ_UNITS = 1


def upsert(call: Call) -> Answer:
    """``POST /vectors/upsert``."""
    index = _vectors_index(call)
    body = call.body
    name = _namespace(body)
    given = take_list(body, "vectors")
    if not given:
        raise invalid("vectors must be a non-empty array")
    if len(given) > MAX_BATCH:
        raise invalid(f"The batch size {len(given)} exceeds the maximum of {MAX_BATCH}")
    items = [read_item(vector, index.shape) for vector in given]
    check_request_size([(item.dense, item.sparse, item.fields) for item in items])
    lsn = index.write(lambda: index.make(name).put(items))
    return Answer({"upsertedCount": len(items)}, lsn=lsn)


def query(call: Call) -> Answer:
    """``POST /query``: by a dense vector, a sparse one, both, or a stored record's."""
    index = _vectors_index(call)
    body = call.body
    name = _namespace(body)
    if take(body, "queries"):
        raise invalid("'queries' is no longer supported; use 'vector' or 'id'")
    k = take_count(body, "topK", 1, MAX_TOP_K)
    node = read_filter(take_dict(body, "filter"))
    with_values, with_metadata = (
        take_bool(body, "includeValues"),
        take_bool(body, "includeMetadata"),
    )
    asked, id_ = read_query(body, index.shape)
    namespace = index.namespace(name)
    matches: list[dict[str, Any]] = []
    if namespace is not None:
        allowed = None if node is None else namespace.select(node)
        hits = search(namespace, asked if id_ is None else vectors_of(namespace, id_), k, allowed)
        matches = _matches(namespace, hits, values=with_values, metadata=with_metadata)
    return Answer({"matches": matches, "namespace": name, "usage": {"readUnits": _READ_UNITS}})


def fetch(call: Call) -> Answer:
    """``GET /vectors/fetch?ids=…``."""
    index = _vectors_index(call)
    ids = [check_id(id_) for id_ in call.query.get("ids", [])]
    if not ids:
        raise invalid("ids must name at least one vector")
    if len(ids) > MAX_BATCH:
        raise invalid(f"at most {MAX_BATCH} ids can be fetched at a time, got {len(ids)}")
    name = check_namespace(call.argument("namespace") or "")
    namespace = index.namespace(name)
    found = {} if namespace is None else _by_id(namespace, namespace.rows(ids))
    return Answer({"vectors": found, "namespace": name, "usage": {"readUnits": _READ_UNITS}})


def fetch_by_metadata(call: Call) -> Answer:
    """``POST /vectors/fetch_by_metadata``: a page of the records that match a filter."""
    index = _vectors_index(call)
    body = call.body
    name = _namespace(body)
    node = read_filter(take_dict(body, "filter"))
    if node is None:
        raise invalid("filter must be a non-empty object")
    limit = take_count(body, "limit", 1, 10_000, 100)
    after = row_place(take_text(body, "paginationToken"))
    namespace = index.namespace(name)
    answer: dict[str, Any] = {"vectors": {}, "namespace": name}
    if namespace is not None:
        matching = namespace.select(node)
        rows = page_of(matching, after, limit)
        answer["vectors"] = _by_id(namespace, rows)
        if rows and rows.max() < matching.max():
            answer["pagination"] = {"next": token(str(rows.max()))}
    answer["usage"] = {"readUnits": _READ_UNITS}
    return Answer(answer)


def update(call: Call) -> Answer:
    """``POST /vectors/update``: one record by its id, or the metadata of all that match a filter."""
    index = _vectors_index(call)
    body = call.body
    name = _namespace(body)
    id_ = take_text(body, "id")
    node = read_filter(take_dict(body, "filter"))
    changes = take_dict(body, "setMetadata")
    if changes is not None:
        check_metadata(changes, id_ or "*")
    if (id_ is None) == (node is None):
        raise invalid("update takes either an 'id' or a 'filter'")
    if id_ is not None:
        return _update_one(index, name, check_id(id_), body, changes or {})
    if take(body, "values") is not None or take(body, "sparseValues") is not None:
        raise invalid("an update by filter changes metadata only")
    if not changes and not take_bool(body, "dryRun"):
        raise invalid("an update by filter needs 'setMetadata'")
    namespace = index.namespace(name)
    rows = BitMap() if namespace is None else namespace.select(node)
    if namespace is None or take_bool(body, "dryRun"):
        return Answer({"matchedRecords": len(rows)})
    for _, item in namespace.items(rows, vectors=False):
        check_metadata({**item.fields, **(changes or {})}, item.id)
    lsn = index.write(lambda: _merge(index, name, node, changes or {}))
    return Answer({"matchedRecords": len(rows)}, lsn=lsn)


def delete(call: Call) -> Answer:
    """``POST /vectors/delete``: by ids, by filter, or all of a namespace."""
    index = _vectors_index(call)
    body = call.body
    name = _namespace(body)
    ids = take_strings(body, "ids")
    node = read_filter(take_dict(body, "filter"))
    everything = take_bool(body, "deleteAll")
    if (bool(ids), node is not None, everything).count(True) != 1:
        raise invalid("delete takes exactly one of 'ids', 'filter' and 'deleteAll'")
    if ids and len(ids) > MAX_BATCH:
        raise invalid(f"at most {MAX_BATCH} ids can be deleted at a time, got {len(ids)}")
    for id_ in ids or []:
        check_id(id_)
    index.need(name)
    lsn = index.write(lambda: remove(index, name, ids, node))
    return Answer({}, lsn=lsn)


def list_ids(call: Call) -> Answer:
    """``GET /vectors/list``: a page of ids, in order."""
    index = _vectors_index(call)
    prefix = call.argument("prefix") or ""
    limit = read_limit(call.argument("limit"), 100, 100)
    name = check_namespace(call.argument("namespace") or "")
    after = place(call.argument("paginationToken"))
    namespace = index.namespace(name)
    ids = [] if namespace is None else namespace.ids(prefix, after, limit + 1)
    answer: dict[str, Any] = {
        "vectors": [{"id": id_} for id_ in ids[:limit]],
        "namespace": name,
        "usage": {"readUnits": _READ_UNITS},
    }
    if len(ids) > limit:
        answer["pagination"] = {"next": token(ids[limit - 1])}
    return Answer(answer)


def stats(call: Call) -> Answer:
    """``POST /describe_index_stats``."""
    if take_dict(call.body, "filter"):
        raise invalid(
            "Serverless and Starter indexes do not support describing index stats with metadata filtering"
        )
    index = call.index
    sizes = index.sizes()
    answer: dict[str, Any] = {
        "namespaces": {name: {"vectorCount": size} for name, size in sizes.items()},
        "indexFullness": 0.0,
        "totalVectorCount": sum(sizes.values()),
        "metric": index.shape.metric,
        "vectorType": index.shape.vector_type,
    }
    if index.shape.dimension is not None:
        answer["dimension"] = index.shape.dimension
    return Answer(answer)


# -- inside ----------------------------------------------------------------------------------------


def _vectors_index(call: Call) -> Index:
    if call.index.shape.kind == "documents":
        raise invalid(
            f"Index '{call.index.name}' is a document index: use the Documents API "
            "(/namespaces/{namespace}/documents/…) instead of the Vectors API"
        )
    return call.index


def _namespace(body: Mapping[str, Any]) -> str:
    return check_namespace(take_text(body, "namespace", "") or "")


def _matches(
    namespace: Namespace, hits: Hits, *, values: bool, metadata: bool
) -> list[dict[str, Any]]:
    scores = dict(hits)
    return [
        {"score": scores[row], **write_vector(item, values=values, metadata=metadata)}
        for row, item in namespace.items(list(scores), vectors=values)
    ]


def _by_id(namespace: Namespace, rows: BitMap) -> dict[str, Any]:
    return {
        item.id: write_vector(item, values=True, metadata=True)
        for _, item in namespace.items(rows, vectors=True)
    }


def _update_one(
    index: Index, name: str, id_: str, body: Mapping[str, Any], changes: Mapping[str, Any]
) -> Answer:
    dense, sparse = read_vectors(body, index.shape)
    check_not_zero(dense, id_)
    if dense is None and sparse is None and not changes:
        raise invalid("update needs at least one of 'values', 'sparseValues' and 'setMetadata'")

    def changed(item: Item) -> Item:
        return Item(
            id_,
            item.dense if dense is None else dense,
            item.sparse if sparse is None else sparse,
            {**item.fields, **changes},
        )

    namespace = index.namespace(name)
    if namespace is not None:
        for _, item in namespace.items(namespace.rows([id_]), vectors=False):
            check_metadata(changed(item).fields, id_)

    def apply() -> None:
        held = index.namespace(name)
        if held is not None:
            held.change(held.rows([id_]), changed)

    return Answer({}, lsn=index.write(apply))


def _merge(index: Index, name: str, node: Filter | None, changes: Mapping[str, Any]) -> None:
    namespace = index.namespace(name)
    if namespace is not None:
        namespace.change(
            namespace.select(node),
            lambda item: Item(item.id, item.dense, item.sparse, {**item.fields, **changes}),
        )
