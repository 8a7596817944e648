"""LlamaIndex metadata filters to one bitmap of rows.

The semantics are those of ``llama_index.core.vector_stores.utils.build_metadata_filter_fn``, with three
differences: filters nest; a comparison of things that can't be compared (``>`` between a number and a
string) does not match instead of raising; and a value that the operator can't take at all is a
:class:`FilterError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from pyroaring import BitMap

from llamaindex_vecx.collection.metadata import MetadataIndex
from llamaindex_vecx.errors import FilterError

__all__ = ["check", "evaluate"]

_SCALAR = "a string, number or boolean"
_LIST = "a list of strings or numbers"
_TEXT = "a string"


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, int, float))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _anything(value: Any) -> bool:
    return True


_TAKES: dict[FilterOperator, tuple[Callable[[Any], bool], str, str]] = {
    FilterOperator.EQ: (_anything, "", ""),
    FilterOperator.NE: (_anything, "", ""),
    FilterOperator.GT: (_is_scalar, _SCALAR, "give one value to compare with"),
    FilterOperator.GTE: (_is_scalar, _SCALAR, "give one value to compare with"),
    FilterOperator.LT: (_is_scalar, _SCALAR, "give one value to compare with"),
    FilterOperator.LTE: (_is_scalar, _SCALAR, "give one value to compare with"),
    FilterOperator.IN: (_is_list, _LIST, "use == for one value"),
    FilterOperator.NIN: (_is_list, _LIST, "use != for one value"),
    FilterOperator.ANY: (_is_list, _LIST, "use contains for one value"),
    FilterOperator.ALL: (_is_list, _LIST, "use contains for one value"),
    FilterOperator.CONTAINS: (_is_scalar, _SCALAR, "use any or all for several values"),
    FilterOperator.TEXT_MATCH: (_is_text, _TEXT, "use == for numbers"),
    FilterOperator.TEXT_MATCH_INSENSITIVE: (_is_text, _TEXT, "use == for numbers"),
    FilterOperator.IS_EMPTY: (_anything, "", ""),
}


def check(filters: MetadataFilters) -> None:
    """Look a filter over without evaluating it.

    Raises
    ------
    FilterError
        Naming key, operator, the value's type and the remedy.
    """
    if not isinstance(filters, MetadataFilters):
        raise FilterError(
            f"filters must be MetadataFilters, not {type(filters).__name__}; "
            "wrap a single filter: MetadataFilters(filters=[…])"
        )
    try:
        FilterCondition(filters.condition or FilterCondition.AND)
    except ValueError:
        raise FilterError(f"condition {filters.condition!r} is unknown; use and, or, not") from None
    for item in filters.filters:
        if isinstance(item, MetadataFilters):
            check(item)
            continue
        if not isinstance(item, MetadataFilter):
            raise FilterError(f"a filter must be a MetadataFilter, not {type(item).__name__}")
        try:
            operator = FilterOperator(item.operator)
        except ValueError:
            raise FilterError(
                f"filter on {item.key!r}: operator {item.operator!r} is unknown; "
                f"use one of {', '.join(known.value for known in FilterOperator)}"
            ) from None
        takes, what, remedy = _TAKES[operator]
        if not takes(item.value):
            raise FilterError(
                f"filter on {item.key!r}: operator {operator.value!r} takes {what}, "
                f"not {type(item.value).__name__} ({item.value!r:.80}); {remedy}"
            )


def evaluate(filters: MetadataFilters, index: MetadataIndex) -> BitMap:
    """The rows that match, a new bitmap.

    Raises
    ------
    FilterError
    """
    check(filters)
    return _evaluate(filters, index) & index.alive


def _evaluate(filters: MetadataFilters, index: MetadataIndex) -> BitMap:
    """May hold rows that are gone."""
    if not filters.filters:
        return index.alive
    parts = [
        _evaluate(item, index)
        if isinstance(item, MetadataFilters)
        else index.match(FilterOperator(item.operator), item.key, item.value)
        for item in filters.filters
    ]
    condition = FilterCondition(filters.condition or FilterCondition.AND)
    if condition == FilterCondition.AND:
        return BitMap.intersection(*parts) if len(parts) > 1 else parts[0]
    union = BitMap.union(*parts) if len(parts) > 1 else parts[0]
    return union if condition == FilterCondition.OR else index.alive - union
