"""The HNSW index: arguments, growth, snapshots. What is fast lies in the kernels beside this file."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamaindex_vecx.errors import DuplicateIdError, InvalidInputError
from llamaindex_vecx.index.base import Allowed, Rows, Scores
from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.index.checks import (
    as_allowed,
    as_batch,
    as_queries,
    as_rows,
    count_allowed,
    mask_of,
    positive,
)
from llamaindex_vecx.index.exact import NOT_FINITE
from llamaindex_vecx.index.hnsw import files
from llamaindex_vecx.index.hnsw.answer import answer
from llamaindex_vecx.index.hnsw.filtered import Chosen, allowance, prefers_scan
from llamaindex_vecx.index.hnsw.layout import COARSE
from llamaindex_vecx.index.hnsw.rebuild import Rebuild
from llamaindex_vecx.index.hnsw.scan import BLURRED, scan_codes
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.hnsw.store import Settings, Store, View
from llamaindex_vecx.metrics import Metric, MetricName, as_metric, check_vectors

__all__ = ["HNSW"]

_WIDER = 4  # times as many candidates for a query whose candidates look alike
_COMPACT_FROM = 1000  # tombstones that are not worth a rebuild
_STEP = 512  # rows of a rebuild at a time: some 70 ms
_SPARE = 20  # candidates of a scan that are measured exactly, beyond 2k
_NO_MASK = np.zeros(0, np.uint8)
_POOL = 2048  # candidates that a filtered search remembers, at least


class HNSW:
    """Hierarchical navigable small world graph (Malkov & Yashunin, arXiv 1603.09320).

    The traversal compares codes of four bits, or of eight where four can't tell the rows apart; the answer
    is measured on 24 bits a component, as many as float32 has.

    Parameters
    ----------
    dim : int
    metric : {"cosine", "ip", "l2"}
    M : int
        Neighbours a new node chooses; 2M on the lowest level at most. More is better recall for hard
        data, more memory, slower insertion.
    ef_construction : int
        Candidates that a new node chooses from.
    ef_search : int
        Candidates of a search; more is better recall, slower. Raised to ``k`` where it is below.
    seed : int
        Of the random levels. The same seed, data and one thread give the same graph.

    See Also
    --------
    llamaindex_vecx.index.base.VectorIndex : what every method does.
    """

    kind: ClassVar[str] = "hnsw"

    def __init__(
        self,
        dim: int,
        metric: MetricName | Metric = "cosine",
        M: int = 16,
        ef_construction: int = 200,
        ef_search: int = 64,
        seed: int = 0,
    ) -> None:
        self.dim: int = positive(dim, "dim")
        self.metric: Metric = as_metric(metric)
        self.M = positive(M, "M")
        if not 2 <= self.M <= 512:
            raise InvalidInputError(f"M must lie between 2 and 512, not {M}")
        self.ef_construction: int = positive(ef_construction, "ef_construction")
        self.ef_search: int = positive(ef_search, "ef_search")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise InvalidInputError(
                f"seed must be a whole number from 0 to 2**63 - 1, not {seed!r}"
            )
        self.seed = seed
        self._writing = threading.Lock()
        self._rebuild: Rebuild | None = None
        self._scratch = Pool(self.dim, self.M)
        self._chosen = Chosen()
        self._settings = Settings(
            self.metric.code, self.dim, self.M, self.ef_construction, self.seed
        )
        self._store = Store(self._settings, self._scratch)

    def __len__(self) -> int:
        return self._store.alive

    def __contains__(self, row: object) -> bool:
        table = self._store.table.table
        return isinstance(row, int | np.integer) and bool(0 <= row < len(table) and table[row])

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"HNSW(dim={self.dim}, metric={self.metric.name!r}, {settings}), {len(self)} rows"

    @property
    def params(self) -> dict[str, Any]:
        """Settings besides dimension and metric, as JSON holds them."""
        return {
            "M": self.M,
            "ef_construction": self.ef_construction,
            "ef_search": self.ef_search,
            "seed": self.seed,
        }

    @property
    def tombstones(self) -> int:
        """Removed rows that the traversal still walks through; :meth:`compact` drops them."""
        return self._store.view.size - self._store.alive

    def add(self, rows: ArrayLike, vectors: ArrayLike, *, threads: int = 1) -> None:
        """Add vectors under new rows. See :meth:`VectorIndex.add`.

        Raises
        ------
        KeyboardInterrupt
            An interrupted call has added a first part of the batch, and the index is whole.
        """
        threads = positive(threads, "threads")
        numbers, checked = as_batch(rows, vectors, self.dim)
        with self._writing:
            there = numbers[self._store.table.find(numbers) >= 0]
            if there.size:
                raise DuplicateIdError(
                    f"rows holds {there[0]}, which is in the index; remove it first"
                )
            self._store.insert(numbers, self.metric.prepare(checked), threads)

    def remove(self, rows: ArrayLike) -> int:
        """Remove rows: tombstones, until :meth:`compact`. See :meth:`VectorIndex.remove`."""
        numbers = np.unique(as_rows(rows))
        with self._writing:
            return self._store.remove(numbers)

    def compact(self, *, threads: int = 1) -> None:
        """Build the graph anew from the rows that are left. Everything else goes on meanwhile."""
        threads = positive(threads, "threads")
        if self.tombstones:
            self._finish(self._begin_rebuild(), threads)

    @property
    def due(self) -> bool:
        """Whether :meth:`improve` has something to do: removed rows outnumber the others by far."""
        return self._rebuild is not None or self.tombstones > max(len(self), _COMPACT_FROM)

    def improve(self) -> bool:
        """:meth:`compact` a few rows at a time. Returns whether there was anything to do."""
        if not self.due:
            return False
        rebuild = self._rebuild
        if rebuild is None or rebuild.old is not self._store:  # another compaction was faster
            rebuild = self._rebuild = self._begin_rebuild()
        rebuild.step(_STEP, 1)
        if not rebuild.left:
            self._rebuild = None
            self._finish(rebuild, 1)
        return True

    def _begin_rebuild(self) -> Rebuild:
        with self._writing:
            return Rebuild(self._store)

    def _finish(self, rebuild: Rebuild, threads: int) -> None:
        rebuild.step(rebuild.left, threads)
        with self._writing:
            if self._store is rebuild.old:
                self._store = rebuild.finish(threads)

    def renumbered(self, old: Rows, new: Rows) -> HNSW:
        """A copy in which the rows ``old`` (ascending, all that there are) are called ``new``."""
        with self._writing:
            copy = HNSW(self.dim, self.metric, **self.params)
            copy._store = self._store.renumbered(old, new)
        return copy

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        allowed: Allowed | None = None,
        threads: int = 1,
        ef_search: int | None = None,
    ) -> tuple[Rows, Scores]:
        """The ``k`` nearest rows of each query. See :meth:`VectorIndex.search`.

        A filter is honoured inside the traversal. Where few rows are allowed, and where the traversal
        finds fewer than it must, the allowed rows are scanned instead, exactly. Where codes can't tell
        the candidates apart, as among near-duplicates, the search is repeated with more of them.
        """
        array = as_queries(queries, self.dim)
        k, threads = positive(k, "k"), positive(threads, "threads")
        ef = self.ef_search if ef_search is None else positive(ef_search, "ef_search")
        allowed = as_allowed(allowed)
        store = self._store
        view, alive = store.view, store.alive
        count = alive if allowed is None else min(alive, count_allowed(allowed))
        ef = min(max(ef, k), max(view.size, 1))
        scanned = prefers_scan(count, view.size, ef, len(array))
        return self._search(array, k, ef, allowed, view, count, scanned, threads)

    def save(self, folder: Path | str, *, stamp: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot, tombstones and all. See :meth:`VectorIndex.save`."""
        with self._writing:
            params = {"dim": self.dim, "metric": self.metric.name, **self.params}
            files.save(Path(folder), self.kind, params, self._store, stamp)

    @classmethod
    def load(cls, folder: Path | str) -> tuple[HNSW, dict[str, Any]]:
        """The index and the stamp. See :meth:`VectorIndex.load`."""
        params, graph, stamp = files.load(Path(folder), cls.kind)
        index = files.checked(folder, lambda: cls(**params))
        files.validate(folder, graph, index.dim, index.M)
        index._store = Store(index._settings, index._scratch, graph)
        return index, stamp

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
        need = min(k, count)
        rows, scores, counts, enough = self._ask(
            queries, k, ef, allowed, view, count, need, scanned, threads
        )
        if enough:
            return rows, scores
        if counts.min() == NOT_FINITE:
            check_vectors(queries, argument="queries")
        blurred = np.flatnonzero(counts == BLURRED)
        few = np.flatnonzero((counts < need) & (counts != BLURRED) & (not scanned))
        for some, wider, scan in ((blurred, _WIDER * ef, scanned), (few, ef, True)):
            if len(some):
                wider = min(wider, view.size)
                rows[some], scores[some] = self._search(
                    queries[some], k, wider, allowed, view, count, scan, threads
                )
        return rows, scores

    def _ask(
        self,
        queries: NDArray[np.float32],
        k: int,
        ef: int,
        allowed: Allowed | None,
        view: View,
        count: int,
        need: int,
        scanned: bool,
        threads: int,
    ) -> tuple[Rows, Scores, NDArray[np.int64], bool]:
        """Rows, scores, how many were found, and whether that is ``need`` everywhere."""
        n, graph = len(queries), view.graph
        rows, scores = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
        counts = np.empty(n, np.int64)
        restricted = allowed is not None and not scanned
        mask = mask_of(allowed) if restricted else _NO_MASK
        filtered = not scanned and (restricted or count < view.size)
        room = max(_POOL, 4 * ef) if filtered else 0
        fine, budget = not graph.state[COARSE], allowance(count, n)
        enough: list[bool] = []
        if scanned:
            if allowed is None:
                slots = np.flatnonzero(graph.rows[: view.size] >= 0).astype(np.int32)
            else:
                slots = self._chosen.slots(allowed, view.table, view.size)
            ef = min(max(ef, 2 * k + _SPARE), max(len(slots), 1))

        def work(start: int, stop: int) -> None:
            scratch = self._scratch.take(len(graph.rows)).fit(ef, k, room)
            if scanned:
                found = scan_codes(
                    self._settings.metric, fine, queries, start, stop, k, ef, slots, restricted,
                    mask, graph.blocks, graph.twins, graph.rows, graph.residuals, scratch.decoded,
                    scratch.best, rows, scores, counts, need,
                )  # fmt: skip
            else:
                found = answer(
                    self._settings.metric, fine, queries, start, stop, k, ef, budget,
                    filtered, restricted, mask, graph.blocks, graph.upper, graph.first,
                    graph.twins, graph.rows, graph.residuals, graph.state, scratch.visited,
                    scratch.epoch, scratch.signed, scratch.prepared, scratch.decoded,
                    scratch.slots, scratch.products, scratch.distances, scratch.keys,
                    scratch.pool, scratch.best, rows, scores, counts, need,
                )  # fmt: skip
            self._scratch.give(scratch)
            enough.append(found)

        each_range(work, n, threads)
        return rows, scores, counts, all(enough)
