"""The Documents API of 2026-07: upsert, search, fetch, update, delete, list."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from llamaindex_vecx.pinecone_local.api.call import Answer, Call
from llamaindex_vecx.pinecone_local.api.document import Documents
from llamaindex_vecx.pinecone_local.api.pages import place, row_place, token
from llamaindex_vecx.pinecone_local.api.scoring import read_scoring
from llamaindex_vecx.pinecone_local.body import (
    take_bool,
    take_count,
    take_dict,
    take_list,
    take_strings,
    take_text,
)
from llamaindex_vecx.pinecone_local.data.filters import Filter, read_filter
from llamaindex_vecx.pinecone_local.data.index import Index
from llamaindex_vecx.pinecone_local.data.values import (
    MAX_BATCH,
    MAX_TOP_K,
    check_id,
    check_namespace,
    check_request_size,
)
from llamaindex_vecx.pinecone_local.data.writes import page_of, remove
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["delete", "fetch", "list_ids", "search", "update", "upsert"]


def upsert(call: Call) -> Answer:
    """``POST /namespaces/{namespace}/documents/upsert``."""
    index, name = _target(call)
    given = _batch(call.body)
    documents = Documents(index.shape, call.models)
    items, tokens = documents.read(given)
    check_request_size([(item.dense, item.sparse, item.fields) for item in items])
    lsn = index.write(lambda: index.make(name).put(items))
    answer: dict[str, Any] = {"upserted_count": len(items)}
    if index.shape.embedded:
        answer["usage"] = {"embed_total_tokens": tokens}
    return Answer(answer, lsn=lsn)


def search(call: Call) -> Answer:
    """``POST /namespaces/{namespace}/documents/search``."""
    index, name = _target(call)
    body = call.body
    k = take_count(body, "top_k", 1, MAX_TOP_K)
    scoring = read_scoring(take_list(body, "score_by"), index.shape, call.models)
    node = _filter(body, index)
    documents = Documents(index.shape, call.models)
    wanted = documents.fields(take_strings(body, "include_fields") or [])
    namespace = index.namespace(name)
    matches: list[dict[str, Any]] = []
    if namespace is not None:
        allowed = None if node is None else namespace.select(node)
        scores = dict(scoring.hits(namespace, k, allowed))
        vectors = documents.needs_vectors(wanted)
        matches = [
            {**documents.write(item, wanted), "_score": scores[row]}
            for row, item in namespace.items(list(scores), vectors=vectors)
        ]
    usage: dict[str, Any] = {"read_units": 1}
    if scoring.tokens is not None:
        usage["embed_total_tokens"] = scoring.tokens
    return Answer({"matches": matches, "namespace": _written(name), "usage": usage})


def fetch(call: Call) -> Answer:
    """``POST /namespaces/{namespace}/documents/fetch``: by ids, or a page by a filter."""
    index, name = _target(call)
    body = call.body
    ids = _ids(body)
    node = _filter(body, index)
    if bool(ids) == (node is not None):
        raise invalid("fetch takes exactly one of 'ids' and 'filter'")
    after_token = take_text(body, "pagination_token")
    if after_token and node is None:
        raise invalid("pagination_token goes with 'filter' only")
    limit = take_count(body, "limit", 1, 10_000, 100)
    documents = Documents(index.shape, call.models)
    wanted = documents.fields(take_strings(body, "include_fields") or ["*"])
    after = row_place(after_token)
    namespace = index.namespace(name)
    answer: dict[str, Any] = {"documents": {}, "namespace": _written(name)}
    if namespace is not None:
        if node is None:
            rows = namespace.rows(ids or [])
        else:
            matching = namespace.select(node)
            rows = page_of(matching, after, limit)
            if rows and rows.max() < matching.max():
                answer["pagination"] = {"next": token(str(rows.max()))}
        answer["documents"] = {
            item.id: documents.write(item, wanted)
            for _, item in namespace.items(rows, vectors=documents.needs_vectors(wanted))
        }
    answer["usage"] = {"read_units": 1}
    return Answer(answer)


def update(call: Call) -> Answer:
    """``POST /namespaces/{namespace}/documents/update``: patches by id, or one patch by a filter."""
    index, name = _target(call)
    body = call.body
    documents = Documents(index.shape, call.models)
    node = _filter(body, index, text=False)
    if (take_list(body, "documents") is None) == (node is None):
        raise invalid("update takes exactly one of 'documents' and 'filter'")
    if node is None:
        return _update_many(index, name, documents, _batch(body))
    sets, drops = take_dict(body, "set_fields") or {}, take_strings(body, "remove_fields") or []
    if not sets and not drops:
        raise invalid("an update by filter needs 'set_fields' or 'remove_fields'")
    patch, tokens = documents.patch(sets, drops)
    namespace = index.namespace(name)
    matched = 0 if namespace is None else len(namespace.select(node))

    def apply() -> None:
        held = index.namespace(name)
        if held is not None:
            held.change(held.select(node), patch)

    answer: dict[str, Any] = {"matched_records": matched}
    if index.shape.embedded:
        answer["usage"] = {"embed_total_tokens": tokens}
    return Answer(answer, lsn=index.write(apply))


def delete(call: Call) -> Answer:
    """``POST /namespaces/{namespace}/documents/delete``: by ids, by a filter, or all."""
    index, name = _target(call)
    body = call.body
    ids = _ids(body)
    node = _filter(body, index, text=False)
    everything = take_bool(body, "delete_all")
    if (bool(ids), node is not None, everything).count(True) != 1:
        raise invalid("delete takes exactly one of 'ids', 'filter' and 'delete_all'")
    namespace = index.need(name)
    answer: dict[str, Any] = {}
    if node is not None:
        answer["matched_records"] = len(namespace.select(node))
    lsn = index.write(lambda: remove(index, name, ids, node))
    return Answer(answer, lsn=lsn)


def list_ids(call: Call) -> Answer:
    """``POST /namespaces/{namespace}/documents/list``: a page of ids, in order."""
    index, name = _target(call)
    body = call.body
    prefix = take_text(body, "prefix", "") or ""
    limit = take_count(body, "limit", 1, 100, 100)
    after = place(take_text(body, "pagination_token"))
    namespace = index.namespace(name)
    ids = [] if namespace is None else namespace.ids(prefix, after, limit + 1)
    answer: dict[str, Any] = {
        "documents": [{"_id": id_} for id_ in ids[:limit]],
        "namespace": _written(name),
        "usage": {"read_units": 1},
    }
    if len(ids) > limit:
        answer["pagination"] = {"next": token(ids[limit - 1])}
    return Answer(answer)


# -- inside ----------------------------------------------------------------------------------------


def _target(call: Call) -> tuple[Index, str]:
    index = call.index
    if index.shape.kind != "documents":
        raise invalid(
            f"Index '{index.name}' has no document schema: use the Vectors API (/vectors/…, /query) "
            "instead of the Documents API"
        )
    return index, check_namespace(call.path["namespace"])


def _written(name: str) -> str:
    return name or "__default__"


def _batch(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    given = take_list(body, "documents")
    if not given:
        raise invalid("documents must be a non-empty array")
    if len(given) > MAX_BATCH:
        raise invalid(f"at most {MAX_BATCH} documents a request, got {len(given)}")
    seen: set[str] = set()
    for document in given:
        if not isinstance(document, dict):
            raise invalid("each of 'documents' must be an object")
        id_ = check_id(document.get("_id"), "Document '_id'")
        if id_ in seen:
            raise invalid(f"Document '_id' '{id_}' stands twice in the request")
        seen.add(id_)
    return given


def _ids(body: Mapping[str, Any]) -> list[str] | None:
    ids = take_strings(body, "ids")
    if ids and len(ids) > MAX_BATCH:
        raise invalid(f"at most {MAX_BATCH} ids a request, got {len(ids)}")
    return [check_id(id_, "Document '_id'") for id_ in ids] if ids else None


def _filter(body: Mapping[str, Any], index: Index, *, text: bool = True) -> Filter | None:
    given = take_dict(body, "filter")
    if given is not None and not given:
        raise invalid("filter must be a non-empty object")
    shape = index.shape
    data: Collection[str] = {name for name in (shape.dense, shape.sparse) if name} | shape.unstored
    if not text:
        data = {*data, *shape.texts}
    return read_filter(given, text_fields=shape.texts if text else (), data_fields=data)


def _update_many(
    index: Index, name: str, documents: Documents, given: list[dict[str, Any]]
) -> Answer:
    patches = {}
    tokens = 0
    for document in given:
        sets = {
            key: value for key, value in document.items() if key not in ("_id", "_remove_fields")
        }
        drops = take_strings(document, "_remove_fields") or []
        patches[document["_id"]], read = documents.patch(sets, drops)
        tokens += read

    def apply() -> None:
        held = index.namespace(name)
        if held is not None:
            rows = held.rows(list(patches))
            held.change(rows, lambda item: patches[item.id](item))

    answer: dict[str, Any] = {}
    if index.shape.embedded:
        answer["usage"] = {"embed_total_tokens": tokens}
    return Answer(answer, lsn=index.write(apply))
