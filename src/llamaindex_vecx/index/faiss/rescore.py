"""Exact scores for candidates that an approximate index has found: what IndexRefineFlat does, with rows."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.base import Rows, Scores
from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.index.exact import NOT_FINITE, prepare, write_answer
from llamaindex_vecx.index.keys import START, buffer, clear, insert, pack
from llamaindex_vecx.jit import kernel
from llamaindex_vecx.metrics import Metric, distance

__all__ = ["rescore"]


@kernel
def _rescore(
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
    """The ``k`` best of each query's own ``slots`` (q, m), -1 where there is none."""
    prepared = np.empty(queries.shape[1], np.float32)
    for i in range(start, stop):
        if not prepare(metric, queries[i], prepared):
            counts[i] = NOT_FINITE
            continue
        keys = best[i - start]
        clear(keys)
        for j in range(slots.shape[1]):
            slot = np.int64(slots[i, j])
            if slot < 0:
                continue
            row = row_of[slot]
            if row < 0:
                continue
            key = pack(distance(metric, prepared, vectors, slot), np.int64(row))
            if key < keys[START + k - 1]:
                insert(keys, key)
        counts[i] = write_answer(metric, keys, k, rows, scores, i)


def rescore(
    metric: Metric,
    queries: NDArray[np.float32],
    k: int,
    vectors: NDArray[np.float32],
    row_of: NDArray[np.int32],
    slots: NDArray[np.int32],
    threads: int,
) -> tuple[Rows, Scores, NDArray[np.int64]]:
    """Measure candidates on the exact vectors.

    Parameters
    ----------
    metric : Metric
    queries : float32, shape (q, dim)
        As the caller gave them.
    k : int
    vectors : float32, shape (capacity, dim)
        Prepared.
    row_of : int32, shape (capacity,)
        The row of each slot, -1 where it was removed.
    slots : int32, shape (q, m)
        Candidates, each once; -1 where there is none.
    threads : int

    Returns
    -------
    rows : int64, shape (q, k)
        Best first, ties by row, padded with -1.
    scores : float32, shape (q, k)
    counts : int64, shape (q,)
        How many were found, or ``NOT_FINITE`` for a query that holds NaN or infinity.
    """
    n = len(queries)
    rows, scores = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    counts = np.empty(n, np.int64)
    best = np.empty((n, len(buffer(k))), np.int64)

    def work(start: int, stop: int) -> None:
        _rescore(
            metric.code, queries, vectors, row_of, slots, best[start:stop], k, rows, scores, counts,
            start, stop,
        )  # fmt: skip

    each_range(work, n, threads)
    return rows, scores, counts
