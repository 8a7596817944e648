"""Records that were lately read, kept so that what is asked for again need not be read again.

A row never changes and its number is never used again: what was read at one ``seq`` holds for as long as
the collection stays there. Any commit empties the memory.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from llamaindex_vecx.collection.record import Record

__all__ = ["RecentRecords"]

_MOST = 1024
_SCALARS = frozenset((str, int, float, bool, type(None)))


class RecentRecords:
    """Records without vectors, by row. Any thread may read; what it gets is its own."""

    def __init__(self) -> None:
        self._kept: tuple[int, dict[int, Record]] = (-1, {})

    def read(
        self,
        rows: Sequence[int],
        seq: Callable[[], int],
        fetch: Callable[[list[int]], list[Record | None]],
    ) -> list[Record | None]:
        """The records of some rows, in their order; None for a row that is gone.

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
        fresh: dict[int, Record | None] = {}
        if missing:
            fresh = dict(zip(missing, fetch(missing), strict=True))
            if seq() == now:
                if len(kept) + len(fresh) > _MOST:
                    kept = {}  # a new one: another thread may be reading the old
                for row, record in fresh.items():
                    if record is not None:
                        kept[row] = record
                self._kept = (now, kept)
        return [_own(fresh.get(row) or kept.get(row)) for row in rows]


def _own(record: Record | None) -> Record | None:
    """A copy whose metadata the caller may change."""
    if record is None:
        return None
    metadata: dict[str, Any] = record.metadata.copy()
    for key, value in metadata.items():
        if type(value) not in _SCALARS:
            metadata[key] = copy.deepcopy(value)
    return Record(record.id, None, record.text, metadata, record.content, record.ref_doc_id)
