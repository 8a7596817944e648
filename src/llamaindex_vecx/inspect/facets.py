"""Filters as chips: which metadata values are worth offering, and what a choice of them means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from llamaindex_vecx.collection import Collection

__all__ = ["Facet", "chosen_filters", "find_facets"]

_SAMPLE = 2000
_MOST_VALUES = 24
_MOST_FACETS = 30
_LONGEST = 48


@dataclass(frozen=True)
class Facet:
    """One chip: a metadata key, a value, and in how many sampled passages it stands."""

    key: str
    value: str | int | float
    count: int
    in_list: bool = False

    @property
    def label(self) -> str:
        """``key: value``."""
        return f"{self.key}: {self.value}"


def find_facets(collection: Collection) -> list[Facet]:
    """Values of the keys that have few of them, from a sample; those in most passages first.

    A key with one value, or with more than two dozen, divides nothing or too finely.
    """
    rows = list(collection.all_rows())
    step = max(1, -(-len(rows) // _SAMPLE))
    counts: dict[str, Counter[tuple[str | int | float, bool]]] = {}
    for record in collection.records(rows[::step]):
        if record is None:
            continue
        for key, value in record.metadata.items():
            several = isinstance(value, list)
            for one in set(_plain(value if several else [value])):
                counts.setdefault(key, Counter())[(one, several)] += 1
    facets = [
        Facet(key, value, count, in_list)
        for key, values in counts.items()
        if 1 < len(values) <= _MOST_VALUES
        for (value, in_list), count in values.items()
    ]
    facets.sort(key=lambda facet: (-facet.count, facet.label))
    return facets[:_MOST_FACETS]


def chosen_filters(facets: Sequence[Facet]) -> MetadataFilters | None:
    """Any of the values chosen of one key, and all of the keys; None for no choice."""
    by_key: dict[str, list[Facet]] = {}
    for facet in facets:
        by_key.setdefault(facet.key, []).append(facet)
    if not by_key:
        return None
    return MetadataFilters(
        filters=[
            MetadataFilters(
                filters=[
                    MetadataFilter(
                        key=facet.key,
                        value=facet.value,
                        operator=FilterOperator.CONTAINS if facet.in_list else FilterOperator.EQ,
                    )
                    for facet in chosen
                ],
                condition=FilterCondition.OR,
            )
            for chosen in by_key.values()
        ],
        condition=FilterCondition.AND,
    )


def _plain(values: list[object]) -> list[str | int | float]:
    return [
        int(value) if isinstance(value, bool) else value
        for value in values
        if isinstance(value, (int, float))
        or (isinstance(value, str) and 0 < len(value) <= _LONGEST)
    ]
