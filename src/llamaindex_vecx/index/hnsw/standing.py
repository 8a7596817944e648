"""Which nodes stand: those that a row still needs, their own or that of a twin."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.layout import Graph
from llamaindex_vecx.index.keys import START, close, key_slot
from llamaindex_vecx.jit import inline, kernel

__all__ = ["enter_at_standing", "leave_standing", "standing_of", "stands"]


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


@kernel
def mark_standing(
    rows: NDArray[np.int32], twins: NDArray[np.int32], standing: NDArray[np.uint8]
) -> None:
    """Write into ``standing`` (size,) which slots have lists and stand for a row: theirs or a twin's."""
    size = standing.shape[0]
    standing[:] = 1
    for slot in range(size):
        if twins[slot] >= 0:
            standing[twins[slot]] = 0
    for slot in range(size):
        if standing[slot]:
            standing[slot] = stands(np.int64(slot), rows, twins)


def standing_of(graph: Graph, size: int) -> NDArray[np.uint8]:
    """Which of the first ``size`` slots have lists and stand for a row, their own or a twin's."""
    standing = np.empty(size, np.uint8)
    mark_standing(graph.rows, graph.twins, standing)
    return standing


def enter_at_standing(graph: Graph, standing: NDArray[np.uint8]) -> None:
    """Unless the entry point stands, let one of the highest that do take its place."""
    if not standing[graph.state[0] >> 8]:
        levels = np.where(standing, graph.levels[: len(standing)].astype(np.int64), -1)
        highest = int(np.argmax(levels))
        graph.state[0] = highest << 8 | int(levels[highest])
