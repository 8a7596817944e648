"""Reading a request's JSON: the field that is meant, of the type that is meant, or a 400 that says so."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = [
    "parse",
    "parse_lines",
    "take",
    "take_bool",
    "take_count",
    "take_dict",
    "take_list",
    "take_strings",
    "take_text",
]

_UPPER = re.compile("([A-Z])")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _loads(raw: bytes) -> Any:
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid JSON: {error}") from error


def parse(raw: bytes) -> dict[str, Any]:
    """A body that must be a JSON object; an empty body is an empty object."""
    if not raw.strip():
        return {}
    value = _loads(raw)
    if not isinstance(value, dict):
        raise invalid(f"The request body must be a JSON object, not {_name(value)}")
    return value


def parse_lines(raw: bytes) -> list[dict[str, Any]]:
    """A body of newline-delimited JSON objects (``application/x-ndjson``)."""
    items = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        if line.strip():
            value = _loads(line)
            if not isinstance(value, dict):
                raise invalid(f"Line {number} must be a JSON object, not {_name(value)}")
            items.append(value)
    return items


def take(body: Mapping[str, Any], name: str) -> Any:
    """A field by its camelCase name, or its snake_case one, as protobuf's JSON reads both."""
    if name in body:
        return body[name]
    return body.get(_UPPER.sub(r"_\1", name).lower())


def take_text(body: Mapping[str, Any], name: str, default: str | None = None) -> str | None:
    """A string, or the default where it is missing or null."""
    value = take(body, name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise invalid(f"{name} holds a surrogate, which UTF-8 can't") from error
    return value


def take_bool(body: Mapping[str, Any], name: str) -> bool:
    """A boolean, False where it is missing."""
    value = take(body, name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _wrong(name, "a boolean", value)
    return value


def take_count(
    body: Mapping[str, Any], name: str, low: int, high: int, default: int | None = None
) -> int:
    """A whole number within bounds. Without a default it must be there."""
    value = take(body, name)
    if value is None and default is not None:
        return default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "an integer", value)
    if not low <= value <= high:
        raise invalid(f"{name} must be between {low} and {high}, got {value}")
    return value


def take_dict(body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """An object, None where it is missing or null."""
    value = take(body, name)
    if value is not None and not isinstance(value, dict):
        raise _wrong(name, "an object", value)
    return value


def take_list(body: Mapping[str, Any], name: str) -> list[Any] | None:
    """An array, None where it is missing or null."""
    value = take(body, name)
    if value is not None and not isinstance(value, list):
        raise _wrong(name, "an array", value)
    return value


def take_strings(body: Mapping[str, Any], name: str) -> list[str] | None:
    """An array of strings, None where it is missing or null."""
    values = take_list(body, name)
    return (
        None if values is None else [take_text({name: value}, name, "") or "" for value in values]
    )


def _name(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _wrong(name: str, wanted: str, value: Any) -> Exception:
    return invalid(f"{name} must be {wanted}, not {_name(value)}")
