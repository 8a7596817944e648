"""Memory that a thread needs while it searches or inserts, kept for the next call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.layout import width
from llamaindex_vecx.index.keys import buffer
from llamaindex_vecx.index.simd import ROWS

__all__ = ["Pool", "Scratch"]


class Scratch:
    """Working memory of one thread.

    Attributes
    ----------
    visited : uint8, shape (capacity,)
        The stamp of the last search that met a slot.
    epoch : uint8, shape (1,)
        The last stamp given.
    code, node_code, own_code : uint8, shape (128 · chunks,)
    prepared : float32, shape (128 · chunks,)
        Zeros behind the vector.
    slots, products, distances : int32, int32, float32
        See :class:`~llamaindex_vecx.index.hnsw.distance.Batch`.
    chosen : int32, shape (2M + ROWS,)
    few : int64
        Keys of one node's neighbours.
    keys, pool, best : int64
        Key buffers for ``ef`` results, candidates of a filtered search, ``k`` answers.
    count : int64, shape (1,)
        Results of a query that is asked alone.
    walk : int64
        Sizes and addresses of what
        :func:`~llamaindex_vecx.index.hnsw.places.walk_at` makes arrays of again.
    """

    code: NDArray[np.uint8]
    node_code: NDArray[np.uint8]
    own_code: NDArray[np.uint8]
    slots: NDArray[np.int32]
    products: NDArray[np.int32]
    ef: int
    k: int
    room: int
    keys: NDArray[np.int64]
    pool: NDArray[np.int64]
    best: NDArray[np.int64]

    def __init__(self, dim: int, M: int, capacity: int) -> None:
        size = width(dim)
        self.capacity = capacity
        self.visited: NDArray[np.uint8] = np.zeros(capacity, np.uint8)
        self.epoch: NDArray[np.uint8] = np.zeros(1, np.uint8)
        self.code, self.node_code, self.own_code = np.zeros((3, size), np.uint8)
        self.prepared: NDArray[np.float32] = np.zeros(size, np.float32)
        self.slots, self.products = np.zeros((2, 4 * M + ROWS), np.int32)
        self.distances: NDArray[np.float32] = np.zeros(4 * M + ROWS, np.float32)
        self.chosen: NDArray[np.int32] = np.zeros(2 * M + ROWS, np.int32)
        self.few: NDArray[np.int64] = buffer(2 * M + 1)
        self.count: NDArray[np.int64] = np.zeros(1, np.int64)
        self.ef = self.k = self.room = 0
        self.keys = self.pool = self.best = buffer(0)
        self.walk: NDArray[np.int64] = np.zeros(0, np.int64)
        self.fit(1, 1, 0)

    def fit(self, ef: int, k: int, room: int) -> Scratch:
        """Bring the key buffers to the sizes of this search."""
        if ef == self.ef and k == self.k and room == self.room:
            return self
        self.ef, self.k, self.room = ef, k, room
        self.keys, self.best, self.pool = buffer(ef), buffer(k), buffer(room)
        sizes = (self.capacity, len(self.prepared), len(self.slots))
        parts = (
            self.visited, self.epoch, self.code, self.prepared, self.slots,
            self.products, self.distances, self.keys, self.pool, self.best,
        )  # fmt: skip
        self.walk = np.array(
            [*sizes, *(len(keys) for keys in parts[-3:]), *(part.ctypes.data for part in parts)],
            np.int64,
        )
        return self

    def hide(self, slot: int) -> None:
        """Let the next search pass a slot by, as if it had been there."""
        if self.epoch[0] == 255:
            self.visited[:] = 0
            self.epoch[0] = 0
        self.visited[slot] = self.epoch[0] + 1


class Pool:
    """Scratches that nobody uses at the moment. ``list.pop`` and ``append`` are atomic."""

    def __init__(self, dim: int, M: int) -> None:
        self._dim, self._M = dim, M
        self._free: list[Scratch] = []

    def take(self, capacity: int) -> Scratch:
        """A scratch for a graph of that capacity; bring it back with :meth:`give`."""
        try:
            scratch = self._free.pop()
        except IndexError:
            return Scratch(self._dim, self._M, capacity)
        return scratch if scratch.capacity >= capacity else Scratch(self._dim, self._M, capacity)

    def give(self, scratch: Scratch) -> None:
        """Bring back what :meth:`take` gave."""
        self._free.append(scratch)
