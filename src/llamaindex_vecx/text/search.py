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
from llamaindex_vecx.jit import exact_inline, exact_kernel, inline
from llamaindex_vecx.text.intrinsics import pointer, popcount
from llamaindex_vecx.text.selection import (
    collect,
    collect_all,
    collect_flagged,
    push,
    threshold_of,
)

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
_CUT = 1.0 - 1e-12
_LEAST = 1e-300
_LOOK_UP_COST = 4.0  # postings that can be added in the time of looking one up by rank
_SEARCH_COST = 12.0  # postings that can be added in the time of one search for one
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


@exact_inline
def _plan(
    entry: NDArray[np.int64],
    indptr: NDArray[np.int64],
    data: NDArray[np.uint16],
    terms: NDArray[np.int64],
    worths: NDArray[np.float64],
    count: int,
    weights: NDArray[np.float64],
    plan: NDArray[np.int64],
    worth: NDArray[np.float64],
    rest: NDArray[np.float64],
) -> int:
    """Note where the postings of the query's terms are; how many terms the segment has.

    ``rest[i]`` becomes a bound of what the terms from ``i`` on can give a document.
    """
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
    rest[live] = 0.0
    for i in range(live - 1, -1, -1):
        rest[i] += rest[i + 1]
    return live


@exact_inline
def _enter(
    data: NDArray[np.uint16], plan: NDArray[np.int64], terms: int, low: int, width: int, docs: int
) -> tuple[int, int]:
    """Go to the first window from ``low`` on in which one of the first ``terms`` occurs.

    Returns
    -------
    low, total : int
        Where it begins (``docs`` if there is none), and how many postings these terms have in it.
    """
    nearest = docs
    for i in range(terms):
        start, n = plan[_START, i], plan[_COUNT, i]
        cursor = _seek(data, start, plan[_CURSOR, i], n, low)
        plan[_CURSOR, i] = cursor
        if cursor < n:
            nearest = min(nearest, int(data[start + cursor]))
    if nearest == docs:
        return docs, 0
    low = nearest - nearest % width
    high = min(low + width, docs)
    total = 0
    for i in range(terms):
        end = plan[_COUNT, i]
        if high < docs:
            end = _seek(data, plan[_START, i], plan[_CURSOR, i], end, high)
        plan[_END, i] = end
        total += end - plan[_CURSOR, i]
    return low, total


