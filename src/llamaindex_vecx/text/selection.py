"""The best of many: the k best so far, and a threshold for a whole window at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.jit import exact_part, inline
from llamaindex_vecx.text.intrinsics import (
    BLOCK,
    bits_of,
    block_best,
    block_best_masked,
    flagged,
    lowest_bit,
    popcount,
    reaching,
)

__all__ = ["collect", "collect_all", "collect_flagged", "sort_best_first", "threshold_of"]

_BISECTIONS = 24
_COUNTED = 256  # hits up to which to count who is better takes less than to sort


@inline
def _sort_down(keys: NDArray[np.int64], size: int) -> None:
    """Shell's sort, largest first."""
    gap = 1
    while gap < size // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for i in range(gap, size):
            key, j = keys[i], i
            while j >= gap and keys[j - gap] < key:
                keys[j] = keys[j - gap]
                j -= gap
            keys[j] = key
        gap //= 3


@exact_part
def sort_best_first(
    scores: NDArray[np.float64],
    rows: NDArray[np.int64],
    keys: NDArray[np.int64],
    size: int,
    k: int,
) -> int:
    """Sort the first ``size`` hits in place, ties by row, and keep ``k``; how many that are.

    Parameters
    ----------
    scores : float64, shape (2, room), positive
    rows : int64, shape (2, room)
        Hits in the first half; the second is scratch.
    keys : int64, shape (room,)
        Scratch.
    """
    places = 63
    while places < size:
        places = 2 * places + 1
    # A score's bits with its place in the lowest, the first highest, so that equals stay in order: one
    # number to compare and to move.
    for i in range(size):
        keys[i] = (bits_of(scores[0, i]) & ~places) | (places - i)
    if size > _COUNTED:
        _sort_down(keys, size)
    for i in range(size):
        rank, place = i, places - (keys[i] & places)
        if size <= _COUNTED:
            rank = 0
            for j in range(size):
                rank += keys[j] > keys[i]
        scores[1, rank], rows[1, rank] = scores[0, place], rows[0, place]
    for i in range(1, size):
        score, row, j = scores[1, i], rows[1, i], i
        # Ties, and what the lowest bits would have told apart.
        while j > 0 and (
            scores[1, j - 1] < score or (scores[1, j - 1] == score and rows[1, j - 1] > row)
        ):
            scores[1, j], rows[1, j] = scores[1, j - 1], rows[1, j - 1]
            j -= 1
        scores[1, j], rows[1, j] = score, row
    size = min(size, k)
    for i in range(size):
        scores[0, i], rows[0, i] = scores[1, i], rows[1, i]
    return size


@exact_part
def threshold_of(
    scores: NDArray[np.float64],
    docs: int,
    mask: NDArray[np.bool_],
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
    mask : bool, of the same shape
        Read when ``masked``: False keeps a score out.
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
