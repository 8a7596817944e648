"""Records of an index with integrated embedding: text in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamaindex_vecx.pinecone_local.api.call import Answer, Call
from llamaindex_vecx.pinecone_local.api.ranking import rank
from llamaindex_vecx.pinecone_local.body import (
    parse_lines,
    take_count,
    take_dict,
    take_list,
    take_strings,
    take_text,
)
from llamaindex_vecx.pinecone_local.data.filters import read_filter
from llamaindex_vecx.pinecone_local.data.item import Item
from llamaindex_vecx.pinecone_local.data.querying import Query, search, vectors_of
from llamaindex_vecx.pinecone_local.data.shape import Shape
from llamaindex_vecx.pinecone_local.data.values import (
    MAX_TOP_K,
    check_id,
    check_metadata,
    check_namespace,
    read_dense,
    read_sparse,
)
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["find", "upsert"]

_MAX_RECORDS = 96


def upsert(call: Call) -> Answer:
    """``POST /records/namespaces/{namespace}/upsert``, newline-delimited JSON."""
    index = call.index
    name = check_namespace(call.path["namespace"])
    field, model = _embedded(index.shape)
    given = parse_lines(call.raw)
    if not given:
        raise invalid("the request holds no records")
    if len(given) > _MAX_RECORDS:
        raise invalid(f"Batch size exceeds {_MAX_RECORDS} records, got {len(given)}")
    items = [_read(record, field) for record in given]
    vectors, _ = call.models.embed(model, [item.fields[field] for item in items])
    for item, vector in zip(items, vectors, strict=True):
        item.dense = vector
    return Answer(None, 201, lsn=index.write(lambda: index.make(name).put(items)))


def find(call: Call) -> Answer:
    """``POST /records/namespaces/{namespace}/search``: by text, by a vector, or by a record's id."""
    name = check_namespace(call.path["namespace"])
    body = call.body
    asked = take_dict(body, "query")
    if asked is None:
        raise invalid("query must be an object")
    k = take_count(asked, "top_k", 1, MAX_TOP_K)
    node = read_filter(take_dict(asked, "filter"))
    if take_dict(asked, "match_terms") is not None:
        raise invalid("match_terms needs a sparse index with integrated embedding")
    wanted = take_strings(body, "fields")
    rerank = take_dict(body, "rerank")
    id_ = take_text(asked, "id")
    text = take_text(take_dict(asked, "inputs") or {}, "text")
    usage = {"read_units": 1}
    vectors = _vectors(call, asked, text, id_, usage)
    namespace = call.index.namespace(name)
    hits: list[dict[str, Any]] = []
    if namespace is not None:
        allowed = None if node is None else namespace.select(node)
        if id_ is not None:
            vectors = vectors_of(namespace, id_)
        scores = dict(search(namespace, vectors, k, allowed))
        hits = [
            {"_id": item.id, "_score": scores[row], "fields": item.fields}
            for row, item in namespace.items(list(scores), vectors=False)
        ]
    if rerank is not None:
        hits = _reranked(call, hits, rerank, text, usage)
    if wanted is not None:
        for hit in hits:
            hit["fields"] = {key: hit["fields"][key] for key in wanted if key in hit["fields"]}
    return Answer({"result": {"hits": hits}, "usage": usage})


def _embedded(shape: Shape) -> tuple[str, str]:
    if shape.kind != "model":
        raise invalid("Integrated inference is not configured for this index")
    ((field, spec),) = shape.embedded.items()
    return field, spec["embed"]["model"]


def _read(record: Mapping[str, Any], field: str) -> Item:
    fields = dict(record)
    alias = fields.pop("id", None)
    id_ = check_id(fields.pop("_id", alias), "Record '_id'")
    if not isinstance(fields.get(field), str) or not fields[field]:
        raise invalid(f"Record '{id_}' must have the text to embed in the field '{field}'")
    check_metadata(fields, id_)
    return Item(id_, None, None, fields)


def _vectors(
    call: Call, asked: Mapping[str, Any], text: str | None, id_: str | None, usage: dict[str, int]
) -> Query:
    shape = call.index.shape
    given = take_dict(asked, "vector")
    if [text is not None, given is not None, id_ is not None].count(True) != 1:
        raise invalid("query takes exactly one of 'inputs', 'vector' and 'id'")
    if id_ is not None:
        check_id(id_)
    elif text is not None:
        _, model = _embedded(shape)
        found, usage["embed_total_tokens"] = call.models.embed(model, [text])
        return found[0], None
    if given is None:
        return None, None
    dense = sparse = None
    values, indices = take_list(given, "values"), take_list(given, "sparse_indices")
    if values:
        if shape.dimension is None:
            raise invalid("this index has no dense vectors")
        dense = read_dense(values, shape.dimension, "Query vector")
    if indices:
        if not shape.sparse:
            raise invalid("this index has no sparse vectors")
        weights = take_list(given, "sparse_values")
        sparse = read_sparse({"indices": indices, "values": weights}, "Query sparse vector")
    if dense is None and (sparse is None or shape.dense):
        raise invalid("query.vector has no values")
    return dense, sparse


def _reranked(
    call: Call,
    hits: list[dict[str, Any]],
    rerank: Mapping[str, Any],
    text: str | None,
    usage: dict[str, int],
) -> list[dict[str, Any]]:
    query = take_text(rerank, "query") or text
    if not query:
        raise invalid("rerank needs a query text, in 'rerank.query' or 'query.inputs.text'")
    order = rank(
        call.models,
        take_text(rerank, "model"),
        query,
        [hit["fields"] for hit in hits],
        take_strings(rerank, "rank_fields") or ["text"],
        take_count(rerank, "top_n", 1, MAX_TOP_K, max(1, len(hits))),
    )
    usage["rerank_units"] = 1
    return [{**hits[at], "_score": score} for at, score in order]
