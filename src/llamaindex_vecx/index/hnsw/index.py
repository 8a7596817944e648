"""The HNSW index: arguments, growth, snapshots. What is fast lies in the kernels beside this file."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamaindex_vecx.errors import DuplicateIdError, InvalidInputError
from llamaindex_vecx.index.base import Mask, Rows, Scores
from llamaindex_vecx.index.batches import each_range, together
from llamaindex_vecx.index.checks import as_allowed, as_batch, as_queries, as_rows, positive
from llamaindex_vecx.index.exact import NOT_FINITE
from llamaindex_vecx.index.flat import allowed_slots, exact_search
from llamaindex_vecx.index.hnsw import files
from llamaindex_vecx.index.hnsw.answer import answer
from llamaindex_vecx.index.hnsw.build import insert_nodes
from llamaindex_vecx.index.hnsw.distance import encode_rows
from llamaindex_vecx.index.hnsw.layout import Graph, grow, new_graph
from llamaindex_vecx.index.hnsw.levels import draw_levels
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.rows import RowTable
from llamaindex_vecx.metrics import Metric, MetricName, as_metric, check_vectors

__all__ = ["HNSW"]

_BATCH = 4096  # nodes between two moments at which an interrupted add is consistent
_SCAN_FACTOR = 25  # distances of a traversal, in units of ef, that cost what scanning one row costs
_POOL = 2048


class _View(NamedTuple):
    """What a search takes once."""

    graph: Graph
    table: NDArray[np.int32]
    size: int


class HNSW:
    """Hierarchical navigable small world graph (Malkov & Yashunin, arXiv 1603.09320).

    The traversal compares 8-bit codes, the answer is measured on float32: scores are exact.

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

    _table: RowTable
    _alive: int
    _lists: int  # upper lists in use
    _locks: NDArray[np.int32]
    _view: _View

    def __init__(
        self,
        dim: int,
        metric: MetricName | Metric = "cosine",
        M: int = 16,
        ef_construction: int = 200,
        ef_search: int = 64,
        seed: int = 0,
    ) -> None:
        self.dim = positive(dim, "dim")
        self.metric = as_metric(metric)
        self.M = positive(M, "M")
        if not 2 <= self.M <= 512:
            raise InvalidInputError(f"M must lie between 2 and 512, not {M}")
        self.ef_construction = positive(ef_construction, "ef_construction")
        self.ef_search = positive(ef_search, "ef_search")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise InvalidInputError(
                f"seed must be a whole number from 0 to 2**63 - 1, not {seed!r}"
            )
        self.seed = seed
        self._writing = threading.Lock()
        self._scratch = Pool(self.dim, self.M)
        self._reset(new_graph(self.dim, self.M), 0)

    def __len__(self) -> int:
        return self._alive

    def __contains__(self, row: object) -> bool:
        table = self._table.table
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
        return self._view.size - self._alive

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
            there = numbers[self._table.find(numbers) >= 0]
            if there.size:
                raise DuplicateIdError(
                    f"rows holds {there[0]}, which is in the index; remove it first"
                )
            self._insert(numbers, self.metric.prepare(checked), threads)

    def remove(self, rows: ArrayLike) -> int:
        """Remove rows: tombstones, until :meth:`compact`. See :meth:`VectorIndex.remove`."""
        numbers = np.unique(as_rows(rows))
        with self._writing:
            slots = self._table.find(numbers)
            numbers, slots = numbers[slots >= 0], slots[slots >= 0]
            self._table.clear(numbers)
            self._view.graph.rows[slots] = -1
            self._alive -= len(numbers)
        return len(numbers)

    def compact(self, *, threads: int = 1) -> None:
        """Build the graph anew from the rows that are left. Searches go on in the old one."""
        threads = positive(threads, "threads")
        with self._writing:
            view = self._view
            if view.size == self._alive:
                return
            slots = np.flatnonzero(view.graph.rows[: view.size] >= 0)
            fresh = HNSW(self.dim, self.metric, **self.params)
            fresh._insert(
                view.graph.rows[slots].astype(np.int64), view.graph.vectors[slots], threads
            )
            self._table, self._alive, self._view = fresh._table, fresh._alive, fresh._view
            self._lists, self._locks = fresh._lists, fresh._locks

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        allowed: Mask | None = None,
        threads: int = 1,
        ef_search: int | None = None,
    ) -> tuple[Rows, Scores]:
        """The ``k`` nearest rows of each query. See :meth:`VectorIndex.search`.

        A filter is honoured inside the traversal. Where few rows are allowed, and where the traversal
        finds fewer than it must, the allowed rows are scanned instead, exactly.
        """
        array = as_queries(queries, self.dim)
        k, threads = positive(k, "k"), positive(threads, "threads")
        ef = self.ef_search if ef_search is None else positive(ef_search, "ef_search")
        mask = as_allowed(allowed)
        view, alive = self._view, self._alive
        candidates = alive if allowed is None else min(alive, int(np.count_nonzero(mask)))
        need = min(k, candidates)
        ef = min(max(ef, k), max(view.size, 1))
        if self._prefer_scan(candidates, view.size, ef):
            return self._scan(array, k, mask, allowed is not None, view, threads)
        filtered = allowed is not None or alive < view.size
        n = len(array)
        rows, scores = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
        counts = np.empty(n, np.int64)
        graph = view.graph
        budget = 2 * candidates

        def work(start: int, stop: int) -> None:
            scratch = self._scratch.take(len(graph.rows)).fit(
                ef, k, max(_POOL, 4 * ef) if filtered else 0
            )
            answer(
                self.metric.code, array, start, stop, k, ef, budget, filtered, allowed is not None,
                mask, graph.blocks, graph.upper, graph.first, graph.twins, graph.rows,
                graph.vectors, graph.state, scratch.visited, scratch.epoch, scratch.signed,
                scratch.prepared, scratch.slots, scratch.keys, scratch.pool, scratch.best,
                rows, scores, counts,
            )  # fmt: skip
            self._scratch.give(scratch)

        each_range(work, n, threads)
        if n and counts.min() < need:
            self._complete(array, k, mask, allowed is not None, rows, scores, counts, need, threads)
        return rows, scores

    def save(self, folder: Path | str, *, stamp: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot, tombstones and all. See :meth:`VectorIndex.save`."""
        with self._writing:
            params = {"dim": self.dim, "metric": self.metric.name, **self.params}
            files.save(Path(folder), self.kind, params, self._view.graph, self._view.size, stamp)

    @classmethod
    def load(cls, folder: Path | str) -> tuple[HNSW, dict[str, Any]]:
        """The index and the stamp. See :meth:`VectorIndex.load`."""
        params, graph, stamp = files.load(Path(folder), cls.kind)
        index = files.checked(folder, lambda: cls(**params))
        files.validate(folder, graph, index.dim, index.M)
        index._reset(graph, len(graph.rows))
        return index, stamp

    def _reset(self, graph: Graph, count: int) -> None:
        """Take over the first ``count`` slots of a graph."""
        slots = np.flatnonzero(graph.rows[:count] >= 0)
        self._table = RowTable()
        self._table.place(graph.rows[slots].astype(np.int64), slots)
        self._alive = len(slots)
        self._lists = len(graph.upper)
        self._locks = np.zeros(0, np.int32)
        self._view = _View(graph, self._table.table, count)

    def _insert(self, rows: NDArray[np.int64], vectors: NDArray[np.float32], threads: int) -> None:
        """Insert prepared vectors under rows that aren't there."""
        start = self._view.size
        stop = start + len(rows)
        levels = draw_levels(self.seed, self.M, start, stop)
        graph = self._roomy(stop, self._lists + int(levels.sum()))
        firsts = self._lists + np.cumsum(levels, dtype=np.int64) - levels
        graph.vectors[start:stop] = vectors
        graph.rows[start:stop] = rows
        graph.levels[start:stop] = levels
        graph.first[start:stop] = firsts
        graph.twins[start:stop] = -1
        encode_rows(graph.blocks, graph.vectors, start, stop)
        graph.state[2] = start
        self._view = self._view._replace(graph=graph)
        # the first nodes alone: threads that insert at the same time don't find each other
        edge = min(stop, max(start, 64 * (threads - 1)))
        edges = [*range(start, edge, _BATCH), *range(edge, stop, _BATCH), stop]
        for low, high in itertools.pairwise(edges):
            self._insert_slots(graph, high, 1 if high <= edge else threads)
            self._table.assign(rows[low - start : high - start], low)
            self._lists = int(firsts[high - start - 1]) + int(levels[high - start - 1])
            self._alive += high - low
            self._view = _View(graph, self._table.table, high)

    def _insert_slots(self, graph: Graph, stop: int, threads: int) -> None:
        """Link the slots from ``state[2]`` to ``stop`` in several threads."""
        graph.state[2] = self._view.size

        def work() -> None:
            scratch = self._scratch.take(len(graph.rows)).fit(self.ef_construction, 1, 0)
            insert_nodes(
                self.metric.code, self.M, self.ef_construction, stop, graph.blocks, graph.upper,
                graph.first, graph.levels, graph.twins, graph.vectors, graph.state, self._locks,
                scratch.visited, scratch.epoch, scratch.code, scratch.node_code, scratch.own_code,
                scratch.slots, scratch.keys, scratch.few,
            )  # fmt: skip
            self._scratch.give(scratch)

        together([work] * threads)

    def _roomy(self, count: int, lists: int) -> Graph:
        """The graph, or a larger copy of it. A reader's arrays never change their length."""
        graph = self._view.graph
        capacity, room = len(graph.rows), len(graph.upper)
        if count > capacity or lists > room:
            capacity = max(capacity, 64) if count <= capacity else max(count, 2 * capacity, 64)
            room = room if lists <= room else max(lists, 2 * room, 16)
            graph = grow(graph, self._view.size, capacity, room)
        if len(self._locks) < capacity:
            self._locks = np.zeros(capacity, np.int32)
        return graph

    @staticmethod
    def _prefer_scan(candidates: int, count: int, ef: int) -> bool:
        """Whether scanning the candidates costs less than a traversal for them.

        A traversal measures some ``_SCAN_FACTOR · ef`` nodes, and as many times more as nodes are not
        allowed.
        """
        return candidates * candidates <= _SCAN_FACTOR * ef * count

    def _scan(
        self,
        queries: NDArray[np.float32],
        k: int,
        mask: NDArray[np.uint8],
        restricted: bool,
        view: _View,
        threads: int,
    ) -> tuple[Rows, Scores]:
        graph = view.graph
        if restricted:
            slots = allowed_slots(mask, view.table, view.size)
        else:
            slots = np.flatnonzero(graph.rows[: view.size] >= 0).astype(np.int32)
        rows, scores, counts = exact_search(
            self.metric, queries, k, graph.vectors, graph.rows, slots, threads
        )
        if counts.min(initial=0) == NOT_FINITE:
            check_vectors(queries, argument="queries")
        return rows, scores

    def _complete(
        self,
        queries: NDArray[np.float32],
        k: int,
        mask: NDArray[np.uint8],
        restricted: bool,
        rows: Rows,
        scores: Scores,
        counts: NDArray[np.int64],
        need: int,
        threads: int,
    ) -> None:
        """Answer the queries again, exactly, that the traversal found too little for."""
        if counts.min() == NOT_FINITE:
            check_vectors(queries, argument="queries")
        short = np.flatnonzero(counts < need)
        rows[short], scores[short] = self._scan(
            queries[short], k, mask, restricted, self._view, threads
        )
