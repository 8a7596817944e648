"""A graph without its tombstones, built beside the old one, which stays in use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.layout import Graph
from llamaindex_vecx.index.hnsw.store import Store

__all__ = ["Rebuild"]

_BLOCK = 4096  # vectors copied at a time


class Rebuild:
    """A new graph of the rows that are left in an old one, a few at a time.

    Parameters
    ----------
    old : Store
        May change meanwhile. A slot never gets another vector, so a row that is in its slot of the beginning
        is the same row, and whatever was added since lies beyond or where that vector had been.
    """

    def __init__(self, old: Store) -> None:
        self.old = old
        self._graph, self._size = old.view.graph, old.view.size
        self._slots = np.flatnonzero(self._graph.rows[: self._size] >= 0)
        self._rows = self._graph.rows[self._slots].astype(np.int64)
        self._fresh = old.emptied()
        self._done = 0

    @property
    def left(self) -> int:
        """Rows still to be inserted."""
        return len(self._slots) - self._done

    def step(self, limit: int, threads: int) -> None:
        """Insert the next rows, at most ``limit``."""
        some = slice(self._done, self._done + limit)
        slots, rows = self._slots[some], self._rows[some]
        self._done += len(slots)
        self._insert(rows, self._graph, slots, threads)

    def finish(self, threads: int) -> Store:
        """The new graph, with what was removed from the old one and added to it since.

        The caller lets nobody write to the old one from here on.
        """
        gone = self.old.table.find(self._rows) != self._slots
        self._fresh.remove(self._rows[gone])
        graph, size = self.old.view.graph, self.old.view.size
        known = np.full(size, -1, np.int64)
        known[self._slots] = self._rows
        slots = np.flatnonzero((graph.rows[:size] >= 0) & (graph.rows[:size] != known))
        rows: NDArray[np.int64] = graph.rows[slots].astype(np.int64)
        self._insert(rows, graph, slots, threads)
        return self._fresh

    def _insert(
        self, rows: NDArray[np.int64], graph: Graph, slots: NDArray[np.int64], threads: int
    ) -> None:
        for at in range(0, len(rows), _BLOCK):
            some = slice(at, at + _BLOCK)
            self._fresh.take_over(rows[some], graph, slots[some], threads)
