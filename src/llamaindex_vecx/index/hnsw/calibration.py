"""From a wanted recall to ``ef_search``, by asking the graph for what it holds.

Rows of the collection are the queries, each as if it weren't in the graph: the traversal finds its mark of
a visit there already and passes it by. So a row is what a query from the same source would be, which
midpoints of neighbours or rows with noise are not (see docs/design/hnsw.md). The exact answers come from a
scan.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.layout import Graph, vectors_of
from llamaindex_vecx.index.hnsw.searcher import Searcher
from llamaindex_vecx.index.hnsw.store import Store

__all__ = ["Calibration"]

K = 10
"""Neighbours whose recall is measured; ``ef`` grows with ``k`` beyond that."""

_GRID = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896)
_PERFECT = 0.9995  # where more candidates show nothing more
_SAMPLE, _WORK = 500, 1 << 28  # queries at most, and distances of all their scans
_SMALL = 500  # rows up to which the default ef is enough for whatever is asked
_FALLBACK = 64


class Calibration:
    """A table of ``ef`` and the recall@10 it reaches, both ascending.

    Parameters
    ----------
    table : float64, shape (1 + m, 2), optional
        From a snapshot: how many rows there were, and 0; then ``ef`` and recall.
    """

    def __init__(self, searcher: Searcher, table: NDArray[np.float64] | None = None) -> None:
        self.table = table
        self._searcher = searcher
        self._measuring = threading.Lock()

    def outgrown(self, store: Store) -> bool:
        """Whether there is no table, or the index has become another since."""
        if store.alive <= _SMALL:
            return False
        then = 0.0 if self.table is None else float(self.table[0, 0])
        return store.outgrown(then)

    def ef(self, store: Store, k: int, target: float) -> int:
        """The candidates that a search for ``k`` needs to find ``target`` of them, on average."""
        if self.outgrown(store) and self._measuring.acquire(blocking=self.table is None):
            try:
                if self.outgrown(store):
                    self.measure(store)
            finally:
                self._measuring.release()
        if self.table is None:
            return _FALLBACK
        efs, recalls = self.table[1:].T
        at = int(np.searchsorted(recalls, target))
        if at in (0, len(efs)):
            ef = efs[min(at, len(efs) - 1)]
        else:
            part = (target - recalls[at - 1]) / (recalls[at] - recalls[at - 1])
            ef = efs[at - 1] + part * (efs[at] - efs[at - 1])
        return int(np.ceil(ef * max(k, K) / K))

    def measure(self, store: Store, queries: NDArray[np.float32] | None = None) -> None:
        """Fill the table, by queries of the caller's or by rows held out."""
        graph, size = store.view.graph, store.view.size
        held = np.full(0 if queries is None else len(queries), -1, np.int64)
        if queries is None:
            held = _sample(graph, size, min(_SAMPLE, max(100, _WORK // store.alive)))
            queries = vectors_of(graph, held, self._searcher.dim)
        own = np.where(held < 0, -1, graph.rows[held])
        truth = [
            set(found[found != row][:K].tolist())
            for found, row in zip(self._searcher.scan(store, queries, K + 1), own, strict=True)
        ]
        table = [(float(store.alive), 0.0)]
        for ef in _GRID:
            if ef >= size or table[-1][1] >= _PERFECT:
                break
            hits = 0
            for query, slot, nearest in zip(queries, held, truth, strict=True):
                hits += len(
                    nearest.intersection(self._searcher.without(store, query, K, ef, int(slot)))
                )
            reached = hits / max(1, sum(map(len, truth)))
            table.append((float(ef), max(reached, table[-1][1])))
        if len(table) > 1:  # else every search is a scan
            self.table = np.array(table)


def _sample(graph: Graph, size: int, count: int) -> NDArray[np.int64]:
    """Slots of rows that stand on the lowest level alone: a descent can't end at these."""
    there = np.flatnonzero((graph.rows[:size] >= 0) & (graph.levels[:size] == 0))
    chosen = np.random.default_rng(0).choice(there, min(count, len(there)), replace=False)
    return np.asarray(chosen, np.int64)
