"""The same retriever, restricted by filters."""

from __future__ import annotations

import copy
from typing import Protocol, TypeVar, runtime_checkable

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.vector_stores.types import FilterCondition, MetadataFilters

from llamaindex_vecx.errors import UnsupportedError

__all__ = ["Filterable", "both", "with_filters"]

R = TypeVar("R", bound=BaseRetriever)


@runtime_checkable
class Filterable(Protocol):
    """A retriever that knows how to be restricted; all of ours are."""

    def with_filters(self, filters: MetadataFilters) -> BaseRetriever:
        """A copy that returns only nodes that match, beside what it is restricted to already."""


def with_filters(name: str, source: BaseRetriever, filters: MetadataFilters) -> BaseRetriever:
    """A copy of a source that passes ``filters`` to its store, beside its own.

    Knows retrievers with a method ``with_filters``, and those that keep their filters as LlamaIndex's
    VectorIndexRetriever does.

    Raises
    ------
    UnsupportedError
        The source can't be restricted. Dropping its hits afterwards would leave fewer than asked for.
    """
    if isinstance(source, Filterable):
        return source.with_filters(filters)
    if not hasattr(source, "_filters"):
        raise UnsupportedError(
            f"source {name!r} ({type(source).__name__}) can't be given filters; give it its filters when "
            "you make it, or a method with_filters(filters)"
        )
    restricted = copy.copy(source)
    restricted._filters = both(source._filters, filters)
    return restricted


def both(first: MetadataFilters | None, second: MetadataFilters) -> MetadataFilters:
    """Filters that hold where both do; the second as it is where there is no first."""
    if first is None or not first.filters:
        return second
    return MetadataFilters(filters=[first, second], condition=FilterCondition.AND)
