"""Rows that were lately read, kept so that what is asked for again need not be read again.

A row never changes and its number is never used again: what was read at one ``seq`` holds for as long as
the collection stays there. Any commit empties the memory. Kept is what the database gave, not the record
made of it: that belongs to the caller, and to copy it would cost what it costs to decode it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["RecentRows"]

_MOST = 1024

Columns = tuple[Any, ...]


class RecentRows:
    """Columns without vectors, by row. Any thread may read."""

    def __init__(self) -> None:
        self._kept: tuple[int, dict[int, Columns]] = (-1, {})

    def read(
        self,
        rows: Sequence[int],
        seq: Callable[[], int],
        fetch: Callable[[list[int]], dict[int, Columns]],
    ) -> dict[int, Columns]:
        """The columns of some rows, by row; without those that are gone.

        Parameters
        ----------
        rows : sequence of int
        seq : callable
            The collection's ``seq`` now: what was read while it changed is not kept.
        fetch : callable
            Reads those that aren't kept.
        """
        now = seq()
        at, kept = self._kept
        if at != now:
            kept = {}
        missing = [row for row in rows if row not in kept]
        if not missing:
            return kept
        fresh = fetch(missing)
        if seq() != now:
            return {**kept, **fresh}
        if len(kept) + len(fresh) > _MOST:  # a new one: another thread may be reading the old
            kept = {row: kept[row] for row in rows if row in kept}
        kept.update(fresh)
        self._kept = (now, kept)
        return kept
