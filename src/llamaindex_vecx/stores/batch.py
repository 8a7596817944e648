"""Many queries in one search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from llama_index.core.vector_stores.types import (
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError, MissingEmbeddingError
from llamaindex_vecx.stores.nodes import record_to_node

if TYPE_CHECKING:
    from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["query_batch"]


def query_batch(
    store: LocalVectorStore, queries: Sequence[VectorStoreQuery], params: Mapping[str, Any]
) -> list[VectorStoreQueryResult]:
    """What ``store.query`` returns for each, with one search for all that are alike but for the vector.

    Raises
    ------
    InvalidInputError
        An option that ``query`` doesn't know, or what a query raises; none is answered then.
    """
    answers: dict[int, VectorStoreQueryResult] = {}
    groups: dict[tuple[Any, ...], list[int]] = {}
    for place, query in enumerate(queries):
        if VectorStoreQueryMode(query.mode) is VectorStoreQueryMode.DEFAULT:
            groups.setdefault(_likeness(query), []).append(place)
        else:
            answers[place] = store.query(query, **params)
    unknown = sorted(set(params) - set(store.query_settings))
    if groups and unknown:
        raise InvalidInputError(
            f"query_batch() got unknown options {', '.join(unknown)}; "
            f"it takes {', '.join(store.query_settings)}"
        )
    for places in groups.values():
        found = _search(store, [queries[place] for place in places], params)
        answers.update(zip(places, found, strict=True))
    return [answers[place] for place in range(len(queries))]


def _likeness(query: VectorStoreQuery) -> tuple[Any, ...]:
    check_count(query.similarity_top_k, "similarity_top_k")
    if query.query_embedding is None:
        raise MissingEmbeddingError("mode 'default' needs query_embedding; give one")
    return (
        query.similarity_top_k,
        len(query.query_embedding),
        None if query.filters is None else query.filters.model_dump_json(),
        tuple(query.node_ids or ()),
        None if query.doc_ids is None else tuple(query.doc_ids),
        query.output_fields is not None and "embedding" in query.output_fields,
    )


def _search(
    store: LocalVectorStore, queries: list[VectorStoreQuery], params: Mapping[str, Any]
) -> list[VectorStoreQueryResult]:
    first, collection = queries[0], store.client
    vectors = first.output_fields is not None and "embedding" in first.output_fields
    allowed = collection.select(
        ids=first.node_ids or None, ref_doc_ids=first.doc_ids, filters=first.filters
    )
    hits = collection.search_each(
        np.array([query.query_embedding for query in queries], np.float32),
        first.similarity_top_k,
        allowed=allowed,
        **params,
    )
    results = []
    for rows, scores in hits:
        # another thread may have deleted a row since the search
        there = [
            (record_to_node(record), score)
            for record, score in zip(
                collection.records(rows, vectors=vectors), scores.tolist(), strict=True
            )
            if record is not None
        ]
        results.append(
            VectorStoreQueryResult(
                nodes=[node for node, _ in there],
                similarities=[score for _, score in there],
                ids=[node.node_id for node, _ in there],
            )
        )
    return results
