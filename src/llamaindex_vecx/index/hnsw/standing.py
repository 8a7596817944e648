"""Which nodes stand: those that a row still needs, their own or that of a twin."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.keys import START, close, key_slot
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
    keys: NDArray[np.int64],
    used: int,
    itself: int,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
) -> int:
    """Drop the node itself and what is removed of the first ``used`` candidates; how many are left."""
    kept = 0
    for i in range(START, START + used):
        slot = key_slot(keys[i])
        if slot != itself and stands(slot, rows, twins):
            keys[START + kept] = keys[i]
            kept += 1
    close(keys, kept)
    return kept
