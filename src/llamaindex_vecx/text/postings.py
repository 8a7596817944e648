"""The inverted index under :class:`~llamaindex_vecx.text.bm25.BM25`: numbered terms, rows and slots.

It knows what occurs where and how often; what that is worth comes in with the query.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import DuplicateIdError
from llamaindex_vecx.index.base import Mask, Rows
from llamaindex_vecx.text.growable import Growable
from llamaindex_vecx.text.kernels import score_segment, score_tail
from llamaindex_vecx.text.pairs import Pairs
from llamaindex_vecx.text.segments import Segment, Tail, merge
from llamaindex_vecx.text.selection import select_top

__all__ = ["Postings"]

_UNFILTERED = np.zeros(0, dtype=np.bool_)
_TAIL_POSTINGS = 1 << 16
_COMPACT_FROM = 1024


class Postings:
    """Documents as sets of numbered terms with frequencies.

    Attributes
    ----------
    live, total_length : int
        Documents that can be found, and the sum of their lengths.
    """

    def __init__(self) -> None:
        self.pairs = Pairs()
        self.live = 0
        self.total_length = 0
        self._segments: list[Segment] = []
        self._spare: list[tuple[NDArray[np.float64], NDArray[np.int32]]] = []
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

    def __contains__(self, row: int) -> bool:
        return 0 <= row < len(self._slot_of) and bool(self._slot_of.data[row] >= 0)

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
        first = len(self._rows)
        self._df.resize(vocabulary)
        self._head.resize(vocabulary)
        self._rows.extend(rows)
        self._lengths.extend(lengths)
        self._alive.extend(np.ones(len(rows), dtype=np.bool_))
        self._slot_of.resize(int(rows.max()) + 1)
        self._slot_of.data[rows] = np.arange(first, first + len(rows), dtype=np.int32)
        self._tail.append(
            ids, starts, self._lengths.data, self._head.data, self._df.data, self.pairs
        )
        self.live += len(rows)
        self.total_length += len(ids)
        # A segment costs an array over the vocabulary: not worth it for a tail that is small beside it.
        if self._tail.postings > max(_TAIL_POSTINGS, vocabulary):
            self._seal_tail()

    def _seal_tail(self) -> None:
        if not len(self._tail):
            return
        vocabulary = len(self._df)
        parts = self._segments
        parts.append(self._tail.seal(self._alive.view, vocabulary))
        self._tail = Tail(self._tail.origin + self._tail.postings, len(self._rows))
        # Sizes stay geometric, so each posting is moved a logarithmic number of times.
        while len(parts) > 1 and len(parts[-2].terms) < 2 * len(parts[-1].terms):
            parts[-2:] = [merge(parts[-2:], self._alive.view, vocabulary)]

    def remove(self, row: int) -> bool:
        """Remove a row; False if it isn't there."""
        if row not in self:
            return False
        slot = int(self._slot_of.data[row])
        self._df.data[self._part_of(slot).terms_of(slot)] -= 1
        self._slot_of.data[row] = -1
        self._alive.data[slot] = False
        self.live -= 1
        self.total_length -= int(self._lengths.data[slot])
        return True

    def _part_of(self, slot: int) -> Segment | Tail:
        if slot >= self._tail.first:
            return self._tail
        place = bisect_right(self._segments, slot, key=lambda segment: segment.first)
        return self._segments[place - 1]

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
        self._spare.clear()
        if segments:
            whole = merge(segments, alive, len(used))
            sizes = np.diff(whole.offsets)
            keep = np.repeat(alive, sizes)
            offsets = np.zeros(self.live + 1, dtype=np.int64)
            np.cumsum(sizes[alive], out=offsets[1:])
            number = np.cumsum(used, dtype=np.int32) - np.int32(1)
            terms, codes = number[whole.terms[keep]], whole.codes[keep]
            self._segments = [
                Segment.build(0, offsets, terms, codes, self._alive.view, len(self._df))
            ]
        return used

    def top(
        self,
        query: NDArray[np.int64],
        idf: NDArray[np.float64],
        weights: NDArray[np.float64],
        k: int | None,
        allowed: Mask | None,
    ) -> tuple[Rows, NDArray[np.float64]]:
        """The ``k`` best documents by the sum of ``idf × weight`` over the query's terms.

        Parameters
        ----------
        query, idf : shape (terms,)
            Distinct term numbers, and what each is worth.
        weights : float64
            What an occurrence is worth, by code of :attr:`pairs`.
        k : int or None
            None is all that match.
        allowed : bool, optional
            By row; rows from its length on are not allowed.

        Returns
        -------
        rows, scores : int64, float64, shape (at most k,)
            Best first, ties by row.
        """
        scores, touched = self._take_accumulators()
        count = 0
        for part in self._segments:
            count = score_segment(
                query,
                idf,
                weights,
                part.first,
                part.indptr,
                part.posting_slots,
                part.posting_codes,
                scores,
                touched,
                count,
            )
        tail = self._tail
        if len(tail):
            count = score_tail(
                query,
                idf,
                weights,
                tail.origin,
                self._head.data,
                tail.before.data,
                tail.slots.data,
                tail.codes.data,
                scores,
                touched,
                count,
            )
        size = count if k is None else min(k, count)
        top_scores, top_rows = np.empty(size), np.empty(size, dtype=np.int64)
        found = select_top(
            scores,
            touched,
            count,
            self._alive.data,
            self._rows.data,
            _UNFILTERED if allowed is None else allowed,
            allowed is not None,
            top_scores,
            top_rows,
        )
        self._spare.append((scores, touched))
        return top_rows[:found], top_scores[:found]

    def _take_accumulators(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Arrays over the slots. A query that is interrupted never gives its half-used ones back."""
        needed = len(self._rows)
        if self._spare:
            scores, touched = self._spare.pop()
            if len(scores) >= needed:
                return scores, touched
        room = needed + needed // 4
        return np.full(room, -np.inf), np.empty(room + 1, dtype=np.int32)

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
        postings.live = int(alive.sum())
        postings.total_length = int(lengths[alive].sum(dtype=np.int64))
        return postings
