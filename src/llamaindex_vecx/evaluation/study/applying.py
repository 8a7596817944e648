"""Writing a recommendation into a collection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.study.choosing import describe
from llamaindex_vecx.evaluation.study.record import Row

__all__ = ["apply_row", "params_of"]


def apply_row(
    collection: Collection, row: Row, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, Any]:
    """Give a collection the settings of a configuration; see :meth:`Collection.reconfigure`.

    Returns
    -------
    dict
        The settings that have changed, with their new values.

    Raises
    ------
    InvalidInputError
        The configuration is of another kind of index than the collection's.
    """
    kind = collection.settings["index"]
    if kind != row["engine"]:
        raise InvalidInputError(
            f"{describe(row)} is a setting of {row['engine']!r}, and the collection's index is {kind!r}; "
            "its kind can't be changed: ingest into another collection"
        )
    before = collection.settings["index_params"]
    changes = {name: value for name, value in params_of(row).items() if before[name] != value}
    if changes:
        collection.reconfigure(changes, progress)
    return changes


def params_of(row: Row) -> dict[str, Any]:
    """The settings of the collection's index that a configuration is."""
    return {**row["build"], **row["search"]}
