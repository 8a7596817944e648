"""Arguments of every store's methods, checked the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError

__all__ = ["asked", "check_counts", "refuse_unknown"]


def refuse_unknown(function: str, kwargs: Mapping[str, Any], known: Sequence[str]) -> None:
    """Name the options that a method doesn't take.

    Raises
    ------
    InvalidInputError
    """
    unknown = sorted(set(kwargs) - set(known))
    if unknown:
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise InvalidInputError(f"{function}() got unknown options {', '.join(unknown)}; {takes}")


def check_counts(query: VectorStoreQuery, most: int | None = None) -> None:
    """Refuse numbers of results that are none, or more than ``most``.

    Raises
    ------
    InvalidInputError
    """
    for name in ("similarity_top_k", "sparse_top_k", "hybrid_top_k"):
        value = getattr(query, name)
        if value is None and name != "similarity_top_k":
            continue
        check_count(value, name)
        if most is not None and value > most:
            raise InvalidInputError(
                f"{name}={value} is over the {most:,} that a query can bring; ask for less, or read "
                "everything by get_nodes()"
            )


def asked(query: VectorStoreQuery) -> dict[str, Any]:
    """What a query asks for, as the parameters of its stage."""
    said: dict[str, Any] = {
        "mode": getattr(query.mode, "value", query.mode),
        "top_k": query.similarity_top_k,
    }
    if query.filters is not None:
        said["filters"] = query.filters
    return said
