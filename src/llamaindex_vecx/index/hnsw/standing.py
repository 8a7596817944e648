"""Which nodes stand: those that a row still needs, their own or that of a twin."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.keys import NO_KEY, START, key_slot
from llamaindex_vecx.jit import inline

__all__ = ["leave_standing", "stands"]


@inline
def stands(slot: int, rows: NDArray[np.int32], twins: NDArray[np.int32]) -> bool:
    """Whether a node or one of its twins wasn't removed."""
    while slot >= 0:
        if rows[slot] >= 0:
            return True
        slot = np.int64(twins[slot])
    return False


@inline
def leave_standing(
    keys: NDArray[np.int64], itself: int, rows: NDArray[np.int32], twins: NDArray[np.int32]
) -> int:
    """Drop candidates that are removed, and the node itself; how many are left."""
    kept = START
    for i in range(START, keys.shape[0]):
        key = keys[i]
        if key == NO_KEY:
            break
        slot = key_slot(key)
        if slot != itself and stands(slot, rows, twins):
            keys[kept] = key
            kept += 1
    for i in range(kept, keys.shape[0]):
        keys[i] = NO_KEY
    return kept - START
