"""Where everything of a node lies.

One block a node, a whole number of 64-byte cache lines, so that what a hop reads comes in a row::

    upper halves of the code u8 × 64·chunks
    | factor f32 | norm f32 | step f32 | total i32 | row i32 | twin i32 | first i32 | degree i32
    | neighbours i32 × 2M | padding
    | lower halves of the code u8 × 64·chunks

The code is the vector in steps of ``step``, shifted by 128; behind the vector's end it is 128, a zero.
Its upper and lower four bits lie apart, so that a traversal can do with half of the lines; a byte of
either holds two components (see :func:`~llamaindex_vecx.index.simd.dot_vnni`), a chunk 128 of them.
``factor`` is the step that gives the decoded vector its right length, ``norm`` the squared length and
``total`` the sum of the unshifted code. ``residuals`` hold 16 bits more of every component, so the two
together are the vector, as float32 is: 24 bits below the largest component. A *slot* is a node's place,
in order of insertion; ``row`` is what the caller calls it, or -1 once removed, and ``twin`` the next slot
with the same code, or -1 (see :mod:`llamaindex_vecx.index.hnsw.build`). Lists of the upper levels are rare
(one node in M has any) and lie apart: ``upper[first + level - 1]`` is ``[degree, neighbours × M]``. All
three stand here because every distance has read this line.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.memory import LINE, zeros

__all__ = [
    "COARSE",
    "DEGREE",
    "DIMENSION",
    "EMPTY",
    "FIRST",
    "HEADER",
    "ROW",
    "STATE",
    "TWIN",
    "UNITS",
    "Graph",
    "column",
    "grow",
    "lists_of",
    "names_of",
    "new_graph",
    "stride",
    "vectors_of",
    "width",
]

HEADER = 8
"""Words of 4 bytes between the upper halves and the neighbours."""

ROW, TWIN, FIRST, DEGREE = 4, 5, 6, 7
"""Which of these words are row, twin, first and degree."""

_READ_AT_RANDOM = {"blocks", "residuals"}
EMPTY = -1
"""Value of ``state[0]`` while there is no entry point."""

COARSE = 3
"""``state[COARSE]`` is 1 where traversals read only the upper halves of codes."""

DIMENSION = 4
"""``state[DIMENSION]`` is :data:`UNITS` times the power of a distance that the number of nearer rows grows
with; 0 where that isn't known."""

UNITS = 1000

STATE = 5
"""How long ``state`` is."""


class Graph(NamedTuple):
    """The arrays of an index. A search takes one such tuple and never looks back.

    Arrays are replaced when they grow, and then all of ``state`` with them, so every slot that a reader
    can meet through its own tuple lies inside its own arrays, whatever the writer does meanwhile.

    Attributes
    ----------
    blocks : uint8, shape (capacity, stride)
    upper : int32, shape (lists, 1 + M)
    levels : uint8, shape (capacity,)
    residuals : int16, shape (capacity, 128 · chunks)
        What the codes leave of the prepared vectors, in steps of ``step / 65536``. In memory, or mapped
        from a file (:mod:`llamaindex_vecx.index.mapped`).
    state : int64, shape (STATE,)
        Entry point and its level as ``slot << 8 | level`` in one word, so that they can't be torn;
        lock of the entry point; next slot to insert; :data:`COARSE`; :data:`DIMENSION`.
    """

    blocks: NDArray[np.uint8]
    upper: NDArray[np.int32]
    levels: NDArray[np.uint8]
    residuals: NDArray[np.int16]
    state: NDArray[np.int64]

    @property
    def rows(self) -> NDArray[np.int32]:
        """Of every slot, shape (capacity,), inside the blocks."""
        return self._words(ROW)

    @property
    def twins(self) -> NDArray[np.int32]:
        """Of every slot, shape (capacity,), inside the blocks."""
        return self._words(TWIN)

    @property
    def first(self) -> NDArray[np.int32]:
        """Of every slot, shape (capacity,), inside the blocks: where its upper lists begin."""
        return self._words(FIRST)

    def _words(self, which: int) -> NDArray[np.int32]:
        return self.blocks.view(np.int32)[:, column(self.residuals.shape[1]) + which]


def chunks(dim: int) -> int:
    """64-byte chunks of half a code."""
    return -(-dim // (2 * LINE))


def width(dim: int) -> int:
    """Components that a code has room for."""
    return chunks(dim) * 2 * LINE


def column(dim: int) -> int:
    """Where in a block, counted in 4-byte words, the header begins."""
    return chunks(dim) * LINE // 4


def lists_of(dim: int, M: int) -> slice:
    """Which 4-byte words of a block are its degree and neighbours."""
    return slice(column(dim) + DEGREE, column(dim) + HEADER + 2 * M)


def names_of(dim: int, M: int) -> slice:
    """Which 4-byte words of a block aren't its vector: from the row on to the last neighbour."""
    return slice(column(dim) + ROW, lists_of(dim, M).stop)


def stride(dim: int, M: int, header: int = HEADER) -> int:
    """Bytes of a block, whose header has so many words."""
    words = column(dim) + header + 2 * M
    return -(-words * 4 // LINE) * LINE + chunks(dim) * LINE


def new_graph(dim: int, M: int) -> Graph:
    """A graph of capacity 0."""
    return Graph(
        blocks=zeros((0, stride(dim, M)), np.uint8),
        upper=np.zeros((0, 1 + M), np.int32),
        levels=np.zeros(0, np.uint8),
        residuals=np.zeros((0, width(dim)), np.int16),
        state=np.array([EMPTY] + [0] * (STATE - 1), np.int64),
    )


def grow(
    graph: Graph,
    used: int,
    capacity: int,
    lists: int,
    residuals: NDArray[np.int16] | None = None,
) -> Graph:
    """A copy with room for ``capacity`` nodes and ``lists`` upper lists; ``graph`` stays as it is.

    Parameters
    ----------
    used : int
        Slots in use; what lies beyond is not copied.
    residuals : int16, shape (capacity, 128 · chunks), optional
        Taken as they are instead of a copy.
    """
    arrays = {}
    for name, old in graph._asdict().items():
        if name == "state":
            arrays[name] = old.copy()
            continue
        if name == "residuals" and residuals is not None:
            arrays[name] = residuals
            continue
        size = lists if name == "upper" else capacity
        keep = min(len(old), size) if name == "upper" else used
        shape = (size, *old.shape[1:])
        arrays[name] = zeros(shape, old.dtype, huge_pages=name in _READ_AT_RANDOM)
        arrays[name][:keep] = old[:keep]
    return Graph(**arrays)


def vectors_of(graph: Graph, slots: NDArray[np.int64], dim: int) -> NDArray[np.float32]:
    """The prepared vectors (n, dim) in slots, from codes and residuals; as this module says."""
    half = 4 * column(dim)
    blocks = graph.blocks[slots]
    upper = blocks[:, :half].reshape(len(slots), -1, 1, 64)
    lower = blocks[:, -half:].reshape(len(slots), -1, 1, 64)
    first = upper << 4 | lower & 15
    second = upper & 240 | lower >> 4
    codes = np.concatenate([first, second], axis=2).reshape(len(slots), -1).astype(np.int64) - 128
    steps = blocks.view(np.float32)[:, column(dim) + 2].astype(np.float64) / 65536
    values = (codes * 65536 + graph.residuals[slots]) * steps[:, None]
    return np.asarray(values[:, :dim], np.float32)
