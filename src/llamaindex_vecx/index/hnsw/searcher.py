"""A search from checked arguments to the answer: by a walk, by a scan, again where that must be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.base import Allowed, Rows, Scores
from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.index.checks import count_allowed, mask_of
from llamaindex_vecx.index.exact import NOT_FINITE
from llamaindex_vecx.index.hnsw.answer import answer
from llamaindex_vecx.index.hnsw.filtered import Chosen, allowance, prefers_scan
from llamaindex_vecx.index.hnsw.layout import COARSE
from llamaindex_vecx.index.hnsw.scan import BLURRED, scan_codes
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.hnsw.store import Store, View
from llamaindex_vecx.metrics import check_vectors

__all__ = ["Searcher"]

_WIDER = 4  # times as many candidates for a query whose candidates look alike
_SPARE = 20  # candidates of a scan that are measured exactly, beyond 2k
_POOL = 2048  # candidates that a filtered search remembers, at least
_NO_MASK = np.zeros(0, np.uint8)

_Work = Callable[[int, int], None]


class Searcher:
    """What searches need besides the graph: memory to work in, and the last filter's slots."""

    def __init__(self, metric: int, dim: int, pool: Pool) -> None:
        self.dim = dim
        self._metric = metric
        self._pool = pool
        self._chosen = Chosen()

    def search(
        self,
        store: Store,
        queries: NDArray[np.float32],
        k: int,
        ef: int,
        allowed: Allowed | None,
        threads: int,
    ) -> tuple[Rows, Scores]:
        """The nearest rows (q, k) and their scores, padded."""
        view, count = store.view, store.alive
        if allowed is not None:
            count = min(count, count_allowed(allowed))
        ef = min(max(ef, k), max(view.size, 1))
        # Without a filter `ef_search` means what it says, however small the index.
        filtered = allowed is not None
        scanned = count <= ef or (filtered and prefers_scan(count, view.size, ef, len(queries)))
        return self._search(queries, k, ef, allowed, view, count, scanned, threads)

    def scan(self, store: Store, queries: NDArray[np.float32], k: int) -> Rows:
        """:meth:`search` by a scan of everything."""
        view, count = store.view, store.alive
        return self._search(queries, k, k, None, view, count, True, 1)[0]

    def without(
        self, store: Store, query: NDArray[np.float32], k: int, ef: int, slot: int
    ) -> list[int]:
        """Rows by a walk of exactly ``ef`` candidates that never sees a slot; -1 hides none."""
        rows, scores = np.empty((1, k), np.int64), np.empty((1, k), np.float32)
        counts = np.empty(1, np.int64)
        view, count = store.view, store.alive
        work = self._walk(query[None], k, ef, None, view, count, 0, rows, scores, counts, [], slot)
        work(0, 1)
        found: list[int] = rows[0].tolist()
        return found

    def _search(
        self,
        queries: NDArray[np.float32],
        k: int,
        ef: int,
        allowed: Allowed | None,
        view: View,
        count: int,
        scanned: bool,
        threads: int,
    ) -> tuple[Rows, Scores]:
        """The nearest of ``count`` rows, by a scan or by a traversal, completed where that must be."""
        n, need = len(queries), min(k, count)
        rows, scores = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
        counts = np.empty(n, np.int64)
        short: list[int] = []  # where a part of the queries that isn't through begins
        prepare = self._scan if scanned else self._walk
        work = prepare(queries, k, ef, allowed, view, count, need, rows, scores, counts, short)
        each_range(work, n, threads)
        if not short:
            return rows, scores
        if counts.min() == NOT_FINITE:
            check_vectors(queries, argument="queries")
        blurred = np.flatnonzero(counts == BLURRED)
        few = np.flatnonzero((counts < need) & (counts != BLURRED) & (not scanned))
        for some, wider, scan in ((blurred, _WIDER * ef, scanned), (few, ef, True)):
            if len(some):
                wider = min(wider, view.size)
                rows[some], scores[some] = self._search(
                    queries[some], k, wider, allowed, view, count, scan or wider >= count, threads
                )
        return rows, scores

    def _walk(
        self,
        queries: NDArray[np.float32],
        k: int,
        ef: int,
        allowed: Allowed | None,
        view: View,
        count: int,
        need: int,
        rows: Rows,
        scores: Scores,
        counts: NDArray[np.int64],
        short: list[int],
        hidden: int = -1,
    ) -> _Work:
        graph = view.graph
        restricted = allowed is not None
        filtered = restricted or count < view.size
        mask = mask_of(allowed) if restricted else _NO_MASK
        room = max(_POOL, 4 * ef) if filtered else 0
        fine = graph.state.item(COARSE) == 0
        budget = allowance(count, len(queries)) if filtered else 0

        def work(start: int, stop: int) -> None:
            scratch = self._pool.take(len(graph.rows)).fit(ef, k, room)
            if hidden >= 0:
                scratch.hide(hidden)
            if not answer(
                self._metric, fine, queries, start, stop, k, ef, budget, filtered, restricted,
                mask, graph.blocks, graph.upper, graph.first, graph.twins, graph.rows,
                graph.residuals, graph.state, scratch.walk, rows, scores, counts, need,
            ):  # fmt: skip
                short.append(start)
            self._pool.give(scratch)

        return work

    def _scan(
        self,
        queries: NDArray[np.float32],
        k: int,
        ef: int,
        allowed: Allowed | None,
        view: View,
        count: int,
        need: int,
        rows: Rows,
        scores: Scores,
        counts: NDArray[np.int64],
        short: list[int],
    ) -> _Work:
        graph = view.graph
        fine = graph.state.item(COARSE) == 0
        if allowed is None:
            slots = np.flatnonzero(graph.rows[: view.size] >= 0).astype(np.int32)
        else:
            slots = self._chosen.slots(allowed, view.table, view.size)
        width = min(max(ef, 2 * k + _SPARE), max(len(slots), 1))

        def work(start: int, stop: int) -> None:
            scratch = self._pool.take(len(graph.rows)).fit(ef, k, 0)
            if not scan_codes(
                self._metric, fine, queries, start, stop, k, width, slots, False, _NO_MASK,
                graph.blocks, graph.twins, graph.rows, graph.residuals, scratch.decoded,
                scratch.best, rows, scores, counts, need,
            ):  # fmt: skip
                short.append(start)
            self._pool.give(scratch)

        return work
