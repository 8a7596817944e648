"""Top-k over the segments, document by document in windows, without looking at hopeless ones.

MaxScore (Turtle & Flood, Query Evaluation: Strategies and Optimizations, 1995) over windows of documents.
The terms of a query stand in order of what they are worth. Those behind a certain place can't lift a
document above the k-th best score by themselves, whatever their frequencies; they are looked up only for
documents that the terms before it have made candidates. All sums are float64 and in the order of the
terms, so a document's score does not depend on the window, the threshold or the segment.
"""

from __future__ import annotations

import numpy as np
from numba import carray
from numpy.typing import NDArray

from llamaindex_vecx.index.simd import prefetch
from llamaindex_vecx.jit import exact_kernel, inline
from llamaindex_vecx.text.intrinsics import pointer, popcount
from llamaindex_vecx.text.selection import collect, collect_all, push, threshold_of

__all__ = [
    "BITMAPS",
    "DATA",
    "DOCS",
    "FIELDS",
    "FIRST",
    "INDPTR",
    "PLAN_ROWS",
    "RANKS",
    "ROW",
    "TERMS",
    "WIDEST",
    "search_segment",
]

FIRST, DOCS, TERMS, ROW, INDPTR, DATA, BITMAPS, RANKS = range(8)
FIELDS = 8
"""A segment in numbers: first slot, documents, terms, the row of its first document
where rows are consecutive (else -1), and the addresses of its arrays."""

WIDEST = 16384
"""Segments up to this size are one window."""

_WINDOW = 8192
_START, _COUNT, _COMMON, _CURSOR, _END = range(5)
PLAN_ROWS = 6
"""Rows of a plan: those above, and the terms."""

_SLACK = 1.0 + 1e-9  # bounds are sums in another order than scores
_LEAST = 1e-300
_FEW = 16  # postings per window below which touched documents are listed, not searched for
_WORTH_A_LOOK = 1000  # postings that a threshold half-way may save, else it is not worth its price
_BALANCE = 0.05


@inline
def _seek(data: NDArray[np.uint16], start: int, position: int, count: int, slot: int) -> int:
    """First position from ``position`` on whose slot is at least ``slot``; galloping."""
    if position >= count or data[start + position] >= slot:
        return position
    step = 1
    while position + step < count and data[start + position + step] < slot:
        position += step
        step += step
    low, high = position + 1, min(position + step, count)
    while low < high:
        middle = (low + high) >> 1
        if data[start + middle] < slot:
            low = middle + 1
        else:
            high = middle
    return low


