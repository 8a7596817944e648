"""From queries to rows: the kernel behind :meth:`HNSW.search`."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.exact import NOT_FINITE, prepare, write_answer
from llamaindex_vecx.index.hnsw.distance import as_query, encode, shape_of
from llamaindex_vecx.index.hnsw.rerank import rerank
from llamaindex_vecx.index.hnsw.search import (
    descend,
    next_epoch,
    search_admissible,
    search_level,
)
from llamaindex_vecx.index.keys import clear
from llamaindex_vecx.index.simd import address
from llamaindex_vecx.jit import kernel

__all__ = ["answer"]


@kernel
def answer(
    metric: int,
    queries: NDArray[np.float32],
    start: int,
    stop: int,
    k: int,
    ef: int,
    budget: int,
    filtered: bool,
    restricted: bool,
    allowed: NDArray[np.uint8],
    blocks: NDArray[np.uint8],
    upper: NDArray[np.int32],
    first: NDArray[np.int32],
    twins: NDArray[np.int32],
    row_of: NDArray[np.int32],
    vectors: NDArray[np.float32],
    state: NDArray[np.int64],
    visited: NDArray[np.uint8],
    epoch: NDArray[np.uint8],
    code: NDArray[np.int8],
    prepared: NDArray[np.float32],
    slots: NDArray[np.int32],
    keys: NDArray[np.int64],
    pool: NDArray[np.int64],
    best: NDArray[np.int64],
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    counts: NDArray[np.int64],
) -> None:
    """Answer the queries from ``start`` to ``stop`` (paper: algorithm 5).

    Parameters
    ----------
    queries : float32, shape (q, dim)
        As the caller gave them.
    filtered : bool
        Not every node may be returned.
    restricted : bool
        ``allowed`` says which rows may; else all that weren't removed.
    budget : int
        Distances after which a filtered search gives up.
    blocks … state
        See :class:`~llamaindex_vecx.index.hnsw.layout.Graph`.
    visited … best
        Scratch, see :class:`~llamaindex_vecx.index.hnsw.scratch.Scratch`.
    rows, scores : int64 and float32, shape (q, k)
        Written.
    counts : int64, shape (q,)
        Written: how many were found, or :data:`NOT_FINITE`.
    """
    shape = shape_of(blocks, vectors.shape[1], metric)
    floats = blocks.view(np.float32)
    links = blocks.view(np.int32)
    for i in range(start, stop):
        if not prepare(metric, queries[i], prepared):
            counts[i] = NOT_FINITE
            continue
        clear(best)
        packed = state[0]
        if packed >= 0:
            total, factor, norm = encode(prepared, code)
            query = as_query(metric, address(code), total, factor, norm)
            level = packed & np.int64(255)
            entry = descend(
                shape, floats, query, upper, first, packed >> np.int64(8), level, np.int64(0)
            )
            stamp = next_epoch(visited, epoch)
            done = True
            if filtered:
                done = search_admissible(
                    shape, floats, query, links, shape.column + 4, row_of, twins, allowed,
                    restricted, entry, ef, budget, keys, pool, visited, stamp, slots,
                )  # fmt: skip
            else:
                search_level(
                    shape, floats, query, links, shape.column + 4, first, np.int64(0), entry, ef,
                    keys, visited, stamp, slots,
                )  # fmt: skip
            if done:
                rerank(
                    shape, floats, query, prepared, norm, row_of, twins, vectors, allowed,
                    restricted, keys, k, best,
                )  # fmt: skip
        counts[i] = write_answer(metric, best, k, rows, scores, i)
