"""``group_by``: the best rows of different groups, as many as were asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from llama_index.core.vector_stores.types import VectorStoreQuery
from pyroaring import BitMap

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.groups import group_of

__all__ = ["Best", "Hits", "Search", "grouped", "grouped_search"]

Hits: TypeAlias = tuple[list[int], list[float]]
"""Rows and scores, best first."""

Search: TypeAlias = Callable[
    [Collection, VectorStoreQuery, "BitMap | None", Mapping[str, Any]], Hits
]

Best: TypeAlias = tuple[int, float]
"""The best row of a group, and its score."""

_FIRST = 4
_FACTOR = 4


def grouped(
    search: Search,
    collection: Collection,
    query: VectorStoreQuery,
    allowed: BitMap | None,
    params: Mapping[str, Any],
    group_by: str,
) -> dict[Hashable, Best]:
    """The best ``similarity_top_k`` groups of what ``search`` finds, each by its best row, best first.

    Four times as many rows are asked for, and four times as many again until there are enough groups or
    no more rows. A row that is gone before its group was read is left out.
    """
    wanted = query.similarity_top_k
    asked = _FIRST * wanted
    groups: dict[int, Hashable] = {}
    while True:
        rows, scores = search(collection, replace(query, similarity_top_k=asked), allowed, params)
        new = [row for row in rows if row not in groups]
        for row, record in zip(new, collection.records(new), strict=True):
            if record is not None:
                groups[row] = group_of(group_by, record.metadata, record.ref_doc_id, record.id)
        best: dict[Hashable, Best] = {}
        for row, score in zip(rows, scores, strict=True):
            if row in groups:
                best.setdefault(groups[row], (row, score))
        if len(best) >= wanted or len(rows) < asked:
            return dict(list(best.items())[:wanted])
        asked *= _FACTOR


def grouped_search(
    search: Search,
    collection: Collection,
    query: VectorStoreQuery,
    allowed: BitMap | None,
    params: Mapping[str, Any],
) -> Hits:
    """``search``, or where ``params`` name a ``group_by``, its groups."""
    settings = dict(params)
    group_by = settings.pop("group_by", None)
    if group_by is None:
        return search(collection, query, allowed, settings)
    best = grouped(search, collection, query, allowed, settings, group_by).values()
    return [row for row, _ in best], [score for _, score in best]
