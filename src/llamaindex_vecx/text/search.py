"""Top-k over one segment, without looking at hopeless documents.

MaxScore (Turtle & Flood, Query Evaluation: Strategies and Optimizations, 1995), segment by segment. The
terms of a query stand in order of what they are worth. Those behind a certain place can't lift a document
above the k-th best score by themselves, whatever their frequencies; they are looked up only for documents
that the terms before it have made candidates. All sums are float64 and in the order of the terms, so a
document's score does not depend on the threshold or the segment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import array_at
from llamaindex_vecx.index.simd import prefetch
from llamaindex_vecx.jit import exact_inline, exact_part, inline
from llamaindex_vecx.text.intrinsics import popcount
from llamaindex_vecx.text.selection import (
    collect,
    collect_all,
    collect_flagged,
    sort_best_first,
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
    "search_segment",
]

FIRST, DOCS, TERMS, ROW, INDPTR, DATA, BITMAPS, RANKS = range(8)
FIELDS = 8
"""A segment in numbers: first slot, documents, terms, the row of its first document where rows are
consecutive (else -1), and the addresses of its arrays."""

_START, _COUNT, _COMMON = range(3)
PLAN_ROWS = 4
"""Rows of a plan: those above, and the terms."""

# Bounds are sums in another order than scores are: compare them with room for the rounding.
_SLACK = 1.0 + 1e-9
_CUT = 1.0 - 1e-12
_LEAST = 1e-300

# What was measured to pay, in postings added:
_FEW = 4  # with so many times fewer than documents, those touched are listed, not searched for
_WORTH_A_LOOK = 1000  # saved by a threshold half-way, which costs a pass over the scores
_BALANCE = 0.05  # the rest's share of the bounds at which that threshold nearly always excludes it
_LOOK_UP_COST = 3.0  # one look-up by rank
_SEARCH_COST = 12.0  # one binary search


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
                prefetch(entry[DATA] + ((start + end) >> 1) * data.itemsize)
                worth[live] = worths[i]
                rest[live] = worths[i] * weights[data[start]] * _SLACK
                live += 1
    rest[live] = 0.0
    for i in range(live - 1, -1, -1):
        rest[i] += rest[i + 1]
    return live


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
    """Add the postings of the terms from ``begin`` to ``end`` to the scores."""
    # Unsigned throughout: numba asks of a signed index whether it counts from the end.
    for i in range(begin, end):
        start, count = np.uint64(plan[_START, i]), np.uint64(plan[_COUNT, i])
        value = worth[i]
        for posting in range(start, start + count):
            scores[data[posting]] += value * weights[data[posting + count]]


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
        start, count = np.uint64(plan[_START, i]), np.uint64(plan[_COUNT, i])
        for posting in range(start, start + count):
            place = data[posting]
            score = scores[place]
            touched[visited] = place
            visited += score == 0.0
            scores[place] = score + worth[i] * weights[data[posting + count]]
    return visited


@exact_inline
def _look_up(
    entry: NDArray[np.int64],
    data: NDArray[np.uint16],
    plan: NDArray[np.int64],
    begin: int,
    live: int,
    worth: NDArray[np.float64],
    rest: NDArray[np.float64],
    weights: NDArray[np.float64],
    cut: float,
    scores: NDArray[np.float64],
    places: NDArray[np.uint32],
    found: int,
) -> int:
    """Complete the candidates' scores by the terms from ``begin`` on, dropping who can't reach ``cut``."""
    words = (entry[DOCS] + 63) >> 6
    for i in range(begin, live):
        if found == 0:
            break
        start, count, common = plan[_START, i], plan[_COUNT, i], plan[_COMMON, i]
        codes = np.uint64(start + count)
        kept = 0
        if common > 0:
            bitmap = array_at(entry[BITMAPS] + (common - 1) * words * 8, words, np.uint64)
            ranks = array_at(entry[RANKS] + (common - 1) * words * 4, words, np.uint32)
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
        elif found * _SEARCH_COST < count:
            for j in range(found):
                place = places[j]
                position, length = start, count
                while length > 1:
                    half = length >> 1
                    position += half if data[np.uint64(position + half - 1)] < place else 0
                    length -= half
                score = scores[place]
                if data[np.uint64(position)] == place:
                    score += worth[i] * weights[data[np.uint64(position + count)]]
                    scores[place] = score
                places[kept] = place
                kept += score + rest[i + 1] >= cut
        else:
            for posting in range(np.uint64(start), codes):
                score = scores[data[posting]]
                gain = worth[i] * weights[data[posting + np.uint64(count)]]
                scores[data[posting]] = score + gain if score > 0.0 else score
            for j in range(found):
                place = places[j]
                places[kept] = place
                kept += scores[place] + rest[i + 1] >= cut
        found = kept
    return found


@inline
def _sparing(plan: NDArray[np.int64], terms: int, total: int, documents: float) -> bool:
    """Whether to score so many documents one by one takes less than to add all postings."""
    single = _LOOK_UP_COST * documents  # to list them and to clear up
    for i in range(terms):
        cost = _LOOK_UP_COST if plan[_COMMON, i] > 0 else _SEARCH_COST
        single += min(float(plan[_COUNT, i]), documents * cost)
    return single < total


@exact_part
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
    mask: NDArray[np.bool_],
    blocks: NDArray[np.float64],
    plan: NDArray[np.int64],
    worth: NDArray[np.float64],
    rest: NDArray[np.float64],
    best: NDArray[np.float64],
    best_rows: NDArray[np.int64],
    keys: NDArray[np.int64],
    size: int,
    k: int,
) -> int:
    """Put a segment's best documents among the ``size`` best so far, sorted where they are ``k``.

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
    best, best_rows, keys, size, k
        See :func:`~llamaindex_vecx.text.selection.sort_best_first`; there is room for more than ``k``.

    Returns
    -------
    int
        The new ``size``, at most ``k``.
    """
    first, docs, row0 = entry[FIRST], entry[DOCS], entry[ROW]
    none = int(np.int64(0))  # of no literal type, for which callees would be compiled again
    indptr = array_at(entry[INDPTR], entry[TERMS] + 1, np.int64)
    data = array_at(entry[DATA], indptr[-1] + 1, marker.dtype)
    live = _plan(entry, indptr, data, terms, worths, count, weights, plan, worth, rest)
    full = size == k
    least = best[0, k - 1] if full else 0.0
    threshold = least
    essential = live
    while essential > 0 and rest[essential - 1] < threshold:
        essential -= 1
    if essential == 0:
        return size
    total = 0
    for i in range(essential):
        total += plan[_COUNT, i]

    cut = threshold * _CUT
    found, visited = 0, -1
    # Until there are k, nothing is dropped on the way, and each has to be looked up for every term.
    if filtered and _sparing(plan, essential, total if full else total // 2, share * docs):
        if row0 >= 0 and row0 + docs + 64 <= len(allowed):
            visited = collect_flagged(allowed, row0, docs, touched)
        else:
            _fill_mask(mask, first, docs, row0, rows, allowed)
            visited = collect_flagged(mask, none, docs, touched)
        for j in range(visited):
            candidates[j] = touched[j]
            scores[touched[j]] = _LEAST
        found, essential = visited, 0
    elif total * _FEW < docs:
        visited = _list(data, plan, essential, worth, weights, scores, touched)
        for j in range(visited):
            place = touched[j]
            score = scores[place]
            candidates[found] = place
            found += score > 0.0 and score + rest[essential] >= cut
    elif full:
        _scatter(data, plan, none, essential, worth, weights, scores)
        found = collect_all(scores, docs, max(cut - rest[essential], _LEAST), candidates)
    else:
        # With nothing to compare with, the first terms give a threshold for the last.
        middle, left = 0, total
        while middle < essential and left >= _WORTH_A_LOOK:
            if rest[middle] <= _BALANCE * (rest[0] - rest[middle]):
                break
            left -= plan[_COUNT, middle]
            middle += 1
        if left < _WORTH_A_LOOK:
            middle = essential
        _scatter(data, plan, none, middle, worth, weights, scores)
        if filtered:
            _fill_mask(mask, first, docs, row0, rows, allowed)
        threshold = threshold_of(scores, docs, mask, filtered, k, rest[0], blocks)
        if middle < essential and rest[middle] >= threshold:
            _scatter(data, plan, middle, essential, worth, weights, scores)
            middle = essential
            threshold = threshold_of(scores, docs, mask, filtered, k, rest[0], blocks)
        cut = threshold * _CUT
        found = collect(scores, docs, blocks, max(cut - rest[middle], _LEAST), candidates)
        essential = middle
    if filtered and essential > 0:
        found = _keep_allowed(candidates, found, first, row0, rows, allowed)
    found = _look_up(
        entry, data, plan, essential, live, worth, rest, weights, cut, scores, candidates, found
    )
    for j in range(found):
        place = candidates[j]
        score = scores[place]
        if score > _LEAST and score >= least:
            best[0, size] = score
            best_rows[0, size] = rows[np.uint64(first) + np.uint64(place)]
            size += 1
            if size == len(keys):
                size = sort_best_first(best, best_rows, keys, size, k)
                least = best[0, k - 1]
    if size >= k:
        size = sort_best_first(best, best_rows, keys, size, k)
    if visited >= 0:
        for j in range(visited):
            scores[touched[j]] = 0.0
    else:
        for place in range(np.uint64(docs)):
            scores[place] = 0.0
    return size


@inline
def _fill_mask(
    mask: NDArray[np.bool_],
    first: int,
    docs: int,
    row0: int,
    rows: NDArray[np.int64],
    allowed: NDArray[np.bool_],
) -> None:
    """Which of a segment's documents may be returned; ``row0`` as ``entry[ROW]``."""
    if row0 >= 0:
        row = np.uint64(row0)
        known = min(docs, max(len(allowed) - row0, 0))
        for place in range(np.uint64(known)):
            mask[place] = allowed[row + place]
        for place in range(np.uint64(known), np.uint64(docs)):
            mask[place] = False
    else:
        slot = np.uint64(first)
        for place in range(np.uint64(docs)):
            other = rows[slot + place]
            mask[place] = other < len(allowed) and allowed[other]
    for place in range(np.uint64(docs), np.uint64(docs + 64)):
        mask[place] = False


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
        row = row0 + int(place)
        if row0 < 0:
            row = int(rows[np.uint64(first) + np.uint64(place)])
        candidates[kept] = place
        kept += row < len(allowed) and allowed[np.uint64(row)]
    return kept
