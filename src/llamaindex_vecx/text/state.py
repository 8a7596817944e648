"""All that a search reads and writes, as one array of numbers and addresses.

To hand a compiled function some twenty arrays costs a query several microseconds, as much as its search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.text.intrinsics import BLOCK
from llamaindex_vecx.text.search import (
    BITMAPS,
    DATA,
    DOCS,
    FIELDS,
    FIRST,
    INDPTR,
    PLAN_ROWS,
    RANKS,
    ROW,
    TERMS,
)
from llamaindex_vecx.text.segments import LARGEST, Segment, Tail

__all__ = ["PLACES", "TAIL_FIELDS", "State"]

(
    DOCUMENTS, SLOTS, VOCABULARY, PAIRS, PARTS, TOKENS, HIGHEST, ROOM,
    DF, SEEN, WEIGHTS, ALIVE, ROWS, SEGMENTS, TAIL,
    SCORES, CANDIDATES, TOUCHED, MASK, BLOCKS, PLAN, FLOATS, BEST, BEST_ROWS, KEYS,
) = range(25)  # fmt: skip

PLACES = LARGEST + 64
"""Length of the scratch by place: a vector may read beyond the last."""

TAIL_FIELDS = 7
"""The tail in numbers: documents, first slot, origin, and the addresses of head, before, slots, codes."""


class State:
    """Parts of an index, and scratch for one search at a time.

    Attributes
    ----------
    numbers : int64
        By the constants above.
    """

    def __init__(self) -> None:
        self.numbers: NDArray[np.int64] = np.zeros(25, dtype=np.int64)
        self._held: dict[int, NDArray[Any]] = {}
        self._tokens = self._k = (
            self._vocabulary
        ) = -1  # below any need: nothing stays without an address
        self.hold(SCORES, np.zeros(PLACES))
        self.hold(CANDIDATES, np.empty(PLACES, dtype=np.uint32))
        self.hold(TOUCHED, np.empty(PLACES, dtype=np.uint32))
        self.hold(MASK, np.zeros(PLACES, dtype=np.bool_))
        self.hold(BLOCKS, np.zeros(PLACES // BLOCK))

    def hold(self, name: int, array: NDArray[Any]) -> None:
        """Note an array's address, and keep the array."""
        self._held[name] = array
        self.numbers[name] = array.ctypes.data

    def fit(self, tokens: int, k: int, vocabulary: int) -> None:
        """Make room for queries of so many tokens and results, and for so many terms."""
        if tokens > self._tokens:
            self._tokens = 2 * tokens + 16
            self.numbers[TOKENS] = self._tokens + 1
            self.hold(PLAN, np.empty((PLAN_ROWS, self._tokens + 1), dtype=np.int64))
            self.hold(FLOATS, np.empty((3, self._tokens + 1)))
        if k > self._k:
            self._k = k
            self.numbers[ROOM] = room = 2 * k + 64
            self.hold(BEST, np.empty((2, room)))
            self.hold(BEST_ROWS, np.empty((2, room), dtype=np.int64))
            self.hold(KEYS, np.empty(room, dtype=np.int64))
        if vocabulary > self._vocabulary:
            self._vocabulary = vocabulary + vocabulary // 4
            self.hold(SEEN, np.zeros(self._vocabulary, dtype=np.int32))

    def hold_weights(self, weights: NDArray[np.float64]) -> None:
        """Note what pairs are worth."""
        if self._held.get(WEIGHTS) is not weights:
            self.hold(WEIGHTS, weights)
            self.numbers[PAIRS] = len(weights)

    def hold_parts(
        self,
        segments: Sequence[Segment],
        tail: Tail,
        head: NDArray[np.int64],
        df: NDArray[np.int64],
        alive: NDArray[np.bool_],
        rows: NDArray[np.int64],
    ) -> None:
        """Note where everything lies that is searched."""
        table = np.zeros((len(segments), FIELDS), dtype=np.int64)
        for entry, segment in zip(table, segments, strict=True):
            own = rows[segment.first : segment.first + len(segment)]
            entry[FIRST], entry[DOCS] = segment.first, len(segment)
            entry[TERMS] = len(segment.indptr) - 1
            entry[ROW] = own[0] if len(own) and (np.diff(own) == 1).all() else -1
            for name, array in (
                (INDPTR, segment.indptr),
                (DATA, segment.data),
                (BITMAPS, segment.bitmaps),
                (RANKS, segment.ranks),
            ):
                entry[name] = array.ctypes.data
        fields = np.zeros(TAIL_FIELDS, dtype=np.int64)
        fields[:3] = len(tail), tail.first, tail.origin
        chains = (head, tail.before.data, tail.slots.data, tail.codes.data)
        fields[3:] = [array.ctypes.data for array in chains]
        self.hold(SEGMENTS, table)
        self.hold(TAIL, fields)
        for name, array in ((DF, df), (ALIVE, alive), (ROWS, rows)):
            self.hold(name, array)
        numbers = self.numbers
        numbers[PARTS], numbers[SLOTS], numbers[VOCABULARY] = len(segments), len(rows), len(df)
        numbers[HIGHEST] = int(rows.max()) + 1 if len(rows) else 0