@exact_inline
def _scatter(
    data: NDArray[np.uint16],
    plan: NDArray[np.int64],
    begin: int,
    end: int,
    worth: NDArray[np.float64],
    weights: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """Add the window's postings of the terms from ``begin`` to ``end`` to the scores."""
    # Unsigned throughout: numba asks of a signed index whether it counts from the end.
    for i in range(begin, end):
        first, codes = plan[_START, i], np.uint64(plan[_COUNT, i])
        value = worth[i]
        for posting in range(np.uint64(first + plan[_CURSOR, i]), np.uint64(first + plan[_END, i])):
            scores[data[posting]] += value * weights[data[posting + codes]]


@exact_inline
def _list(
    data: NDArray[np.uint16],
    plan: NDArray[np.int64],
    terms: int,
    worth: NDArray[np.float64],
    weights: NDArray[np.float64],
    scores: NDArray[np.float64],
    touched: NDArray[np.uint32],
) -> int:
    """As :func:`_scatter` for the first terms, noting which documents had no score before."""
    visited = 0
    for i in range(terms):
        first, codes = plan[_START, i], np.uint64(plan[_COUNT, i])
        for posting in range(np.uint64(first + plan[_CURSOR, i]), np.uint64(first + plan[_END, i])):
            place = data[posting]
            score = scores[place]
            touched[visited] = place
            visited += score == 0.0
            scores[place] = score + worth[i] * weights[data[posting + codes]]
    return visited


@exact_inline
def _look_up(
    entry: NDArray[np.int64],
    data: NDArray[np.uint16],
    plan: NDArray[np.int64],
    begin: int,
    live: int,
    low: int,
    high: int,
    worth: NDArray[np.float64],
    rest: NDArray[np.float64],
    weights: NDArray[np.float64],
    cut: float,
    scores: NDArray[np.float64],
    places: NDArray[np.uint32],
    found: int,
) -> int:
    """Complete the candidates' scores by the terms from ``begin`` on, dropping who can't reach ``cut``."""
    docs = entry[DOCS]
    words = (docs + 63) >> 6
    for i in range(begin, live):
        if found == 0:
            break
        start, n, common = plan[_START, i], plan[_COUNT, i], plan[_COMMON, i]
        codes = np.uint64(start + n)
        kept = 0
        if common > 0:
            bitmap = carray(pointer(entry[BITMAPS] + (common - 1) * words * 8), words, np.uint64)
            ranks = carray(pointer(entry[RANKS] + (common - 1) * words * 4), words, np.uint32)
            for j in range(found):
                place = places[j]
                block = np.uint64(place) >> np.uint64(6)
                word = bitmap[block]
                bit = np.uint64(1) << (np.uint64(place) & np.uint64(63))
                # Without a branch: where the term is missing, the code that is read counts nothing.
                position = ranks[block] + popcount(word & (bit - np.uint64(1)))
                gain = worth[i] * weights[data[codes + np.uint64(position)]]
                score = scores[place] + (gain if word & bit != 0 else 0.0)
                scores[place] = score
                places[kept] = place
                kept += score + rest[i + 1] >= cut
            found = kept
            continue
        first = _seek(data, start, plan[_CURSOR, i], n, low)
        last = n if high == docs else _seek(data, start, first, n, high)
        plan[_CURSOR, i] = first
        if found * _SEARCH_COST < last - first:
            for j in range(found):
                place = places[j]
                position, length = first, last - first
                while length > 1:
                    half = length >> 1
                    position += half if data[start + position + half - 1] < place else 0
                    length -= half
                score = scores[place]
                if length == 1 and data[start + position] == place:
                    score += worth[i] * weights[data[codes + np.uint64(position)]]
                    scores[place] = score
                places[kept] = place
                kept += score + rest[i + 1] >= cut
        else:
            for posting in range(np.uint64(start + first), np.uint64(start + last)):
                score = scores[data[posting]]
                gain = worth[i] * weights[data[posting + np.uint64(n)]]
                scores[data[posting]] = score + gain if score > 0.0 else score
            for j in range(found):
                place = places[j]
                places[kept] = place
                kept += scores[place] + rest[i + 1] >= cut
        found = kept
    return found


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
    share: float,
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
    share : float
        About how much of the rows is allowed.
    scores, candidates, touched, mask, blocks, plan, worth, rest
        Scratch; ``scores`` is zero before and after.
    heap_scores, heap_rows, size
        See :func:`~llamaindex_vecx.text.selection.push`.

    Returns
    -------
    int
        The new size of the heap.
    """
    first, docs, k = entry[FIRST], entry[DOCS], len(heap_scores)
    indptr = carray(pointer(entry[INDPTR]), entry[TERMS] + 1, np.int64)
    data = carray(pointer(entry[DATA]), indptr[-1] + 1, marker.dtype)
    live = _plan(entry, indptr, data, terms, worths, count, weights, plan, worth, rest)
    width = docs if docs <= WIDEST else _WINDOW
    low = 0
    while low < docs:
        full = size == k
        threshold = heap_scores[0] if full else 0.0
        cut = threshold * _CUT
        essential = live
        while essential > 0 and rest[essential - 1] < threshold:
            essential -= 1
        low, total = _enter(data, plan, essential, low, width, docs)
        if total == 0:
            break
        high = min(low + width, docs)
        span = high - low
        found = visited = 0
        listed = total * _FEW < span
        if listed:
            visited = _list(data, plan, essential, worth, weights, scores, touched)
            for j in range(visited):
                place = touched[j]
                score = scores[place]
                candidates[found] = place
                found += score > 0.0 and score + rest[essential] >= cut
            if filtered:
                found = _keep_allowed(candidates, found, first, entry[ROW], rows, allowed)
        else:
            sparing = False
            if filtered:
                # Scoring the few that are allowed one by one, instead of all that match.
                many, single = share * span, 0.0
                for i in range(essential):
                    cost = _LOOK_UP_COST if plan[_COMMON, i] > 0 else _SEARCH_COST
                    single += min(float(plan[_END, i] - plan[_CURSOR, i]), many * cost)
                sparing = single * 1.5 < total
                if sparing or not full:
                    _fill_mask(mask, first, low, high, entry[ROW], rows, allowed)
            if sparing:
                found = collect_flagged(mask, low, high, candidates)
                for j in range(found):
                    scores[candidates[j]] = _LEAST
                essential = 0
            else:
                middle = essential
                if not full:
                    # With nothing to compare with, the first terms give a threshold for the last.
                    left = total
                    for i in range(essential):
                        if rest[i] <= _BALANCE * (rest[0] - rest[i]) and left >= _WORTH_A_LOOK:
                            middle = i
                            break
                        left -= plan[_END, i] - plan[_CURSOR, i]
                _scatter(data, plan, 0, middle, worth, weights, scores)
                if full:
                    found = collect_all(
                        scores, low, high, max(cut - rest[middle], _LEAST), candidates
                    )
                else:
                    threshold = threshold_of(scores, low, high, mask, filtered, k, rest[0], blocks)
                    if middle < essential and rest[middle] >= threshold:
                        _scatter(data, plan, middle, essential, worth, weights, scores)
                        middle = essential
                        threshold = threshold_of(
                            scores, low, high, mask, filtered, k, rest[0], blocks
                        )
                    cut = threshold * _CUT
                    found = collect(
                        scores, low, high, blocks, max(cut - rest[middle], _LEAST), candidates
                    )
                essential = middle
                if filtered:
                    found = _keep_allowed(candidates, found, first, entry[ROW], rows, allowed)
        found = _look_up(
            entry,
            data,
            plan,
            essential,
            live,
            low,
            high,
            worth,
            rest,
            weights,
            cut,
            scores,
            candidates,
            found,
        )
        for j in range(found):
            place = candidates[j]
            score = scores[place]
            if score > _LEAST and (size < k or score >= heap_scores[0]):
                size = push(
                    heap_scores, heap_rows, size, score, rows[np.uint64(first) + np.uint64(place)]
                )
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
    for place in range(np.uint64(high), np.uint64(high + 64)):
        mask[place] = 0


@inline
def _keep_allowed(
    candidates: NDArray[np.uint32],
    found: int,
    first: int,
    row0: int,
    rows: NDArray[np.int64],
    allowed: NDArray[np.bool_],
) -> int:
    """Drop the candidates that may not be returned; ``row0`` as ``entry[ROW]``."""
    kept = 0
    for j in range(found):
        place = candidates[j]
        row = row0 + np.int64(place)
        if row0 < 0:
            row = np.int64(rows[np.uint64(first) + np.uint64(place)])  # type: ignore[assignment]
        candidates[kept] = place
        kept += row < len(allowed) and allowed[np.uint64(row)]
    return kept
