"""How a filtered search is best done: what a walk through the graph and a scan of slots cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.base import Allowed
from llamaindex_vecx.index.flat import allowed_slots

__all__ = ["Chosen", "allowance", "prefers_scan"]

_ONE, _MANY, _BLOCK = 3, 9, 16
"""Slots scanned in the time of one distance of a walk: by one query, which waits for memory as the walk
does, and by each of a block, which share what comes into the cache."""
_WALK = 13  # distances of a walk, for each that it takes until it has met ef allowed nodes
_START = 250  # and those of getting there


def allowance(candidates: int, queries: int) -> int:
    """How many distances of a walk take the time of a scan of the candidates."""
    return candidates // (_MANY if queries >= _BLOCK else _ONE)


def prefers_scan(candidates: int, count: int, ef: int, queries: int) -> bool:
    """Whether scanning the candidates costs less than a walk among ``count`` nodes for ``ef`` of them.

    Measured, not derived; see docs/design/hnsw.md.
    """
    walk = _START + _WALK * ef * count // max(candidates, 1)
    return candidates <= ef or walk >= allowance(candidates, queries)


class Chosen:
    """The slots of the rows that the last filter allowed: applications repeat their filters.

    Kept by the filter's content, since a caller may write to an array: comparing takes microseconds,
    finding the slots tens of them. A row that is removed since is no mistake, as a scan looks again.
    """

    def __init__(self) -> None:
        self._kept: tuple[Allowed, NDArray[np.int32], int, NDArray[np.int32]] | None = None

    def slots(self, allowed: Allowed, table: NDArray[np.int32], size: int) -> NDArray[np.int32]:
        """:func:`~llamaindex_vecx.index.flat.allowed_slots`, ascending."""
        kept = self._kept
        if (
            kept is not None
            and kept[1] is table
            and kept[2] == size
            and kept[0].dtype == allowed.dtype
            and np.array_equal(kept[0], allowed)
        ):
            return kept[3]
        slots = np.sort(allowed_slots(allowed, table, size))
        self._kept = allowed.copy(), table, size, slots
        return slots
