"""The candidates of a traversal by four bits, estimated again by eight."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.distance import Query, Shape, estimate, standard_error
from llamaindex_vecx.index.keys import NO_KEY, START, key_distance, key_slot, pack
from llamaindex_vecx.index.simd import prefetch
from llamaindex_vecx.jit import inline

__all__ = ["refine"]

_AHEAD = 8  # lower halves asked for before they are read
_CONFIDENCE = np.float32(4.0)  # standard errors; with three, one of a hundred nearest rows was lost


@inline
def refine(
    upper: Shape,
    whole: Shape,
    floats: NDArray[np.float32],
    query: Query,
    norm: float,
    keys: NDArray[np.int64],
    used: int,
    k: int,
) -> int:
    """Estimate keys of a buffer again and sort them anew, until the next can't be among the ``k`` nearest.

    By insertion: hardly any moves far. Rows that resemble each other are misjudged by four bits alike, so
    they are compared with what four bits said of the ``k``-th, too.

    Parameters
    ----------
    upper, whole : Shape
        Of four bits and of eight.
    used : int
        How many keys there may be, by four bits and ascending.

    Returns
    -------
    int
        How many of the first keys are by eight bits now; all others lie beyond them.
    """
    for i in range(START, min(START + _AHEAD, START + used)):
        prefetch_lower(whole, keys[i])
    last = key_distance(keys[START + min(k, used) - 1])
    for i in range(START, START + used):
        if keys[i] == NO_KEY:
            return i - START
        slot = key_slot(keys[i])
        if i >= START + k:
            margin = _CONFIDENCE * standard_error(upper, floats, query, norm, slot)
            worst = max(last, key_distance(keys[START + k - 1]))
            if key_distance(keys[i]) - margin > worst:
                return i - START
        if i + _AHEAD < START + used:
            prefetch_lower(whole, keys[i + _AHEAD])
        key = pack(estimate(whole, floats, query, slot), slot << 1)
        place = i
        while keys[place - 1] > key:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key
    return used


@inline
def prefetch_lower(shape: Shape, key: int) -> None:
    """Ask for the lower half of the code of a candidate."""
    if key != NO_KEY:
        where = shape.base + key_slot(key) * shape.stride + shape.lower
        for line in range(shape.chunks):
            prefetch(where + line * 64)
