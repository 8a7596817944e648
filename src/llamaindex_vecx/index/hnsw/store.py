"""The graph as one thing that is written to: slots given out, arrays grown, nodes linked.

One thread writes. Readers take :attr:`Store.view` once and need nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.batches import together
from llamaindex_vecx.index.hnsw.build import insert_nodes
from llamaindex_vecx.index.hnsw.distance import encode_rows
from llamaindex_vecx.index.hnsw.layout import COARSE, Graph, grow, lists_of, new_graph, width
from llamaindex_vecx.index.hnsw.levels import draw_levels
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.memory import roomy
from llamaindex_vecx.index.rows import RowTable

__all__ = ["Settings", "Store", "View"]

_BLUR = 0.15  # of the distances between the nearest: above, four bits make too many of them change places
_BATCH = (
    4096  # nodes between two moments at which readers see more, and an interrupt can end an add
)
_ENOUGH = 32  # samples of how blurred the data looks
_ALONE = (
    64  # nodes inserted by one thread, for each that follows: at once they don't find each other
)


@dataclass(frozen=True)
class Settings:
    """What a graph is built by."""

    metric: int
    dim: int
    M: int
    ef_construction: int
    seed: int


class View(NamedTuple):
    """What a search takes once."""

    graph: Graph
    table: NDArray[np.int32]
    size: int


class Store:
    """Slots, rows and links of one graph.

    Attributes
    ----------
    view : View
    alive : int
        Rows that can be found.
    lists : int
        Upper lists in use.
    """

    def __init__(self, settings: Settings, pool: Pool, graph: Graph | None = None) -> None:
        self.settings = settings
        self._pool = pool
        graph = new_graph(settings.dim, settings.M) if graph is None else graph
        slots = np.flatnonzero(graph.rows >= 0)
        self.table = RowTable()
        self.table.place(graph.rows[slots].astype(np.int64), slots)
        self.alive = len(slots)
        self.lists = len(graph.upper)
        self.view = View(graph, self.table.table, len(graph.rows))
        self._locks = np.zeros(0, np.int32)
        self._noise = np.zeros(2)

    def insert(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], threads: int) -> None:
        """Insert prepared vectors (n, dim) under rows (n,) that aren't there."""

        def encode(graph: Graph, start: int, stop: int) -> None:
            encode_rows(vectors, graph.blocks, graph.residuals, start)

        self._enter(rows, encode, threads)

    def take_over(
        self, rows: NDArray[np.int64], other: Graph, slots: NDArray[np.int64], threads: int
    ) -> None:
        """Insert what stands in slots of another graph, to the bit, under rows (n,) that aren't there."""

        def copy(graph: Graph, start: int, stop: int) -> None:
            graph.blocks[start:stop] = other.blocks[slots]
            graph.blocks.view(np.int32)[
                start:stop, lists_of(self.settings.dim, self.settings.M)
            ] = 0
            graph.residuals[start:stop] = other.residuals[slots]

        self._enter(rows, copy, threads)

    def _enter(
        self, rows: NDArray[np.int64], write: Callable[[Graph, int, int], None], threads: int
    ) -> None:
        """Give rows the next slots, ``write`` what they hold, and link them."""
        start = self.view.size
        stop = start + len(rows)
        levels = draw_levels(self.settings.seed, self.settings.M, start, stop)
        ends = self.lists + np.cumsum(levels, dtype=np.int64)
        graph = self._roomy(stop, int(ends[-1]) if len(ends) else self.lists)
        graph.rows[start:stop] = rows
        graph.levels[start:stop] = levels
        graph.first[start:stop] = ends - levels
        graph.twins[start:stop] = -1
        write(graph, start, stop)
        self.view = self.view._replace(graph=graph)
        alone = min(stop, max(start, _ALONE * (threads - 1)))
        edges = [*range(start, alone, _BATCH), *range(alone, stop, _BATCH), stop]
        high = start
        try:
            for low, high in itertools.pairwise(edges):
                self._link(graph, low, high, 1 if high <= alone else threads)
                self._choose(graph)
                self.table.assign(rows[low - start : high - start], low)
                self.lists = int(ends[high - start - 1])
                self.alive += high - low
                self.view = View(graph, self.table.table, high)
        except BaseException:
            self._abandon(graph, rows, start, high, ends)
            raise

    def remove(self, rows: NDArray[np.int64]) -> int:
        """Make tombstones of distinct rows; how many of them were there."""
        slots = self.table.find(rows)
        there = slots >= 0
        self.table.clear(rows[there])
        self.view.graph.rows[slots[there]] = -1
        self.alive -= int(there.sum())
        return int(there.sum())

    def renumbered(self, old: NDArray[np.int64], new: NDArray[np.int64]) -> Store:
        """A copy in which the rows ``old`` (ascending) are called ``new``."""
        graph, _, size = self.view
        rows = graph.rows[:size].copy()
        there = rows >= 0
        rows[there] = new[np.searchsorted(old, rows[there])]
        copied = grow(graph, size, size, self.lists)
        copied.rows[:] = rows
        return Store(self.settings, self._pool, copied)

    def emptied(self) -> Store:
        """A new graph of the same settings."""
        return Store(self.settings, self._pool)

    def _link(self, graph: Graph, start: int, stop: int, threads: int) -> None:
        """Link the slots from ``start`` to ``stop``, several threads taking the next in turn."""
        graph.state[2] = start
        settings = self.settings

        def work() -> None:
            scratch = self._pool.take(len(graph.rows)).fit(settings.ef_construction, 1, 0)
            insert_nodes(
                settings.metric, not graph.state[COARSE], settings.M, settings.ef_construction,
                stop, graph.blocks, graph.upper, graph.first, graph.levels, graph.twins,
                settings.dim, graph.state, self._locks, scratch.visited, scratch.epoch,
                scratch.code, scratch.node_code, scratch.own_code, scratch.slots, scratch.products,
                scratch.distances, scratch.chosen, scratch.keys, scratch.few, self._noise,
            )  # fmt: skip
            self._pool.give(scratch)

        together([work] * threads)

    def _choose(self, graph: Graph) -> None:
        """Let traversals read four bits of a code where that tells the rows apart, else all eight."""
        blur, count = self._noise
        if count >= _ENOUGH:
            graph.state[COARSE] = blur < _BLUR * count
            self._noise *= 0.5

    def _abandon(
        self,
        graph: Graph,
        rows: NDArray[np.int64],
        start: int,
        high: int,
        ends: NDArray[np.int64],
    ) -> None:
        """After an interrupt: what may be linked but is not acknowledged becomes a tombstone.

        ``state[2]`` is where the threads have come to, and ``high`` where they stop.
        """
        size = self.view.size
        linked = max(size, min(int(graph.state[2]), high))
        graph.rows[size : start + len(rows)] = -1
        rest = rows[size - start :]
        self.table.clear(rest[self.table.find(rest) >= 0])
        self.alive = int((graph.rows[:size] >= 0).sum())
        if linked > start:
            self.lists = int(ends[linked - start - 1])
        self.view = View(graph, self.table.table, linked)

    def _roomy(self, size: int, lists: int) -> Graph:
        """The graph, or a larger copy of it. A reader's arrays never change their length."""
        graph = self.view.graph
        capacity, room = len(graph.rows), len(graph.upper)
        if size > capacity or lists > room:
            if size > capacity:
                capacity = roomy(size, capacity, 2 * width(self.settings.dim))
            if lists > room:  # with M - 1 nodes to a list, twice as many as are to be expected
                room = max(lists, 2 * room, 2 * capacity // self.settings.M)
            graph = grow(graph, self.view.size, capacity, room)
        if len(self._locks) < capacity:
            self._locks = np.zeros(capacity, np.int32)
        return graph
