"""The inverted index under :class:`~llamaindex_vecx.text.bm25.BM25`: numbered terms, rows and slots.

It knows what occurs where and how often; what that is worth comes in with the query.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import DuplicateIdError
from llamaindex_vecx.index.base import Mask, Rows
from llamaindex_vecx.text.growable import Growable
from llamaindex_vecx.text.pairs import Pairs
from llamaindex_vecx.text.queries import answer
from llamaindex_vecx.text.segments import LARGEST, Segment, Tail, code_type, merge
from llamaindex_vecx.text.state import DOCUMENTS, State

__all__ = ["Postings"]

_UNFILTERED = np.zeros(0, dtype=np.bool_)
_TAIL_POSTINGS = 1 << 16
_COMPACT_FROM = 1024
_PATIENCE = 64
_REPAID = 128  # postings merged for each query that will be the faster for it
_MOST_MERGED = 1 << 20


class Postings:
    """Documents as sets of numbered terms with frequencies.

    Attributes
    ----------
    live, total_length : int
        Documents that can be found, and the sum of their lengths.
    """

    def __init__(self) -> None:
        self.pairs: Pairs = Pairs()
        self.live: int = 0
        self.total_length: int = 0
        self._segments: list[Segment] = []
        self._buried = 0  # removed since the segments were last merged
        self._state = State()
        self._adopt(*(np.empty(0, dtype=kind) for kind in (np.int64, np.int32, np.bool_, np.int64)))

    def _adopt(
        self, rows: NDArray[Any], lengths: NDArray[Any], alive: NDArray[Any], df: NDArray[Any]
    ) -> None:
        """Take over the arrays by slot and by term, with an empty tail behind them."""
        self._rows = Growable(np.int64, start=rows)
        self._lengths = Growable(np.int32, start=lengths)
        self._alive = Growable(np.bool_, start=alive)
        self._df = Growable(np.int64, start=df)
        self._head = Growable(np.int64, fill=-1)
        self._head.resize(len(df))
        self._slot_of = Growable(np.int32, fill=-1)
        slots = np.flatnonzero(alive)
        if len(slots):
            self._slot_of.resize(int(rows[slots].max()) + 1)
            self._slot_of.data[rows[slots]] = slots
        self._tail = Tail(0, len(rows))
        self._changed()

    def _changed(self) -> None:
        """What was made for searching is of no use any more."""
        self._known = self._settled = False
        self._asked = 0

    def __contains__(self, row: int) -> bool:
        return 0 <= row < len(self._slot_of) and bool(self._slot_of.data[row] >= 0)

    @property
    def slots(self) -> int:
        """How many slots there are, of live and dead documents."""
        return len(self._rows)

    @property
    def df(self) -> NDArray[np.int64]:
        """In how many live documents each term occurs."""
        return self._df.view

    def check_new(self, rows: Rows) -> None:
        """Raise DuplicateIdError if one of these distinct rows is here."""
        known = rows[rows < len(self._slot_of)]
        taken = known[self._slot_of.data[known] >= 0]
        if len(taken):
            raise DuplicateIdError(f"row {taken[0]} is in the index already; remove it first")

    def add(
        self,
        rows: Rows,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int32],
        vocabulary: int,
    ) -> None:
        """Add documents.

        Parameters
        ----------
        rows : int64, shape (n,)
            Distinct and new.
        ids, starts, lengths : int32 (tokens,), int64 (n + 1,), int32 (n,)
            Document ``i`` has the terms ``ids[starts[i]:starts[i + 1]]``, with repeats.
        vocabulary : int
            Terms are numbered below it.
        """
        # First, for it is what an absurdly high row makes fail, and nothing has changed yet.
        self._slot_of.resize(int(rows.max()) + 1)
        self._df.resize(vocabulary)
        self._head.resize(vocabulary)
        start = 0
        while start < len(rows):
            stop = min(start + LARGEST - len(self._tail), len(rows))
            self._append(rows[start:stop], ids, starts[start : stop + 1], lengths[start:stop])
            start = stop
        self._changed()

    def _append(
        self,
        rows: Rows,
        ids: NDArray[np.int32],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int32],
    ) -> None:
        first = len(self._rows)
        self._rows.extend(rows)
        self._lengths.extend(lengths)
        self._alive.extend(np.ones(len(rows), dtype=np.bool_))
        self._slot_of.data[rows] = np.arange(first, first + len(rows), dtype=np.int32)
        self._tail.append(
            ids, starts, self._lengths.data, self._head.data, self._df.data, self.pairs
        )
        self.live += len(rows)
        self.total_length += int(starts[-1] - starts[0])
        # A segment costs an array over the vocabulary: not worth it for a tail that is small beside it.
        enough = max(_TAIL_POSTINGS, len(self._df))
        if self._tail.postings > enough or len(self._tail) == LARGEST:
            self._seal_tail()

    def _seal_tail(self) -> None:
        if not len(self._tail):
            return
        parts = self._segments
        parts.append(self._tail.seal(self._alive.view, len(self._df), self.pairs))
        self._tail = Tail(self._tail.origin + self._tail.postings, len(self._rows))
        # Sizes stay geometric, so each posting is moved a logarithmic number of times.
        while len(parts) > 1 and _should_merge(*parts[-2:]):
            self._merge(len(parts) - 2)
        self._same_width()
        self._known = False

    def _same_width(self) -> None:
        """Codes that have outgrown 16 bits have in all segments."""
        kind = code_type(len(self.pairs))
        self._segments[:] = [
            segment if segment.data.dtype == kind else segment.widened()
            for segment in self._segments
        ]

    def remove(self, row: int) -> bool:
        """Remove a row; False if it isn't there."""
        if row not in self:
            return False
        slot = int(self._slot_of.data[row])
        place = self._segment_of(slot)
        part = self._tail if place is None else self._segments[place]
        self._df.data[part.terms_of(slot)] -= 1
        if place is not None:
            self._segments[place].bury(slot)
            self._buried += 1
            self._asked, self._settled = 0, False
        self._slot_of.data[row] = -1
        self._alive.data[slot] = False
        self.live -= 1
        self.total_length -= int(self._lengths.data[slot])
        return True

    def _segment_of(self, slot: int) -> int | None:
        """Which segment holds a slot; None is the tail."""
        if slot >= self._tail.first:
            return None
        return bisect_right(self._segments, slot, key=lambda segment: segment.first) - 1

    @property
    def mostly_dead(self) -> bool:
        """Whether compacting now keeps the cost of a removal constant on average."""
        return len(self._rows) - self.live > max(self.live, _COMPACT_FROM)

    def compact(self) -> NDArray[np.bool_]:
        """Drop removed documents and unused terms, and number slots and terms anew, in order.

        Returns
        -------
        bool, by old term number
            Which terms were kept.
        """
        self._seal_tail()
        alive, used = self._alive.view, self._df.view > 0
        segments, self._segments = self._segments, []
        rows, lengths = self._rows.view[alive], self._lengths.view[alive]
        self._adopt(rows, lengths, np.ones(self.live, dtype=np.bool_), self._df.view[used])
        number = np.cumsum(used, dtype=np.int32) - np.int32(1)
        first = 0
        for group in _groups(segments, alive):
            sizes = np.concatenate([np.diff(segment.offsets) for segment in group])
            terms = np.concatenate([segment.terms for segment in group])
            codes = np.concatenate([segment.codes for segment in group])
            here = alive[group[0].first : group[0].first + len(sizes)]
            keep = np.repeat(here, sizes)
            offsets = np.zeros(int(here.sum()) + 1, dtype=np.int64)
            np.cumsum(sizes[here], out=offsets[1:])
            living = np.ones(len(offsets) - 1, dtype=np.bool_)
            self._segments.append(
                Segment.build(
                    first,
                    offsets,
                    number[terms[keep]],
                    codes[keep],
                    living,
                    len(self._df),
                    self.pairs,
                )
            )
            first += len(living)
        self._same_width()
        return used

    def expect(self, queries: int) -> None:
        """Get ready for so many queries.

        Walking the tail costs more than a segment does, several small segments more than one, and what
        removed documents left behind is read for nothing. After some queries without a change between
        them it is worth making one of it, so long as that is a matter of milliseconds.
        """
        self._asked += queries
        if self._asked < _PATIENCE or self._settled:
            return
        self._seal_tail()
        size = sum(len(part.terms) for part in self._segments)
        worthwhile = size <= min(self._asked * _REPAID, _MOST_MERGED)
        if worthwhile and (len(self._segments) > 1 or self._buried):
            if self._segments and len(self._rows) <= LARGEST:
                self._merge(0)
            self._buried = 0
        self._settled = not self._buried and len(self._segments) < 2

    def _merge(self, first: int) -> None:
        """Make one of the segments from ``first`` on."""
        merge(self._segments, first, self._alive.view, len(self._df), self.pairs)
        self._same_width()
        self._known = False

    def postings_of(self, term: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """The slots of all documents with a term, dead ones too, and their codes."""
        parts = [segment.postings_of(term) for segment in self._segments]
        parts.append(self._tail.postings_of(term, self._head.data))
        slots = np.concatenate([slots for slots, _ in parts])
        return slots, np.concatenate([codes for _, codes in parts])

    def rows_of(self, slots: NDArray[np.int64]) -> tuple[Rows, NDArray[np.bool_]]:
        """The rows of slots, and whether they are alive."""
        return self._rows.view[slots], self._alive.view[slots]

    def search(
        self,
        numbers: NDArray[np.int32],
        starts: NDArray[np.int64],
        weights: NDArray[np.float64],
        variant: NDArray[np.float64],
        allowed: Mask | None,
        rows: Rows,
        scores: NDArray[np.float32],
    ) -> int:
        """The best documents of many queries; see :func:`~llamaindex_vecx.text.queries.answer`.

        Parameters
        ----------
        variant : float64, shape (3,)
            Its number, floor, and what each document gets.
        rows, scores : shape (queries, k)
            Filled.

        Returns
        -------
        int
            How many queries were answered.
        """
        state = self._state
        if not self._known:
            self._same_width()  # the tail may have brought the pair that no longer fits
            state.hold_parts(
                self._segments,
                self._tail,
                self._head.view,
                self._df.view,
                self._alive.view,
                self._rows.view,
            )
            self._marker = np.empty(0, dtype=code_type(len(self.pairs)))
            self._known = True
        longest = len(numbers) if len(starts) == 2 else int(np.diff(starts).max(initial=0))
        state.fit(longest, rows.shape[1], len(self._df))
        state.hold_weights(weights)
        state.numbers[DOCUMENTS] = self.live
        filtered = allowed is not None
        mask = _UNFILTERED if allowed is None else allowed
        return answer(
            numbers, starts, state.numbers, variant, self._marker, mask, filtered, rows, scores
        )

    def arrays(self) -> tuple[dict[str, NDArray[Any]], list[int]]:
        """For a snapshot: the arrays, and the first slot of each segment."""
        self._seal_tail()
        arrays: dict[str, NDArray[Any]] = {
            "rows": self._rows.view,
            "lengths": self._lengths.view,
            "alive": self._alive.view,
            "df": self._df.view,
            "pairs": self.pairs.view,
        }
        for place, segment in enumerate(self._segments):
            arrays |= segment.arrays(f"segment{place}_")
        return arrays, [segment.first for segment in self._segments]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], firsts: list[int]) -> Postings:
        """What :meth:`arrays` gave. Segments stay memory-mapped."""
        postings = cls()
        rows, lengths, alive, df, pairs = (
            np.asarray(arrays[name]) for name in ("rows", "lengths", "alive", "df", "pairs")
        )
        postings._adopt(rows, lengths, alive, df)
        postings.pairs = Pairs(pairs)
        postings._segments = [
            Segment.from_arrays(f"segment{place}_", first, arrays)
            for place, first in enumerate(firsts)
        ]
        postings._same_width()
        postings.live = int(alive.sum())
        postings.total_length = int(lengths[alive].sum(dtype=np.int64))
        return postings


def _should_merge(left: Segment, right: Segment) -> bool:
    fits = len(left) + len(right) <= LARGEST
    return fits and len(left.terms) < 2 * len(right.terms)


def _groups(segments: Sequence[Segment], alive: NDArray[np.bool_]) -> Iterator[list[Segment]]:
    """Runs of segments whose live documents fit into one."""
    group: list[Segment] = []
    size = 0
    for segment in segments:
        living = int(alive[segment.first : segment.first + len(segment)].sum())
        if group and size + living > LARGEST:
            yield group
            group, size = [], 0
        group.append(segment)
        size += living
    if group:
        yield group
