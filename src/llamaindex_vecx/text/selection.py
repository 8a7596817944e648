"""The best of many: a heap of the k best so far, and a threshold for a whole window at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.jit import exact_kernel, inline, kernel
from llamaindex_vecx.text.intrinsics import (
    BLOCK,
    block_best,
    block_best_masked,
    flagged,
    lowest_bit,
    popcount,
    reaching,
)

__all__ = ["collect", "collect_all", "collect_flagged", "push", "sort_best_first", "threshold_of"]

_BISECTIONS = 24


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


@inline
def push(
    heap_scores: NDArray[np.float64],
    heap_rows: NDArray[np.int64],
    size: int,
    score: float,
    row: int,
) -> int:
    """Keep (score, row) if it is among the best ``len(heap_scores)``, ties by row; the new size.

    A heap, worst on top, from the moment it is full.
    """
    k = len(heap_scores)
    if size < k:
        heap_scores[size] = score
        heap_rows[size] = row
        size += 1
        if size == k:
            for place in range(k // 2 - 1, -1, -1):
                _sift_down(heap_scores, heap_rows, k, place)
    elif _worse(heap_scores[0], heap_rows[0], score, row):
        heap_scores[0] = score
        heap_rows[0] = row
        _sift_down(heap_scores, heap_rows, k, 0)
    return size


@kernel
def sort_best_first(
    heap_scores: NDArray[np.float64], heap_rows: NDArray[np.int64], size: int
) -> None:
    """Sort what :func:`push` has kept."""
    if size < len(heap_scores):
        for place in range(size // 2 - 1, -1, -1):
            _sift_down(heap_scores, heap_rows, size, place)
    for end in range(size - 1, 0, -1):
        heap_scores[0], heap_scores[end] = heap_scores[end], heap_scores[0]
        heap_rows[0], heap_rows[end] = heap_rows[end], heap_rows[0]
        _sift_down(heap_scores, heap_rows, end, 0)


@exact_kernel
def threshold_of(
    scores: NDArray[np.float64],
    docs: int,
    mask: NDArray[np.uint8],
    masked: bool,
    k: int,
    most: float,
    blocks: NDArray[np.float64],
) -> float:
    """A score that at least ``k`` of the first ``docs`` reach, or 0.

    ``k`` blocks whose best reaches a value hold ``k`` documents that do. The value is found by bisection.

    Parameters
    ----------
    scores : float64, not negative
        Zero from ``docs`` to the end of its block.
    mask : uint8, of the same shape
        Read when ``masked``: 0 keeps a score out.
    most : float
        No score is above it.
    blocks : float64
        Filled with the best of each block, and zeros to a multiple of 64.
    """
    count = 0
    if masked:
        for start in range(0, docs, BLOCK):
            blocks[count] = block_best_masked(scores, mask, start)
            count += 1
    else:
        for start in range(0, docs, BLOCK):
            blocks[count] = block_best(scores, start)
            count += 1
    while count & 63:
        blocks[count] = 0.0
        count += 1
    if k > count:
        return 0.0
    least = 0.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (least + most)
        reached = 0
        for block in range(0, count, 64):
            reached += popcount(reaching(blocks, block, middle))
        if reached >= k:
            least = middle
            if reached <= k + (k >> 2):
                break
        else:
            most = middle
    return least


@inline
def collect(
    scores: NDArray[np.float64],
    docs: int,
    blocks: NDArray[np.float64],
    least: float,
    places: NDArray[np.uint32],
) -> int:
    """Places of the scores that are at least ``least``, from the ``blocks`` of :func:`threshold_of`."""
    found = 0
    lower = (np.uint64(1) << np.uint64(BLOCK)) - np.uint64(1)
    for group in range(0, (docs + BLOCK - 1) // BLOCK, 64):
        some = reaching(blocks, group, least)
        while some != 0:
            start = (group + lowest_bit(some)) * BLOCK
            some &= some - np.uint64(1)
            word = reaching(scores, start, least) & lower
            while word != 0:
                places[found] = start + lowest_bit(word)
                found += 1
                word &= word - np.uint64(1)
    return found


@inline
def collect_all(
    scores: NDArray[np.float64], docs: int, least: float, places: NDArray[np.uint32]
) -> int:
    """Places of the first ``docs`` scores that are at least ``least``, by looking at each."""
    found = 0
    for start in range(0, docs, 64):
        word = reaching(scores, start, least)
        while word != 0:
            places[found] = start + lowest_bit(word)
            found += 1
            word &= word - np.uint64(1)
    return found


@inline
def collect_flagged(mask: NDArray[Any], first: int, docs: int, places: NDArray[np.uint32]) -> int:
    """Which of ``docs`` bytes from ``first`` on are not 0, counted from there; 63 more are read."""
    found = 0
    for start in range(0, docs, 64):
        word = flagged(mask, first + start)
        if docs - start < 64:
            word &= (np.uint64(1) << np.uint64(docs - start)) - np.uint64(1)
        while word != 0:
            places[found] = start + lowest_bit(word)
            found += 1
            word &= word - np.uint64(1)
    return found
