"""Exact distances over given slots: all of a flat index, or the few allowed rows of a graph.

Answers collect in one key buffer a query, distance above and row below, so ties come out by row.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.keys import NO_KEY, START, clear, insert, key_distance, key_low, pack
from llamaindex_vecx.jit import inline, kernel
from llamaindex_vecx.metrics import COSINE, distance, similarity

__all__ = ["NOT_FINITE", "prepare", "scan", "write_answer"]

NOT_FINITE = -1
"""In the place of a count: the query holds NaN or infinity."""

_BLOCK = 256  # vectors that stay in the cache while all queries pass


@inline
def prepare(metric: int, vector: NDArray[np.float32], out: NDArray[np.float32]) -> bool:
    """:meth:`Metric.prepare` for kernels, of one vector (dim,). False where it is not finite."""
    squares = 0.0
    for j in range(vector.shape[0]):
        squares += np.float64(vector[j]) * np.float64(vector[j])
    if not np.isfinite(squares):  # float64 holds the square of every finite float32
        return False
    scale = 1.0
    if metric == COSINE and squares > 0.0:
        scale = 1.0 / np.sqrt(squares)
    for j in range(vector.shape[0]):
        out[j] = np.float32(vector[j] * scale)
    return True


@inline
def write_answer(
    metric: int,
    best: NDArray[np.int64],
    k: int,
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    i: int,
) -> int:
    """Write the keys of a buffer to ``rows[i]`` and ``scores[i]``, padded; how many there were."""
    found = 0
    for j in range(k):
        key = best[START + j]
        if key == NO_KEY:
            rows[i, j] = -1
            scores[i, j] = -np.inf
        else:
            rows[i, j] = key_low(key)
            scores[i, j] = similarity(metric, key_distance(key))
            found += 1
    return found


@kernel
def scan(
    metric: int,
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    row_of: NDArray[np.int32],
    slots: NDArray[np.int32],
    best: NDArray[np.int64],
    k: int,
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    counts: NDArray[np.int64],
    start: int,
    stop: int,
) -> None:
    """The ``k`` nearest of ``slots`` for the queries from ``start`` to ``stop``.

    Parameters
    ----------
    queries : float32, shape (q, dim)
        As the caller gave them.
    vectors : float32, shape (capacity, dim)
        Prepared.
    row_of : int32, shape (capacity,)
    slots : int32, shape (m,)
    best : int64, shape (stop - start, room for k keys)
        Scratch.
    rows, scores : shape (q, k)
        Written.
    counts : int64, shape (q,)
        Written: how many were found, or :data:`NOT_FINITE`.
    """
    prepared = np.empty((stop - start, queries.shape[1]), np.float32)
    for i in range(start, stop):
        clear(best[i - start])
        counts[i] = 0 if prepare(metric, queries[i], prepared[i - start]) else NOT_FINITE
    for low in range(0, slots.shape[0], _BLOCK):
        high = min(low + _BLOCK, slots.shape[0])
        for i in range(start, stop):
            if counts[i] == NOT_FINITE:
                continue
            keys, query = best[i - start], prepared[i - start]
            for j in range(low, high):
                slot = np.int64(slots[j])
                row = row_of[slot]
                if row < 0:  # removed since the caller looked
                    continue
                key = pack(distance(metric, query, vectors, slot), np.int64(row))
                if key < keys[START + k - 1]:
                    insert(keys, key)
    for i in range(start, stop):
        if counts[i] != NOT_FINITE:
            counts[i] = write_answer(metric, best[i - start], k, rows, scores, i)
