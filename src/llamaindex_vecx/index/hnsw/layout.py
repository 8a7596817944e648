"""Where everything of a node lies.

One block a node, a whole number of 64-byte cache lines, so that what a hop reads comes in a row::

    code u8 × 64·chunks | factor f32 | norm f32 | total i32 | degree i32 | neighbours i32 × 2M | padding

``code`` is the vector in steps of ``factor``, shifted by 128; the padding of a code is 128, a zero.
``norm`` is the squared length and ``total`` the sum of the unshifted code. A *slot* is a node's place,
in order of insertion; the caller's *row* is ``rows[slot]``, or -1 once removed.

Lists of the upper levels are rare (one node in M has any) and lie apart: ``upper[first[slot] + level - 1]``
is ``[degree, neighbours × M]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.memory import LINE, zeros

__all__ = ["EMPTY", "Graph", "column", "grow", "new_graph", "stride"]

_HEADER = 4  # int32 or float32 words between code and neighbours
_READ_AT_RANDOM = {"blocks", "vectors"}
EMPTY = -1
"""Value of ``state[0]`` while there is no entry point."""


class Graph(NamedTuple):
    """The arrays of an index. A search takes one such tuple and never looks back.

    Arrays are replaced when they grow, and then all of ``state`` with them, so every slot that a reader
    can meet through its own tuple lies inside its own arrays, whatever the writer does meanwhile.

    Attributes
    ----------
    blocks : uint8, shape (capacity, stride)
    upper : int32, shape (lists, 1 + M)
    first : int32, shape (capacity,)
        Where a node's upper lists begin.
    levels : uint8, shape (capacity,)
    twins : int32, shape (capacity,)
        The next slot with the same code, or -1; see :mod:`llamaindex_vecx.index.hnsw.build`.
    rows : int32, shape (capacity,)
    vectors : float32, shape (capacity, dim)
        Prepared by the metric.
    state : int64, shape (4,)
        Entry point and its level as ``slot << 8 | level`` in one word, so that they can't be torn;
        lock of the entry point; next slot to insert.
    """

    blocks: NDArray[np.uint8]
    upper: NDArray[np.int32]
    first: NDArray[np.int32]
    levels: NDArray[np.uint8]
    twins: NDArray[np.int32]
    rows: NDArray[np.int32]
    vectors: NDArray[np.float32]
    state: NDArray[np.int64]


def chunks(dim: int) -> int:
    """64-byte chunks of a code."""
    return -(-dim // LINE)


def column(dim: int) -> int:
    """Where in a block, counted in 4-byte words, the header begins."""
    return chunks(dim) * LINE // 4


def stride(dim: int, M: int) -> int:
    """Bytes of a block."""
    words = column(dim) + _HEADER + 2 * M
    return -(-words * 4 // LINE) * LINE


def new_graph(dim: int, M: int) -> Graph:
    """A graph of capacity 0."""
    return Graph(
        blocks=zeros((0, stride(dim, M)), np.uint8),
        upper=np.zeros((0, 1 + M), np.int32),
        first=np.zeros(0, np.int32),
        levels=np.zeros(0, np.uint8),
        twins=np.zeros(0, np.int32),
        rows=np.zeros(0, np.int32),
        vectors=np.zeros((0, dim), np.float32),
        state=np.array([EMPTY, 0, 0, 0], np.int64),
    )


def grow(graph: Graph, used: int, capacity: int, lists: int) -> Graph:
    """A copy with room for ``capacity`` nodes and ``lists`` upper lists; ``graph`` stays as it is.

    Parameters
    ----------
    used : int
        Slots in use; what lies beyond is not copied.
    """
    arrays = {}
    for name, old in graph._asdict().items():
        if name == "state":
            arrays[name] = old.copy()
            continue
        size = lists if name == "upper" else capacity
        keep = min(len(old), size) if name == "upper" else used
        shape = (size, *old.shape[1:])
        arrays[name] = zeros(shape, old.dtype, huge_pages=name in _READ_AT_RANDOM)
        arrays[name][:keep] = old[:keep]
    return Graph(**arrays)