@exact_kernel
def _scatter(
    data: NDArray[np.uint16],
    start: int,
    count: int,
    begin: int,
    end: int,
    worth: float,
    weights: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """Add a term's postings from ``begin`` to ``end`` to the scores."""
    # Unsigned throughout: numba asks of a signed index whether it counts from the end.
    codes = np.uint64(count)
    for posting in range(np.uint64(start + begin), np.uint64(start + end)):
        scores[data[posting]] += worth * weights[data[posting + codes]]


@exact_kernel
def _scatter_matched(
    data: NDArray[np.uint16],
    start: int,
    count: int,
    begin: int,
    end: int,
    worth: float,
    weights: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """As :func:`_scatter`, to documents that have a score."""
    codes = np.uint64(count)
    for posting in range(np.uint64(start + begin), np.uint64(start + end)):
        score = scores[data[posting]]
        gain = worth * weights[data[posting + codes]]
        scores[data[posting]] = score + gain if score > 0.0 else score


@exact_kernel
def search_segment(
    entry: NDArray[np.int64],
    marker: NDArray[np.uint16],
    terms: NDArray[np.int64],
    worths: NDArray[np.float64],
    count: int,
    weights: NDArray[np.float64],
    rows: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    filtered: bool,
    scores: NDArray[np.float64],
    candidates: NDArray[np.uint32],
    touched: NDArray[np.uint32],
    mask: NDArray[np.uint8],
    blocks: NDArray[np.float64],
    plan: NDArray[np.int64],
    worth: NDArray[np.float64],
    rest: NDArray[np.float64],
    heap_scores: NDArray[np.float64],
    heap_rows: NDArray[np.int64],
    size: int,
) -> int:
    """Put a segment's best documents on the heap.

    Parameters
    ----------
    entry : int64, shape (FIELDS,)
        The segment.
    marker
        Empty; its dtype is that of the segment's data.
    terms, worths
        The query's ``count`` distinct terms, the worthiest first; all worths positive.
    weights : float64, by code, positive but for the first, which is 0
    rows : int64, by slot
    allowed : bool, by row
        Rows from its length on are not allowed. Read when ``filtered``.
    scores, candidates, touched, mask, blocks, plan, worth, rest
        Scratch; ``scores`` is zero before and after.
    heap_scores, heap_rows, size
        See :func:`~llamaindex_vecx.text.selection.push`.

    Returns
    -------
    int
        The new size of the heap.
    """
    first, docs, row0 = entry[FIRST], entry[DOCS], entry[ROW]
    indptr = carray(pointer(entry[INDPTR]), entry[TERMS] + 1, np.int64)
    data = carray(pointer(entry[DATA]), indptr[-1] + 1, marker.dtype)
    words = (docs + 63) >> 6
    k = len(heap_scores)

    live = 0
    for i in range(count):
        term = terms[i]
        if term < entry[TERMS]:
            start, end = indptr[term], indptr[term + 1]
            if end > start:
                plan[_START, live] = start + 2
                plan[_COUNT, live] = (end - start - 2) >> 1
                plan[_COMMON, live] = data[start + 1]
                plan[_CURSOR, live] = 0
                prefetch(entry[DATA] + ((start + end) >> 1) * data.itemsize)
                worth[live] = worths[i]
                rest[live] = worths[i] * weights[data[start]] * _SLACK
                live += 1
    if live == 0:
        return size
    rest[live] = 0.0
    for i in range(live - 1, -1, -1):
        rest[i] += rest[i + 1]

    width = docs if docs <= WIDEST else _WINDOW
    low = 0
    while low < docs:
        full = size == k
        threshold = heap_scores[0] if full else 0.0
        essential = live
        while essential > 0 and rest[essential - 1] < threshold:
            essential -= 1
        nearest = docs
        for i in range(essential):
            start, n = plan[_START, i], plan[_COUNT, i]
            cursor = _seek(data, start, plan[_CURSOR, i], n, low)
            plan[_CURSOR, i] = cursor
            if cursor < n and data[start + cursor] < nearest:
                nearest = np.int64(data[start + cursor])
        if nearest == docs:
            break
        low = nearest - nearest % width
        high = min(low + width, docs)
        span = high - low
        total = 0
        for i in range(essential):
            n = plan[_COUNT, i]
            end = n
            if high < docs:
                end = _seek(data, plan[_START, i], plan[_CURSOR, i], n, high)
            plan[_END, i] = end
            total += end - plan[_CURSOR, i]

        cut = threshold * (1.0 - 1e-12)
        found = 0
        listed = total * _FEW < span
        if listed:
            visited = 0
            for i in range(essential):
                start, n = plan[_START, i], plan[_COUNT, i]
                codes = np.uint64(n)
                for posting in range(
                    np.uint64(start + plan[_CURSOR, i]), np.uint64(start + plan[_END, i])
                ):
                    place = data[posting]
                    score = scores[place]
                    touched[visited] = place
                    visited += score == 0.0
                    scores[place] = score + worth[i] * weights[data[posting + codes]]
            for j in range(visited):
                place = touched[j]
                candidates[found] = place
                score = scores[place]
                found += score > 0.0 and score + rest[essential] >= cut
        else:
            middle = essential
            if not full:
                # With nothing to compare with, the first terms give a threshold for the others.
                left = total
                for i in range(essential):
                    if (
                        rest[i] <= _BALANCE * (rest[0] - rest[i])
                        and left >= _WORTH_A_LOOK
                    ):
                        middle = i
                        break
                    left -= plan[_END, i] - plan[_CURSOR, i]
            for i in range(middle):
                _scatter(
                    data,
                    plan[_START, i],
                    plan[_COUNT, i],
                    plan[_CURSOR, i],
                    plan[_END, i],
                    worth[i],
                    weights,
                    scores,
                )
            if not full:
                if filtered:
                    _fill_mask(mask, first, low, high, row0, rows, allowed)
                threshold = threshold_of(scores, low, high, mask, filtered, k, rest[0], blocks)
                if middle < essential and rest[middle] >= threshold:
                    for i in range(middle, essential):
                        _scatter(
                            data,
                            plan[_START, i],
                            plan[_COUNT, i],
                            plan[_CURSOR, i],
                            plan[_END, i],
                            worth[i],
                            weights,
                            scores,
                        )
                    middle = essential
                    threshold = threshold_of(scores, low, high, mask, filtered, k, rest[0], blocks)
            essential = middle
            cut = threshold * (1.0 - 1e-12)
            least = max(cut - rest[essential], _LEAST)
            if full:
                found = collect_all(scores, low, high, least, candidates)
            else:
                found = collect(scores, low, high, blocks, least, candidates)
        if filtered:
            kept = 0
            for j in range(found):
                place = candidates[j]
                candidates[kept] = place
                row = rows[np.uint64(first) + np.uint64(place)]
                kept += row < len(allowed) and allowed[row]
            found = kept

        for i in range(essential, live):
            if found == 0:
                break
            start, n, common = plan[_START, i], plan[_COUNT, i], plan[_COMMON, i]
            kept = 0
            if common > 0:
                bitmap = carray(
                    pointer(entry[BITMAPS] + (common - 1) * words * 8), words, np.uint64
                )
                ranks = carray(pointer(entry[RANKS] + (common - 1) * words * 4), words, np.uint32)
                codes = np.uint64(start + n)
                for j in range(found):
                    place = candidates[j]
                    block = np.uint64(place) >> np.uint64(6)
                    word = bitmap[block]
                    bit = np.uint64(1) << (np.uint64(place) & np.uint64(63))
                    # Without a branch: where the term is missing, the code that is read counts nothing.
                    position = ranks[block] + popcount(word & (bit - np.uint64(1)))
                    gain = worth[i] * weights[data[codes + np.uint64(position)]]
                    score = scores[place] + (gain if word & bit != 0 else 0.0)
                    scores[place] = score
                    candidates[kept] = place
                    kept += score + rest[i + 1] >= cut
            else:
                begin = _seek(data, start, plan[_CURSOR, i], n, low)
                end = n
                if high < docs:
                    end = _seek(data, start, begin, n, high)
                plan[_CURSOR, i] = begin
                if found * 12 < end - begin:
                    for j in range(found):
                        place = candidates[j]
                        position = begin
                        length = end - begin
                        while length > 1:
                            half = length >> 1
                            position += half if data[start + position + half - 1] < place else 0
                            length -= half
                        score = scores[place]
                        if length == 1 and data[start + position] == place:
                            score += worth[i] * weights[data[start + n + position]]
                            scores[place] = score
                        candidates[kept] = place
                        kept += score + rest[i + 1] >= cut
                else:
                    _scatter_matched(
                        data, start, n, begin, end, worth[i], weights, scores
                    )
                    for j in range(found):
                        place = candidates[j]
                        candidates[kept] = place
                        kept += scores[place] + rest[i + 1] >= cut
            found = kept
        for j in range(found):
            place = candidates[j]
            score = scores[place]
            if size < k or score >= heap_scores[0]:
                size = push(heap_scores, heap_rows, size, score, rows[np.uint64(first) + np.uint64(place)])
        if listed:
            for j in range(visited):
                scores[touched[j]] = 0.0
        else:
            for slot in range(np.uint64(low), np.uint64(high)):
                scores[slot] = 0.0
        low = high
    return size


@inline
def _fill_mask(
    mask: NDArray[np.uint8],
    first: int,
    low: int,
    high: int,
    row0: int,
    rows: NDArray[np.int64],
    allowed: NDArray[np.bool_],
) -> None:
    """Which of a window's documents may be returned; ``row0`` as ``entry[ROW]``."""
    if row0 >= 0:
        row = np.uint64(row0)
        known = min(high, max(len(allowed) - row0, low))
        for place in range(np.uint64(low), np.uint64(known)):
            mask[place] = allowed[row + place]
        for place in range(np.uint64(known), np.uint64(high)):
            mask[place] = 0
    else:
        slot = np.uint64(first)
        for place in range(np.uint64(low), np.uint64(high)):
            other = rows[slot + place]
            mask[place] = other < len(allowed) and allowed[other]
