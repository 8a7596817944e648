"""Pinecone's filter language, read once into a tree and evaluated to a bitmap of rows.

``$ne`` and ``$nin`` match records that lack the key, as in MongoDB, on which the language is modelled.
A list of strings matches an operator if one of its elements does, and ``$ne`` if none is equal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from pyroaring import BitMap

from llamaindex_vecx.pinecone_local.data.facets import facet
from llamaindex_vecx.pinecone_local.data.values import is_number
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["TEXT_OPERATORS", "Filter", "Searched", "evaluate", "read_filter"]

TEXT_OPERATORS = ("$match_all", "$match_any", "$match_phrase")
_RANGES = {
    "$gt": FilterOperator.GT,
    "$gte": FilterOperator.GTE,
    "$lt": FilterOperator.LT,
    "$lte": FilterOperator.LTE,
}
_MAX_OPERANDS = 10_000
_MAX_DEPTH = 50


class Searched(Protocol):
    """What a filter is evaluated over."""

    def matching(self, filters: MetadataFilters) -> BitMap:
        """Rows whose metadata match."""

    def matching_text(self, field: str, operator: str, text: str) -> BitMap:
        """Rows whose text matches one of :data:`TEXT_OPERATORS`."""


@dataclass(frozen=True)
class _Metadata:
    filters: MetadataFilters


@dataclass(frozen=True)
class _Text:
    field: str
    operator: str
    text: str


@dataclass(frozen=True)
class _Group:
    every: bool
    parts: tuple[Filter, ...]


Filter = _Metadata | _Text | _Group


def evaluate(node: Filter, searched: Searched) -> BitMap:
    """The rows that match."""
    if isinstance(node, _Metadata):
        return searched.matching(node.filters)
    if isinstance(node, _Text):
        return searched.matching_text(node.field, node.operator, node.text)
    parts = [evaluate(part, searched) for part in node.parts]
    return (BitMap.intersection if node.every else BitMap.union)(*parts)


def read_filter(
    value: Mapping[str, Any] | None,
    *,
    text_fields: Collection[str] = (),
    data_fields: Collection[str] = (),
) -> Filter | None:
    """A filter from JSON; None where there is nothing to filter by.

    Parameters
    ----------
    value : mapping or None
    text_fields : collection of str
        Fields of a document index that take the text operators and no others.
    data_fields : collection of str
        Fields of a document index that can't be filtered by at all.

    Raises
    ------
    ApiError
        400, naming the field and the operator.
    """
    if not value:
        return None
    return _Reader(text_fields, data_fields).group(value, 0)


class _Reader:
    def __init__(self, text_fields: Collection[str], data_fields: Collection[str]) -> None:
        self._text = text_fields
        self._data = data_fields

    def group(self, value: Any, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            raise invalid(f"the filter is nested more than {_MAX_DEPTH} deep")
        if not isinstance(value, dict):
            raise invalid(f"a filter must be an object, not {value!r:.60}")
        if not value:
            raise invalid("a filter inside $and or $or must not be empty")
        parts = tuple(
            self._logical(key, operand, depth)
            if key in ("$and", "$or")
            else self._field(key, operand)
            for key, operand in value.items()
        )
        return parts[0] if len(parts) == 1 else _Group(True, parts)

    def _logical(self, key: str, operand: Any, depth: int) -> Filter:
        if not isinstance(operand, list) or not operand:
            raise invalid(f"{key} must have a non-empty array of filters")
        return _Group(key == "$and", tuple(self.group(part, depth + 1) for part in operand))

    def _field(self, key: str, operand: Any) -> Filter:
        if key.startswith("$"):
            raise invalid(f"{key} is not a valid operator at the top level; use $and or $or")
        if key in self._data:
            raise invalid(
                f"field '{key}' is a vector or its text is not stored: no filter takes it"
            )
        if not isinstance(operand, dict):
            return self._operator(key, "$eq", operand)
        if not operand:
            raise invalid(f"the filter on '{key}' has no operator")
        parts = tuple(self._operator(key, name, value) for name, value in operand.items())
        return parts[0] if len(parts) == 1 else _Group(True, parts)

    def _operator(self, key: str, name: str, value: Any) -> Filter:
        if name in TEXT_OPERATORS:
            if key not in self._text:
                raise invalid(f"{name} needs a field with full-text search, which '{key}' is not")
            if not isinstance(value, str):
                raise invalid(f"{name} on '{key}' takes a string")
            return _Text(key, name, value)
        if key in self._text:
            raise invalid(
                f"field '{key}' is searched as text: it takes {', '.join(TEXT_OPERATORS)}, not {name}"
            )
        return _Metadata(_comparison(key, name, value))


def _comparison(key: str, name: str, value: Any) -> MetadataFilters:
    if name == "$eq":
        return _equal(key, _scalar(key, name, value))
    if name == "$ne":
        return _none_of(_equal(key, _scalar(key, name, value)))
    if name in ("$in", "$nin"):
        if not isinstance(value, list) or not value:
            raise invalid(f"the {name} operator must be followed by a non-empty list, on '{key}'")
        if len(value) > _MAX_OPERANDS:
            raise invalid(f"{name} on '{key}' takes at most {_MAX_OPERANDS} values")
        found = _one_of(key, [_scalar(key, name, item) for item in value])
        return found if name == "$in" else _none_of(found)
    if name in _RANGES:
        if not is_number(value):
            raise invalid(f"the {name} operator must be followed by a number, got {value!r:.60}")
        return _filters([MetadataFilter(key=key, value=float(value), operator=_RANGES[name])])
    if name == "$exists":
        if not isinstance(value, bool):
            raise invalid(f"the $exists operator must be followed by a boolean, got {value!r:.60}")
        absent = _filters([MetadataFilter(key=key, value=None, operator=FilterOperator.IS_EMPTY)])
        return _none_of(absent) if value else absent
    raise invalid(f"{name} is not a valid operator, on '{key}'")


def _scalar(key: str, name: str, value: Any) -> str | bool | float:
    if isinstance(value, (str, bool)):
        return value
    if is_number(value):
        return float(value)
    raise invalid(
        f"the {name} operator must be followed by a string, boolean or number, got "
        f"{value!r:.60} on '{key}'"
    )


def _equal(key: str, value: str | bool | float) -> MetadataFilters:
    return _one_of(key, [value])


def _one_of(key: str, values: list[str | bool | float]) -> MetadataFilters:
    numbers: list[Any] = [value for value in values if type(value) is float]
    others: list[Any] = [facet(value) for value in values if isinstance(value, (str, bool))]
    parts = []
    if numbers:
        parts.append(MetadataFilter(key=key, value=numbers, operator=FilterOperator.IN))
    if others:
        parts.append(_any_of(key, others))
    return _filters(parts, FilterCondition.OR)


def _any_of(key: str, values: list[Any]) -> MetadataFilter:
    # without validation: pydantic would turn a list with both strings and booleans into strings
    return MetadataFilter.model_construct(key=key, value=values, operator=FilterOperator.ANY)


def _filters(
    parts: list[MetadataFilter], condition: FilterCondition = FilterCondition.AND
) -> MetadataFilters:
    return MetadataFilters.model_construct(filters=parts, condition=condition)


def _none_of(filters: MetadataFilters) -> MetadataFilters:
    return MetadataFilters.model_construct(filters=[filters], condition=FilterCondition.NOT)
