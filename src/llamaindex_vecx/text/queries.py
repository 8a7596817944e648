"""Token numbers of many queries in, their best documents out, without a step back to Python."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import array_at
from llamaindex_vecx.jit import exact_kernel, exact_part
from llamaindex_vecx.text.intrinsics import BLOCK
from llamaindex_vecx.text.search import FIELDS, PLAN_ROWS, search_segment
from llamaindex_vecx.text.selection import sort_best_first
from llamaindex_vecx.text.state import (
    ALIVE,
    BEST,
    BEST_ROWS,
    BLOCKS,
    CANDIDATES,
    DF,
    DOCUMENTS,
    FLOATS,
    HIGHEST,
    KEYS,
    MASK,
    PAIRS,
    PARTS,
    PLACES,
    PLAN,
    ROOM,
    ROWS,
    SCORES,
    SEEN,
    SEGMENTS,
    SLOTS,
    TAIL,
    TAIL_FIELDS,
    TOKENS,
    TOUCHED,
    VOCABULARY,
    WEIGHTS,
)
from llamaindex_vecx.text.variants import idf

__all__ = ["answer", "weigh_terms"]

_SAMPLE = 1024


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


@exact_part
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
    best: NDArray[np.float64],
    best_rows: NDArray[np.int64],
    keys: NDArray[np.int64],
    size: int,
    k: int,
) -> int:
    """Put the tail's documents among the best so far, by walking each term's chain."""
    first, origin = tail[1], tail[2]
    head = array_at(tail[3], vocabulary, np.int64)
    before = array_at(tail[4], 1, np.int64)
    slots = array_at(tail[5], 1, np.int32)
    codes = array_at(tail[6], 1, np.uint32)
    least = best[0, k - 1] if size == k else 0.0
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
    for j in range(visited - 1, -1, -1):  # chains begin with the newest, and equals go by row
        place = touched[j]
        score, slot = scores[place], first + np.int64(place)
        scores[place] = 0.0
        if alive[slot] and score >= least:
            row = rows[slot]
            if not filtered or (row < len(allowed) and allowed[row]):
                best[0, size], best_rows[0, size] = score, row
                size += 1
                if size == len(keys):
                    size = sort_best_first(best, best_rows, keys, size, k)
                    least = best[0, k - 1]
    return size


@exact_part
def _share(allowed: NDArray[np.bool_], rows: int) -> float:
    """About how much of ``rows`` is allowed, from a sample."""
    step, taken, good = max(1, rows // _SAMPLE), 0, 0
    for row in range(step >> 1, rows, step):
        taken += 1
        good += row < len(allowed) and allowed[row]
    return good / max(taken, 1)


@exact_kernel
def answer(
    numbers: NDArray[np.int32],
    starts: NDArray[np.int64],
    state: NDArray[np.int64],
    values: NDArray[np.float64],
    marker: NDArray[np.uint16],
    allowed: NDArray[np.bool_],
    filtered: bool,
    out_rows: NDArray[np.int64],
    out_scores: NDArray[np.float32],
) -> int:
    """The best documents of each query.

    Parameters
    ----------
    numbers, starts : int32 (tokens,), int64 (queries + 1,)
        Query ``i`` has the tokens ``numbers[starts[i]:starts[i + 1]]``; -1 is an unknown one.
    state : int64
        See :func:`~llamaindex_vecx.text.state.describe`.
    values : float64, shape (3,)
        Number of the variant; what stands for a negative idf, or NaN; what a document gets for each unit
        of the query's worth, whether it has the term or not.
    marker
        Empty; its dtype is that of the segments' data.
    allowed, filtered
        As in :func:`~llamaindex_vecx.text.search.search_segment`.
    out_rows, out_scores : int64, float32, shape (queries, k)
        Filled, padded with -1 and -inf.

    Returns
    -------
    int
        How many queries were answered. The next has a term worth nothing or less, for which the bounds
        of :mod:`llamaindex_vecx.text.search` don't hold; it must be answered in another way.
    """
    k = out_rows.shape[1]
    documents, slots, vocabulary = state[DOCUMENTS], state[SLOTS], state[VOCABULARY]
    # Arrays come as addresses: to unwrap each as an argument costs a query more than its search.
    df = array_at(state[DF], vocabulary, np.int64)
    seen = array_at(state[SEEN], vocabulary, np.int32)
    weights = array_at(state[WEIGHTS], state[PAIRS], np.float64)
    alive = array_at(state[ALIVE], slots, np.bool_)
    rows = array_at(state[ROWS], slots, np.int64)
    segments = array_at(state[SEGMENTS], (state[PARTS], FIELDS), np.int64)
    tail = array_at(state[TAIL], TAIL_FIELDS, np.int64)
    scores = array_at(state[SCORES], PLACES, np.float64)
    candidates = array_at(state[CANDIDATES], PLACES, np.uint32)
    touched = array_at(state[TOUCHED], PLACES, np.uint32)
    mask = array_at(state[MASK], PLACES, np.bool_)
    blocks = array_at(state[BLOCKS], PLACES // BLOCK, np.float64)
    plan = array_at(state[PLAN], (PLAN_ROWS, state[TOKENS]), np.int64)
    floats = array_at(state[FLOATS], (3, state[TOKENS]), np.float64)
    best = array_at(state[BEST], (2, state[ROOM]), np.float64)
    best_rows = array_at(state[BEST_ROWS], (2, state[ROOM]), np.int64)
    keys = array_at(state[KEYS], state[ROOM], np.int64)
    kind, floor, everywhere = int(values[0]), values[1], values[2]
    share = _share(allowed, state[HIGHEST]) if filtered else 1.0
    terms, worths, worth, rest = plan[PLAN_ROWS - 1], floats[0], floats[1], floats[2]
    for query in range(len(starts) - 1):
        asked = numbers[starts[query] : starts[query + 1]]
        count = weigh_terms(asked, df, seen, kind, documents, floor, terms, worths)
        if count > 0 and worths[count - 1] <= 0.0:
            return query
        size = int(np.int64(0))  # of no literal type, for which everything would be compiled again
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
                share,
                scores,
                candidates,
                touched,
                mask,
                blocks,
                plan,
                worth,
                rest,
                best,
                best_rows,
                keys,
                size,
                k,
            )
        if tail[0] > 0:
            size = _search_tail(
                tail,
                terms,
                worths,
                count,
                weights,
                vocabulary,
                alive,
                rows,
                allowed,
                filtered,
                scores,
                touched,
                best,
                best_rows,
                keys,
                size,
                k,
            )
        size = sort_best_first(best, best_rows, keys, size, k)
        extra = 0.0
        if everywhere != 0.0:
            for i in range(count):
                extra += worths[i]
            extra *= everywhere
        for i in range(size):
            out_rows[query, i] = best_rows[0, i]
            out_scores[query, i] = best[0, i] + extra
        for i in range(size, k):
            out_rows[query, i] = -1
            out_scores[query, i] = -np.inf
    return len(starts) - 1
