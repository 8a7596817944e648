"""The graph as one thing that is written to: slots given out, arrays grown, nodes linked.

One thread writes. Readers take :attr:`Store.view` once and need nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.batches import together
from llamaindex_vecx.index.hnsw.build import insert_nodes
from llamaindex_vecx.index.hnsw.distance import encode_rows
from llamaindex_vecx.index.hnsw.layout import (
    COARSE,
    DIMENSION,
    EMPTY,
    UNITS,
    Graph,
    grow,
    names_of,
    new_graph,
    width,
)
from llamaindex_vecx.index.hnsw.levels import draw_levels
from llamaindex_vecx.index.hnsw.mend import mended, parted_of
from llamaindex_vecx.index.hnsw.paths import lost
from llamaindex_vecx.index.hnsw.returns import Removed
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.hnsw.standing import enter_at_standing, standing_of
from llamaindex_vecx.index.mapped import MappedRows, is_mapped, let_go, read_at_random
from llamaindex_vecx.index.memory import roomy, zeros
from llamaindex_vecx.index.rows import RowTable
from llamaindex_vecx.metrics import IP

__all__ = ["Place", "Settings", "Store", "View"]

_BLUR = 0.15  # of the distances between the nearest: above, four bits make too many of them change places
_BATCH = (
    4096  # nodes between two moments at which readers see more, and an interrupt can end an add
)
_PREPARED = 1024  # vectors prepared at a time, so that few are in memory twice
_WRITTEN = 8192  # and residuals written: in large pieces, which the system maps by fewer faults
_ENOUGH = 32  # samples of how blurred the data looks
_ALONE = (
    64  # nodes inserted by one thread, for each that follows: at once they don't find each other
)
_FEW = 32  # removed nodes are few while they are less than one in so many
_MANY = 8  # and many from one in so many on
_LOST = 100  # nodes without a way to them that are linked anew, however few were removed
_NONE = np.zeros(0, np.int32)

_Write = Callable[[NDArray[np.uint8], NDArray[np.int16], int], None]
"""Fills blocks and residuals of the slots from a number on."""


@dataclass(frozen=True)
class Settings:
    """What a graph is built by."""

    metric: int
    dim: int
    M: int
    ef_construction: int
    seed: int


@dataclass
class Place:
    """Where residuals are kept: one for all graphs of an index, which look when they grow."""

    on_disk: bool = False
    folder: Path | None = None


class View(NamedTuple):
    """What a search takes once.

    Attributes
    ----------
    returned : int
        How often rows came to slots that others had left.
    parted : int
        Removed slots that no walk meets any more.
    """

    graph: Graph
    table: NDArray[np.int32]
    size: int
    returned: int = 0
    parted: int = 0

    @property
    def met(self) -> int:
        """Slots that a walk may meet."""
        return self.size - self.parted


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

    def __init__(
        self, settings: Settings, pool: Pool, place: Place, graph: Graph | None = None
    ) -> None:
        self.settings = settings
        self._pool = pool
        self._place = place
        self._file: MappedRows | None = None
        graph = new_graph(settings.dim, settings.M) if graph is None else graph
        slots = np.flatnonzero(graph.rows >= 0)
        self.table = RowTable()
        self.table.place(graph.rows[slots].astype(np.int64), slots)
        self.alive = len(slots)
        self.lists = len(graph.upper)
        parted = parted_of(graph, settings.dim, self.alive)
        self.view = View(graph, self.table.table, len(graph.blocks), parted=parted)
        self._removed = Removed(settings.dim, settings.M)
        self._locks = np.zeros(0, np.int32)
        self._noise = np.zeros(3)
        self._gaps = 0  # nodes that lists have lost, and that none has come for

    def insert(
        self,
        rows: NDArray[np.int64],
        vectors: NDArray[np.float32],
        prepare: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        threads: int,
    ) -> None:
        """Insert vectors (n, dim), prepared a few at a time, under rows (n,) that aren't there."""
        rest = np.arange(len(rows))

        def encode(blocks: NDArray[np.uint8], residuals: NDArray[np.int16], low: int) -> None:
            for start in range(0, len(blocks), _PREPARED):
                some = slice(start, min(start + _PREPARED, len(blocks)))
                prepared = prepare(vectors[rest[low + start : low + some.stop]])
                encode_rows(prepared, blocks[some], residuals[some], 0)

        if self._removed:
            rest = self._return(rows, encode)
            if len(rest) == 0:
                return
        try:
            self._enter(rows[rest], encode, threads)
        except BaseException:
            self._keep_first(rows)
            raise

    def _return(self, rows: NDArray[np.int64], encode: _Write) -> NDArray[np.int64]:
        """Give rows the slots that have held their vectors, and their links still; which rows find none."""
        graph, returned = self.view.graph, self.view.returned
        found = np.full(len(rows), -1, np.int64)
        for start in range(0, len(rows), _PREPARED):
            n = min(_PREPARED, len(rows) - start)
            blocks = zeros((n, graph.blocks.shape[1]), np.uint8)
            residuals = zeros((n, graph.residuals.shape[1]), np.int16)
            encode(blocks, residuals, start)
            found[start : start + n] = self._removed.take(graph, blocks, residuals)
        there = found >= 0
        graph.rows[found[there]] = rows[there]
        self.table.place(rows[there], found[there])
        self.alive += int(there.sum())
        self.view = self.view._replace(table=self.table.table, returned=returned + 1)
        return np.flatnonzero(~there)

    def _keep_first(self, rows: NDArray[np.int64]) -> None:
        """After an interrupt: of rows, keep a first part."""
        there = self.table.find(rows) >= 0
        if not there.all():
            later = slice(int(np.argmin(there)), None)
            self.remove(rows[later][there[later]])

    def take_over(
        self, rows: NDArray[np.int64], other: Graph, slots: NDArray[np.int64], threads: int
    ) -> None:
        """Insert what stands in slots of another graph, to the bit, under rows (n,) that aren't there."""
        names = names_of(self.settings.dim, self.settings.M)

        def copy(blocks: NDArray[np.uint8], residuals: NDArray[np.int16], low: int) -> None:
            some = slots[low : low + len(blocks)]
            blocks[:] = other.blocks[some]
            blocks.view(np.int32)[:, names] = 0
            residuals[:] = other.residuals[some]
            if self._place.on_disk:
                let_go(other.residuals)

        self._enter(rows, copy, threads)

    def _enter(self, rows: NDArray[np.int64], write: _Write, threads: int) -> None:
        """Give rows the next slots, ``write`` what they hold, and link them."""
        start = self.view.size
        stop = start + len(rows)
        levels = draw_levels(self.settings.seed, self.settings.M, start, stop)
        ends = self.lists + np.cumsum(levels, dtype=np.int64)
        graph = self._roomy(stop, int(ends[-1]) if len(ends) else self.lists)
        self.view = self.view._replace(graph=graph)
        if self._mends(graph):
            self._removed.forget()
            self._mend(graph, threads)
        graph.levels[start:stop] = levels
        self._write(graph, start, stop, write)
        graph.rows[start:stop] = rows
        graph.twins[start:stop] = -1
        graph.first[start:stop] = ends - levels
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
                self.view = self.view._replace(graph=graph, table=self.table.table, size=high)
        except BaseException:
            self._abandon(graph, rows, start, high, ends)
            raise

    def _write(self, graph: Graph, start: int, stop: int, write: _Write) -> None:
        """Fill the slots from ``start`` to ``stop``, residuals by way of a buffer where these have a file."""
        if self._file is None:
            write(graph.blocks[start:stop], graph.residuals[start:stop], 0)
            return
        buffer = zeros((min(_WRITTEN, stop - start), graph.residuals.shape[1]), np.int16)
        for low in range(start, stop, _WRITTEN):
            high = min(low + _WRITTEN, stop)
            write(graph.blocks[low:high], buffer[: high - low], low - start)
            self._file.write(low, buffer[: high - low])

    def outgrown(self, then: float) -> bool:
        """Whether it has doubled or halved since there were ``then`` rows: time to measure anew."""
        return not then / 2 < self.alive < then * 2

    def remove(self, rows: NDArray[np.int64]) -> int:
        """Make tombstones of distinct rows; how many of them were there."""
        slots = self.table.find(rows)
        there = slots >= 0
        self.table.clear(rows[there])
        self.view.graph.rows[slots[there]] = -1
        self._removed.put(self.view.graph, slots[there].astype(np.int64))
        self.alive -= int(there.sum())
        return int(there.sum())

    def renumbered(self, old: NDArray[np.int64], new: NDArray[np.int64], place: Place) -> Store:
        """A copy for an index of its own, in which the rows ``old`` (ascending) are called ``new``."""
        graph, size = self.view.graph, self.view.size
        rows = graph.rows[:size].copy()
        there = rows >= 0
        rows[there] = new[np.searchsorted(old, rows[there])]
        shared = graph.residuals[:size] if place.on_disk else None  # never written again
        copied = grow(graph, size, size, self.lists, shared)
        copied.rows[:] = rows
        return Store(self.settings, self._pool, place, copied)

    def emptied(self) -> Store:
        """A new graph of the same settings."""
        return Store(self.settings, self._pool, self._place)

    def settle(self) -> None:
        """Bring residuals to where the :class:`Place` says."""
        graph, size = self.view.graph, self.view.size
        if size and is_mapped(graph.residuals) != self._place.on_disk:
            grown = self._grown(len(graph.blocks), len(graph.upper))
            self.view = self.view._replace(graph=grown)
        if self._place.on_disk:  # a snapshot's were read from end to end
            read_at_random(self.view.graph.residuals)
            self.let_go()

    def let_go(self) -> None:
        """After a search: no mapped page stays resident."""
        if self._place.on_disk:
            let_go(self.view.graph.residuals)

    def _link(self, graph: Graph, start: int, stop: int, threads: int) -> None:
        """Link the slots from ``start`` to ``stop``, several threads taking the next in turn."""
        self._insert_nodes(graph, start, stop, _NONE, threads)
        self._gaps = max(0, self._gaps - (stop - start))

    def _insert_nodes(
        self, graph: Graph, start: int, stop: int, again: NDArray[np.int32], threads: int
    ) -> None:
        """Insert the slots from ``start`` to ``stop``, or link those of ``again`` anew."""
        graph.state[2] = start
        settings = self.settings
        removed = self.view.met - self.alive if self._mends(graph) and len(again) == 0 else 0
        choose = settings.M + (settings.M // 2 if self._gaps > 0 else 0)

        def work() -> None:
            scratch = self._pool.take(len(graph.blocks))
            scratch.fit(settings.ef_construction + removed, 1, 0)
            insert_nodes(
                settings.metric, not graph.state[COARSE], settings.M, settings.ef_construction,
                stop, graph.blocks, graph.upper, graph.levels, settings.dim,
                graph.state, self._locks, scratch.visited, scratch.epoch, scratch.code,
                scratch.node_code, scratch.own_code, scratch.slots, scratch.products,
                scratch.distances, scratch.chosen, scratch.keys, scratch.few, self._noise,
                removed, choose, again,
            )  # fmt: skip
            self._pool.give(scratch)

        together([work] * threads)

    def _mend(self, graph: Graph, threads: int) -> None:
        """Take removed nodes out of every list, unless they are few of those that a walk meets.

        It reads all lists, and so takes as long for each removed node, however few go at a time. Where
        many go at once every place is filled; else the first M are, and as many of the next nodes as have
        gone choose half as many again, better ones than are left near by.
        """
        view = self.view
        removed = view.met - self.alive
        if removed * _FEW < view.met or removed == 0:
            return
        standing = standing_of(graph, view.size)
        if standing.any():
            enter_at_standing(graph, standing)
            settings, full = self.settings, removed * _MANY > view.met
            poor = mended(
                graph, settings.metric, settings.dim, settings.M, standing, full, self._pool, threads,
            )  # fmt: skip
            self._link_again(graph, poor)
            most = max(removed, _LOST)  # no more than have gone, however many there are
            for level in range(int(graph.state[0]) & 255, -1, -1):
                self._link_again(graph, lost(graph, self.settings.dim, standing, level)[:most])
            self._gaps += removed
        else:
            graph.state[0] = EMPTY
        self.view = view._replace(parted=view.size - self.alive)

    def _mends(self, graph: Graph) -> bool:
        """Whether other vectors take removed nodes out of the graph, which otherwise stay passages.

        Between tight clusters, which four bits can't tell apart, and by inner product these are missed.
        """
        return self.settings.metric != IP and bool(graph.state[COARSE])

    def _link_again(self, graph: Graph, slots: NDArray[np.int32]) -> None:
        """Link nodes as in an insertion, besides the links that they have."""
        if len(slots):
            self._insert_nodes(graph, 0, len(slots), slots, 1)

    def _choose(self, graph: Graph) -> None:
        """Let traversals read four bits of a code where that tells the rows apart, else all eight.

        And tell them how fast distances grow.
        """
        blur, count, growth = self._noise
        if count >= _ENOUGH:
            graph.state[COARSE] = blur < _BLUR * count
            if self.settings.metric != IP:  # inner products are no distances
                graph.state[DIMENSION] = UNITS * growth / count
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
        self.view = self.view._replace(graph=graph, table=self.table.table, size=linked)

    def _roomy(self, size: int, lists: int) -> Graph:
        """The graph, or a larger copy of it. A reader's arrays never change their length."""
        graph = self.view.graph
        capacity, room = len(graph.blocks), len(graph.upper)
        misplaced = size > self.view.size and not self._writable(graph)
        if size > capacity or lists > room or misplaced:
            if size > capacity:
                capacity = roomy(size, capacity, 2 * width(self.settings.dim))
            if lists > room:  # with M - 1 nodes to a list, twice as many as are to be expected
                room = max(lists, 2 * room, 2 * capacity // self.settings.M)
            graph = self._grown(capacity, room)
        if len(self._locks) < capacity:
            self._locks = zeros((capacity,), np.int32)
        return graph

    def _writable(self, graph: Graph) -> bool:
        """Whether more residuals can follow where these are."""
        if not self._place.on_disk:
            return self._file is None
        return self._file is not None and self._file.holds(graph.residuals)

    def _grown(self, capacity: int, room: int) -> Graph:
        """A copy of the graph, its residuals in memory or in a file of this store's own."""
        graph, size = self.view.graph, self.view.size
        if not self._place.on_disk:
            grown = grow(graph, size, capacity, room)
            self._file = None
            return grown
        file = self._file
        if file is None or not file.holds(graph.residuals):
            file = MappedRows.copied(graph.residuals[:size], self._place.folder)
        grown = grow(graph, size, capacity, room, file.reserve(capacity))
        self._file = file
        return grown
