"""The last candidates of a traversal, measured again on float32 vectors."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.distance import Query, Shape
from llamaindex_vecx.index.hnsw.search import permitted
from llamaindex_vecx.index.keys import NO_KEY, START, clear, insert, key_distance, key_slot, pack
from llamaindex_vecx.jit import inline
from llamaindex_vecx.metrics import distance

__all__ = ["rerank"]

_CONFIDENCE = np.float32(3.0)  # standard errors of an estimate
_STEP = np.float32(0.2886751)  # standard deviation of rounding to steps of 1, 1 / √12


@inline
def standard_error(
    shape: Shape, floats: NDArray[np.float32], query: Query, norm: float, slot: int
) -> float:
    """How far an estimate lies from the distance, typically.

    Rounding moves every component by ``factor / √12``, independently, so it moves a dot product by that
    times the length of the other side; and both sides are rounded.
    """
    factor = floats[slot, shape.column]
    other = floats[slot, shape.column + 1]
    return np.sqrt(factor * factor * norm + query.weight * query.weight * other) * _STEP


@inline
def rerank(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    prepared: NDArray[np.float32],
    norm: float,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
    vectors: NDArray[np.float32],
    allowed: NDArray[np.uint8],
    restricted: bool,
    keys: NDArray[np.int64],
    k: int,
    best: NDArray[np.int64],
) -> None:
    """Measure candidates in the order of their estimates, until the next can't be among the k nearest.

    Parameters
    ----------
    prepared, norm : float32, shape (dim,) and scalar
        The query and its squared length.
    keys : int64
        Candidates, ascending. Each stands for its twins too.
    best : int64, room for k keys
        Written: exact distance and row, ascending.
    """
    clear(best)
    for i in range(START, keys.shape[0]):
        key = keys[i]
        if key == NO_KEY:
            break
        slot = key_slot(key)
        worst = best[START + k - 1]
        if worst != NO_KEY:
            margin = _CONFIDENCE * standard_error(shape, floats, query, norm, slot)
            if key_distance(key) - margin > key_distance(worst):
                break
        while slot >= 0:
            if permitted(slot, rows, allowed, restricted):
                found = pack(distance(shape.metric, prepared, vectors, slot), rows[slot])
                if found < best[START + k - 1]:
                    insert(best, found)
            slot = np.int64(twins[slot])
