"""The last candidates of a traversal, measured again with every bit there is."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address
from llamaindex_vecx.index.hnsw.distance import Query, Shape, measure, prefetch_node, standard_error
from llamaindex_vecx.index.hnsw.search import permitted
from llamaindex_vecx.index.keys import NO_KEY, START, clear, insert, key_distance, key_slot, pack
from llamaindex_vecx.index.simd import prefetch
from llamaindex_vecx.jit import inline

__all__ = ["is_blurred", "rerank"]

_AHEAD = 8  # vectors asked for before they are measured
_CONFIDENCE = np.float32(3.0)  # standard errors of an estimate


@inline
def is_blurred(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    norm: float,
    keys: NDArray[np.int64],
    ef: int,
) -> bool:
    """Whether the nearest and the farthest of ``ef`` candidates are equally far, as far as codes tell.

    Then nearer nodes may well lie outside: many vectors differ by less than a code's step.
    """
    last = keys[START + ef - 1]
    if last == NO_KEY:
        return False
    margin = _CONFIDENCE * standard_error(shape, floats, query, norm, key_slot(last))
    return key_distance(last) - key_distance(keys[START]) < margin


@inline
def prefetch_candidate(
    shape: Shape,
    residuals: NDArray[np.int16],
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
    key: int,
) -> None:
    """Ask for what measuring a candidate, or its twin, reads and its estimates didn't."""
    if key != NO_KEY:
        slot = key_slot(key)
        if rows[slot] >= 0:
            prefetch_residual(residuals, slot)
        twin = np.int64(twins[slot])
        if twin >= 0:
            prefetch_residual(residuals, twin)
            prefetch_node(shape, twin)


@inline
def prefetch_residual(residuals: NDArray[np.int16], slot: int) -> None:
    """Ask for the lower bits of a node."""
    size = residuals.shape[1] * 2
    where = address(residuals) + slot * size
    for line in range(0, size, 64):
        prefetch(where + line)


@inline
def likely_reach(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    norm: float,
    keys: NDArray[np.int64],
    used: int,
    k: int,
) -> float:
    """Up to which estimate candidates will be measured, about: what isn't should not be asked for."""
    last = keys[START + k - 1] if k <= used else np.int64(NO_KEY)
    if last == NO_KEY:
        return np.float32(np.inf)
    margin = _CONFIDENCE * standard_error(shape, floats, query, norm, key_slot(last))
    return key_distance(last) + margin


@inline
def rerank(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    prepared: NDArray[np.float32],
    norm: float,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
    residuals: NDArray[np.int16],
    allowed: NDArray[np.uint8],
    restricted: bool,
    chained: bool,
    keys: NDArray[np.int64],
    used: int,
    k: int,
    best: NDArray[np.int64],
) -> bool:
    """Measure candidates in the order of their estimates, until the next can't be among the k nearest.

    Parameters
    ----------
    prepared, norm : float32, shape (128 · chunks,) and scalar
        The query and its squared length.
    chained : bool
        Whether a candidate stands for its twins too.
    keys, used : int64, int
        Candidates, ascending, and how many there may be.
    best : int64, room for k keys
        Written: exact distance and row, ascending.

    Returns
    -------
    bool
        False where the buffer was full and none of it was left out: others may be nearer.
    """
    clear(best)
    last = START + used
    reach = likely_reach(shape, floats, query, norm, keys, used, k)
    for i in range(START, min(START + _AHEAD, last)):
        prefetch_candidate(shape, residuals, rows, twins, keys[i])
    for i in range(START, last):
        key = keys[i]
        if key == NO_KEY:
            return True
        if i + _AHEAD < last and key_distance(keys[i + _AHEAD]) <= reach:
            prefetch_candidate(shape, residuals, rows, twins, keys[i + _AHEAD])
        slot = key_slot(key)
        worst = best[START + k - 1]
        if worst != NO_KEY:
            margin = _CONFIDENCE * standard_error(shape, floats, query, norm, slot)
            if key_distance(key) - margin > key_distance(worst):
                return True
        while slot >= 0:
            row = np.int64(rows[slot])  # once: it may go, and another come
            if permitted(row, allowed, restricted):
                exact = measure(shape, floats, residuals, prepared, slot)
                found = pack(exact, row)
                if found < best[START + k - 1]:
                    insert(best, found)
            slot = np.int64(twins[slot]) if chained else np.int64(-1)
    return False
