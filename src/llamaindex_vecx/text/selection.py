"""The best of the documents that a query has touched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.jit import inline, kernel

__all__ = ["select_top"]


@inline
def _worse(score: float, row: int, other_score: float, other_row: int) -> bool:
    return score < other_score or (score == other_score and row > other_row)


@inline
def _sift_down(
    heap_scores: NDArray[np.float64], heap_rows: NDArray[np.int64], size: int, place: int
) -> None:
    """Restore the heap, worst on top, below ``place``."""
    score, row = heap_scores[place], heap_rows[place]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        right = child + 1
        if right < size and _worse(
            heap_scores[right], heap_rows[right], heap_scores[child], heap_rows[child]
        ):
            child = right
        if not _worse(heap_scores[child], heap_rows[child], score, row):
            break
        heap_scores[place] = heap_scores[child]
        heap_rows[place] = heap_rows[child]
        place = child
    heap_scores[place] = score
    heap_rows[place] = row


@kernel
def select_top(
    scores: NDArray[np.float64],
    touched: NDArray[np.int32],
    count: int,
    alive: NDArray[np.bool_],
    rows: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    filtered: bool,
    top_scores: NDArray[np.float64],
    top_rows: NDArray[np.int64],
) -> int:
    """The best live, allowed slots that matched, best first, ties by row.

    Parameters
    ----------
    scores, touched, count
        As :func:`score_segment` left them. Scores are set back to -inf for the next query.
    alive, rows : by slot
    allowed : bool, by row
        Rows from its length on are not allowed. Read when ``filtered``.
    top_scores, top_rows : shape (k,)
        Filled.

    Returns
    -------
    int
        How many were found, at most ``k``.
    """
    k = len(top_scores)
    size = 0
    for position in range(count):
        slot = touched[position]
        score = scores[slot]
        scores[slot] = -np.inf
        row = rows[slot]
        if size == k and not _worse(top_scores[0], top_rows[0], score, row):
            continue
        if not alive[slot] or (filtered and (row >= len(allowed) or not allowed[row])):
            continue
        if size < k:
            top_scores[size] = score
            top_rows[size] = row
            size += 1
            if size == k:
                for place in range(k // 2 - 1, -1, -1):
                    _sift_down(top_scores, top_rows, k, place)
        else:
            top_scores[0] = score
            top_rows[0] = row
            _sift_down(top_scores, top_rows, k, 0)
    _sort_best_first(top_scores, top_rows, size, size == k)
    return size


@inline
def _sort_best_first(
    heap_scores: NDArray[np.float64], heap_rows: NDArray[np.int64], size: int, is_heap: bool
) -> None:
    if not is_heap:
        for place in range(size // 2 - 1, -1, -1):
            _sift_down(heap_scores, heap_rows, size, place)
    for end in range(size - 1, 0, -1):
        heap_scores[0], heap_scores[end] = heap_scores[end], heap_scores[0]
        heap_rows[0], heap_rows[end] = heap_rows[end], heap_rows[0]
        _sift_down(heap_scores, heap_rows, end, 0)
