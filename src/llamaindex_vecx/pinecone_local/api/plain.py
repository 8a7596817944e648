"""Plain REST: ``POST /search {"query_vector": […], "top_k": 5}``, over an index or a collection of ours."""

from __future__ import annotations

from typing import Any

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.pinecone_local.api.call import Answer, Call
from llamaindex_vecx.pinecone_local.body import (
    take_bool,
    take_count,
    take_dict,
    take_list,
    take_text,
)
from llamaindex_vecx.pinecone_local.data.filters import read_filter
from llamaindex_vecx.pinecone_local.data.values import (
    MAX_TOP_K,
    as_json,
    check_namespace,
    read_dense,
)
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["search_collection", "search_index"]


def search_index(call: Call) -> Answer:
    """Over an index: ids, scores and metadata. ``namespace`` and ``filter`` as in ``/query``."""
    body = call.body
    shape = call.index.shape
    if shape.dimension is None:
        raise invalid(f"index '{call.index.name}' has no dense vectors")
    query = read_dense(take_list(body, "query_vector"), shape.dimension, "query_vector")
    k = take_count(body, "top_k", 1, MAX_TOP_K, 10)
    node = read_filter(take_dict(body, "filter"))
    name = check_namespace(take_text(body, "namespace", "") or "")
    with_values = take_bool(body, "include_values")
    namespace = call.index.namespace(name)
    results: list[dict[str, Any]] = []
    if namespace is not None:
        allowed = None if node is None else namespace.select(node)
        scores = dict(namespace.nearest(query, k, allowed))
        for row, item in namespace.items(list(scores), vectors=with_values):
            result = {"id": item.id, "score": scores[row], "metadata": item.fields}
            if with_values and item.dense is not None:
                result["values"] = as_json(item.dense)
            results.append(result)
    return Answer({"results": results})


def search_collection(collection: Collection, body: dict[str, Any]) -> Answer:
    """Over a collection that a store of ours or ``vecx ingest`` filled: also its texts."""
    if collection.dim is None:
        return Answer({"results": []})
    query = read_dense(take_list(body, "query_vector"), collection.dim, "query_vector")
    k = take_count(body, "top_k", 1, MAX_TOP_K, 10)
    rows, scores = collection.search(query, k)
    results = [
        {
            "id": record.id,
            "score": float(score),
            "text": record.text,
            "metadata": record.metadata,
        }
        for record, score in zip(collection.records(rows), scores, strict=True)
        if record is not None
    ]
    return Answer({"results": results})
