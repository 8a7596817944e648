"""``--filter key=value`` as LlamaIndex's metadata filters."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import typer
from llama_index.core.vector_stores.types import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

__all__ = ["parse_filters"]

_CONDITION = re.compile(r"\s*([^=!<>\s]+)\s*(==|!=|>=|<=|=|>|<)\s*(.*?)\s*", re.DOTALL)


def parse_filters(conditions: Sequence[str]) -> MetadataFilters | None:
    """Every condition must hold; None for no condition.

    ``=``, ``!=``, ``<``, ``<=``, ``>`` and ``>=``. A value that reads as a JSON number, boolean or
    quoted string is taken so, anything else as text: ``year>=2020``, ``file_name=a.md``,
    ``page="3"``.

    Raises
    ------
    typer.BadParameter
        Not of the form ``key=value``.
    """
    if not conditions:
        return None
    return MetadataFilters(filters=[_condition(text) for text in conditions])


def _condition(text: str) -> MetadataFilter:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is not key=value (also !=, <, <=, >, >=)", param_hint="--filter"
        )
    key, sign, value = match.groups()
    operator = FilterOperator("==" if sign == "=" else sign)
    return MetadataFilter(key=key, value=_value(value), operator=operator)


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, bool):
        return int(value)  # LlamaIndex's filters hold no booleans, and 1 equals True
    return value if isinstance(value, (str, int, float)) else text
