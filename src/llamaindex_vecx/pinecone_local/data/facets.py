"""Metadata in the form that a collection's filters read as Pinecone means it.

Pinecone tells ``1`` from ``true``, and a list of strings matches by any of its elements; a collection's
own operators follow Python's equality and LlamaIndex's semantics. So strings and booleans are kept as
lists, whose elements a collection compares exactly, and numbers as plain values, which it can order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

__all__ = ["HAS", "facet", "facets"]

HAS = "$has"
"""What a record has besides metadata: "dense", "sparse". No metadata key begins with a dollar."""

_LONGEST = 128


def facet(value: str | bool) -> str | bool:
    """A string or boolean as it is compared. Long strings only ever by equality, so by their hash."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return "\x00" + blake2b(value.encode(), digest_size=16).hexdigest()
    return value


def facets(metadata: Mapping[str, Any], has: Iterable[str]) -> dict[str, Any]:
    """What a collection stores as a record's metadata."""
    stored: dict[str, Any] = {HAS: list(has)}
    for key, value in metadata.items():
        if isinstance(value, (str, bool)):
            stored[key] = [facet(value)]
        elif isinstance(value, list):
            # [None], for an empty list is no value to a collection and still one to $exists
            stored[key] = [facet(item) for item in value] or [None]
        else:
            stored[key] = float(value)
    return stored
