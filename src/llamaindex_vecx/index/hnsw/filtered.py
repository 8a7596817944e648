"""How a filtered search is best done: what a walk through the graph and scans of slots cost."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.base import Allowed
from llamaindex_vecx.index.flat import allowed_slots
from llamaindex_vecx.index.hnsw.signs import pack_signs, record
from llamaindex_vecx.index.lookup import LOOKS_UP, RECORD
from llamaindex_vecx.index.memory import zeros

__all__ = ["Chosen", "Filter", "allowance", "leaves_enough", "prefers_scan", "wanted"]

_ONE, _MANY, _BLOCK = 3, 9, 16
"""Slots scanned in the time of one distance of a walk: by one query, which waits for memory as the walk
does, and by each of a block, which share what comes into the cache."""
_SIGNS, _REST = 44, 420  # slots scanned by their signs, and the distances that what follows takes
_WALK = 13  # distances of a walk, for each that it takes until it has met ef allowed nodes
_START = 250  # and those of getting there
_LIKELY = 112  # slots that signs leave, beyond 8k
_WORTH = 8  # times as many there must be


def wanted(k: int) -> int:
    """How many slots a scan by signs leaves for one by codes."""
    return _LIKELY + 8 * k


def leaves_enough(candidates: int, k: int, wider: int = 1) -> bool:
    """Whether so many times the slots that signs leave are few among the candidates."""
    return candidates >= _WORTH * wider * wanted(k)


def allowance(candidates: int, queries: int, *, by_signs: bool) -> int:
    """How many distances of a walk take the time of a scan of the candidates."""
    if by_signs:
        return _REST + candidates // _SIGNS
    return candidates // (_MANY if queries >= _BLOCK else _ONE)


def prefers_scan(candidates: int, count: int, ef: int, limit: int) -> bool:
    """Whether a walk among ``count`` nodes for ``ef`` candidates takes more than ``limit`` distances.

    Measured, not derived; see docs/design/hnsw.md.
    """
    return candidates <= ef or _START + _WALK * ef * count // max(candidates, 1) >= limit


class Filter:
    """A filter and what was made of it.

    Attributes
    ----------
    allowed : ndarray
        A copy.
    uses : int
        Searches that asked for it.
    """

    def __init__(
        self, allowed: Allowed, table: NDArray[np.int32], size: int, returned: int = 0
    ) -> None:
        self.allowed, self._table, self._size = allowed.copy(), table, size
        self._returned = returned
        self._signs: NDArray[np.uint64] | None = None
        self.uses = 0

    def means(self, allowed: Allowed, table: NDArray[np.int32], size: int, returned: int) -> bool:
        """Whether this is that filter. By content, since a caller may write to an array."""
        return (
            self._table is table
            and self._size == size
            and self._returned == returned
            and self.allowed.dtype == allowed.dtype
            and np.array_equal(self.allowed, allowed)
        )

    @cached_property
    def slots(self) -> NDArray[np.int32]:
        """Where the rows stand, ascending. One that is removed since is no mistake: scans look again."""
        slots = allowed_slots(self.allowed, self._table, self._size)
        ascending = bool((slots[1:] > slots[:-1]).all())  # a tenth of the time that sorting takes
        return slots if ascending else np.sort(slots)

    def worth_signs(self, candidates: int, queries: int, k: int) -> bool:
        """Whether a scan by signs pays: to gather them takes what some fifty scans do."""
        return LOOKS_UP and (self.uses > 1 or queries >= _BLOCK) and leaves_enough(candidates, k)

    def signs(self, metric: int, dim: int, blocks: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """What :func:`~llamaindex_vecx.index.hnsw.signs.pack_signs` makes of the slots."""
        signs = self._signs
        if signs is None:
            signs = zeros(
                (-(-len(self.slots) // RECORD), record(dim)), np.uint64, huge_pages=True, whole=True
            )
            pack_signs(metric, dim, blocks, self.slots, signs)
            self._signs = signs
        return signs


class Chosen:
    """The last filter: applications repeat theirs.

    Comparing takes microseconds, finding its slots tens of them and gathering their signs hundreds.
    """

    def __init__(self) -> None:
        self._last: Filter | None = None

    def of(self, allowed: Allowed, table: NDArray[np.int32], size: int, returned: int) -> Filter:
        """The :class:`Filter` of these rows."""
        last = self._last
        if last is None or not last.means(allowed, table, size, returned):
            last = self._last = Filter(allowed, table, size, returned)
        last.uses += 1
        return last
