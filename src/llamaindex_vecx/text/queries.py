"""Token numbers of many queries in, their best documents out, without a step back to Python."""

from __future__ import annotations

import numpy as np
from numba import carray
from numpy.typing import NDArray

from llamaindex_vecx.jit import exact_kernel
from llamaindex_vecx.text.intrinsics import pointer
from llamaindex_vecx.text.search import search_segment
from llamaindex_vecx.text.selection import push, sort_best_first
from llamaindex_vecx.text.variants import idf

__all__ = ["TAIL_FIELDS", "answer", "weigh_terms"]

TAIL_FIELDS = 7
"""The tail in numbers: documents, first slot, origin, and the addresses of head, before, slots, codes."""


@exact_kernel
def weigh_terms(
    numbers: NDArray[np.int32],
    df: NDArray[np.int64],
    seen: NDArray[np.int32],
    kind: int,
    documents: int,
    floor: float,
    terms: NDArray[np.int64],
    worths: NDArray[np.float64],
) -> int:
    """The distinct terms of a query that some live document has, the worthiest first.

    Parameters
    ----------
    numbers : int32, shape (tokens,)
        With repeats; -1 is an unknown token.
    seen : int32, by term, zeros
        Scratch; zeros again afterwards.
    kind, documents
        See :func:`~llamaindex_vecx.text.variants.idf`.
    floor : float
        Stands for a negative idf, unless it is NaN.
    terms, worths : shape (at least the tokens,)
        Filled: the term, and its idf times how often it was given.

    Returns
    -------
    int
        How many there are.
    """
    count = 0
    for i in range(len(numbers)):
        term = numbers[i]
        if 0 <= term < len(df) and df[term] > 0:
            if seen[term] == 0:
                terms[count] = term
                count += 1
            seen[term] += 1
    for i in range(count):
        term = terms[i]
        value = idf(kind, df[term], documents)
        if value < 0.0 and not np.isnan(floor):
            value = floor
        worths[i] = value * seen[term]
        seen[term] = 0
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:  # Shell's sort; of equal worth, the lower number first
        for i in range(gap, count):
            worth, term, j = worths[i], terms[i], i
            while j >= gap and (
                worths[j - gap] < worth or (worths[j - gap] == worth and terms[j - gap] > term)
            ):
                worths[j], terms[j] = worths[j - gap], terms[j - gap]
                j -= gap
            worths[j], terms[j] = worth, term
        gap //= 3
    return count


@exact_kernel
def _search_tail(
    tail: NDArray[np.int64],
    terms: NDArray[np.int64],
    worths: NDArray[np.float64],
    count: int,
    weights: NDArray[np.float64],
    vocabulary: int,
    alive: NDArray[np.bool_],
    rows: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    filtered: bool,
    scores: NDArray[np.float64],
    touched: NDArray[np.uint32],
    heap_scores: NDArray[np.float64],
    heap_rows: NDArray[np.int64],
    size: int,
) -> int:
    """Put the tail's best documents on the heap, by walking each term's chain."""
    first, origin = tail[1], tail[2]
    head = carray(pointer(tail[3]), vocabulary, np.int64)
    before = carray(pointer(tail[4]), 1, np.int64)
    slots = carray(pointer(tail[5]), 1, np.int32)
    codes = carray(pointer(tail[6]), 1, np.uint32)
    visited = 0
    for i in range(count):
        posting = head[terms[i]] - origin
        while posting >= 0:
            place = np.uint32(slots[posting] - first)
            score = scores[place]
            touched[visited] = place
            visited += score == 0.0
            scores[place] = score + worths[i] * weights[codes[posting]]
            posting = before[posting] - origin
    for j in range(visited):
        place = touched[j]
        score, slot = scores[place], first + np.int64(place)
        scores[place] = 0.0
        if alive[slot]:
            row = rows[slot]
            if not filtered or (row < len(allowed) and allowed[row]):
                size = push(heap_scores, heap_rows, size, score, row)
    return size


@exact_kernel
def answer(
    numbers: NDArray[np.int32],
    starts: NDArray[np.int64],
    df: NDArray[np.int64],
    weights: NDArray[np.float64],
    kind: int,
    documents: int,
    floor: float,
    everywhere: float,
    segments: NDArray[np.int64],
    marker: NDArray[np.uint16],
    tail: NDArray[np.int64],
    alive: NDArray[np.bool_],
    rows: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    filtered: bool,
    seen: NDArray[np.int32],
    scores: NDArray[np.float64],
    places: NDArray[np.uint32],
    mask: NDArray[np.uint8],
    plan: NDArray[np.int64],
    floats: NDArray[np.float64],
    best: NDArray[np.float64],
    out_rows: NDArray[np.int64],
    out_scores: NDArray[np.float32],
) -> int:
    """The best documents of each query.

    Parameters
    ----------
    numbers, starts : int32 (tokens,), int64 (queries + 1,)
        Query ``i`` has the tokens ``numbers[starts[i]:starts[i + 1]]``; -1 is an unknown one.
    df, seen : by term
    weights : float64, by code, positive
    kind, documents, floor
        See :func:`weigh_terms`.
    everywhere : float
        What a document gets for each unit of the query's worth, whether it has the term or not.
    segments : int64, shape (segments, FIELDS)
    marker
        Empty; its dtype is that of the segments' data.
    tail : int64, shape (TAIL_FIELDS,)
    alive, rows : by slot
    allowed, filtered
        As in :func:`~llamaindex_vecx.text.search.search_segment`.
    scores, places, mask, plan, floats, best
        Scratch, see :class:`~llamaindex_vecx.text.scratch.Scratch`.
    out_rows, out_scores : int64, float32, shape (queries, k)
        Filled, padded with -1 and -inf.

    Returns
    -------
    int
        How many queries were answered. The next has a term worth nothing or less, for which the bounds
        of :mod:`llamaindex_vecx.text.search` don't hold; it must be answered in another way.
    """
    k = out_rows.shape[1]
    terms, blocks, kept = plan[-1], floats[-1], best[:k]
    for query in range(len(starts) - 1):
        worths = floats[0]
        asked = numbers[starts[query] : starts[query + 1]]
        count = weigh_terms(asked, df, seen, kind, documents, floor, terms, worths)
        if count > 0 and worths[count - 1] <= 0.0:
            return query
        heap_rows = out_rows[query]
        size = 0
        for i in range(len(segments)):
            size = search_segment(
                segments[i],
                marker,
                terms,
                worths,
                count,
                weights,
                rows,
                allowed,
                filtered,
                scores,
                places[0],
                places[1],
                mask,
                blocks,
                plan,
                floats[1],
                floats[2],
                kept,
                heap_rows,
                size,
            )
        if tail[0] > 0:
            size = _search_tail(
                tail,
                terms,
                worths,
                count,
                weights,
                len(df),
                alive,
                rows,
                allowed,
                filtered,
                scores,
                places[1],
                kept,
                heap_rows,
                size,
            )
        sort_best_first(kept, heap_rows, size)
        extra = 0.0
        if everywhere != 0.0:
            for i in range(count):
                extra += worths[i]
            extra *= everywhere
        for i in range(size):
            out_scores[query, i] = kept[i] + extra
        for i in range(size, k):
            out_rows[query, i] = -1
            out_scores[query, i] = -np.inf
    return len(starts) - 1
