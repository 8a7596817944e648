"""Exact search by looking at everything: the oracle of every test, and the best index for small data."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamaindex_vecx.errors import DamagedSnapshotError, DuplicateIdError, InvalidInputError
from llamaindex_vecx.index.base import Allowed, Rows, Scores
from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.index.checks import as_allowed, as_batch, as_queries, as_rows, positive
from llamaindex_vecx.index.exact import NOT_FINITE, scan
from llamaindex_vecx.index.keys import buffer
from llamaindex_vecx.index.memory import zeros
from llamaindex_vecx.index.rows import RowTable
from llamaindex_vecx.metrics import Metric, MetricName, as_metric, check_vectors
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

__all__ = ["Flat", "FlatStore", "exact_search"]


class FlatStore(NamedTuple):
    """What a search takes once: arrays that only grow by being replaced."""

    vectors: NDArray[np.float32]
    rows: NDArray[np.int32]
    table: NDArray[np.int32]
    size: int


def exact_search(
    metric: Metric,
    queries: NDArray[np.float32],
    k: int,
    vectors: NDArray[np.float32],
    row_of: NDArray[np.int32],
    slots: NDArray[np.int32],
    threads: int,
) -> tuple[Rows, Scores, NDArray[np.int64]]:
    """The ``k`` nearest of ``slots``: rows, scores and how many were found, for checked arguments."""
    n = len(queries)
    rows, scores = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    counts = np.empty(n, np.int64)
    best = np.empty((n, len(buffer(k))), np.int64)

    def work(start: int, stop: int) -> None:
        scan(
            metric.code, queries, vectors, row_of, slots, best[start:stop], k, rows, scores, counts,
            start, stop,
        )  # fmt: skip

    each_range(work, n, threads)
    return rows, scores, counts


def allowed_slots(allowed: Allowed, table: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
    """Slots of the allowed rows that are there, below ``limit``."""
    rows: NDArray[Any]
    if allowed.dtype == np.bool_:
        rows = np.flatnonzero(allowed[: len(table)])
    else:
        rows = allowed[: np.searchsorted(allowed, len(table))]
    slots = table[rows] - np.int32(1)
    return slots[(slots >= 0) & (slots < limit)]


class Flat:
    """Exact nearest rows.

    Parameters
    ----------
    dim : int
    metric : {"cosine", "ip", "l2"}

    See Also
    --------
    llamaindex_vecx.index.base.VectorIndex : what every method does.
    """

    kind: ClassVar[str] = "flat"

    def __init__(self, dim: int, metric: MetricName | Metric = "cosine") -> None:
        self.dim: int = positive(dim, "dim")
        self.metric: Metric = as_metric(metric)
        self._table = RowTable()
        self._writing = threading.Lock()
        self._alive = 0
        self._store = FlatStore(
            np.zeros((0, self.dim), np.float32), np.zeros(0, np.int32), self._table.table, 0
        )

    def __len__(self) -> int:
        return self._alive

    def __contains__(self, row: object) -> bool:
        table = self._table.table
        return isinstance(row, int | np.integer) and bool(0 <= row < len(table) and table[row])

    def __repr__(self) -> str:
        return f"Flat(dim={self.dim}, metric={self.metric.name!r}), {len(self)} rows"

    @property
    def store(self) -> FlatStore:
        """What a search takes once. Not to be written to."""
        return self._store

    def alive(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Vectors, prepared, and rows of what is there: views of the arrays where nothing was removed."""
        with self._writing:
            return self._alive_arrays()

    def lacks(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of ``rows`` are not in it."""
        return self._table.find(rows) < 0

    @property
    def params(self) -> dict[str, Any]:
        """Settings besides dimension and metric: none."""
        return {}

    def add(self, rows: ArrayLike, vectors: ArrayLike, *, threads: int = 1) -> None:
        """Add vectors under new rows. See :meth:`VectorIndex.add`."""
        positive(threads, "threads")
        numbers, checked = as_batch(rows, vectors, self.dim)
        with self._writing:
            there = numbers[self._table.find(numbers) >= 0]
            if there.size:
                raise DuplicateIdError(
                    f"rows holds {there[0]}, which is in the index; remove it first"
                )
            store, n = self._store, self._store.size
            stop = n + len(numbers)
            if stop > len(store.rows):
                store = self._grown(store, max(stop, 2 * len(store.rows), 64))
            store.vectors[n:stop] = self.metric.prepare(checked)
            store.rows[n:stop] = numbers
            self._table.assign(numbers, n)
            self._store = store._replace(table=self._table.table, size=stop)
            self._alive += len(numbers)

    def remove(self, rows: ArrayLike) -> int:
        """Remove rows. See :meth:`VectorIndex.remove`."""
        numbers = np.unique(as_rows(rows))
        with self._writing:
            slots = self._table.find(numbers)
            numbers, slots = numbers[slots >= 0], slots[slots >= 0]
            self._table.clear(numbers)
            self._store.rows[slots] = -1
            self._alive -= len(numbers)
            if self._store.size > 64 and 2 * self._alive < self._store.size:
                self._compact()
        return len(numbers)

    def compact(self) -> None:
        """Drop the vectors of removed rows."""
        with self._writing:
            self._compact()

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

        ``ef_search`` is taken and has no effect, so that one call serves every index.
        """
        array = as_queries(queries, self.dim)
        k, threads = positive(k, "k"), positive(threads, "threads")
        if ef_search is not None:
            positive(ef_search, "ef_search")
        allowed = as_allowed(allowed)
        store = self._store
        if allowed is None:
            slots = np.arange(store.size, dtype=np.int32)
        else:
            slots = allowed_slots(allowed, store.table, store.size)
        rows, scores, counts = exact_search(
            self.metric, array, k, store.vectors, store.rows, slots, threads
        )
        if counts.min(initial=0) == NOT_FINITE:
            check_vectors(array, argument="queries")
        return rows, scores

    def save(self, folder: Path | str, *, stamp: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot. See :meth:`VectorIndex.save`."""
        with self._writing:
            vectors, rows = self._alive_arrays()
            write_snapshot(
                Path(folder),
                kind=self.kind,
                params={"dim": self.dim, "metric": self.metric.name},
                arrays={"vectors": vectors, "rows": rows},
                stamp=stamp,
            )

    @classmethod
    def load(cls, folder: Path | str) -> tuple[Flat, dict[str, Any]]:
        """The index and the stamp. See :meth:`VectorIndex.load`."""
        snapshot = read_snapshot(Path(folder), kind=cls.kind)
        params, arrays = snapshot.params, snapshot.arrays
        try:
            index = cls.of(params["dim"], params["metric"], arrays["vectors"], arrays["rows"])
        except (KeyError, ValueError, TypeError) as error:
            raise DamagedSnapshotError(f"{folder} lacks a part or setting: {error!r}") from error
        return index, snapshot.stamp

    @classmethod
    def of(
        cls,
        dim: int,
        metric: MetricName | Metric,
        vectors: NDArray[np.float32],
        rows: NDArray[np.int32],
    ) -> Flat:
        """An index over arrays that :meth:`alive` returned.

        Raises
        ------
        InvalidInputError
            They don't fit together.
        """
        index = cls(dim, metric)
        if (
            vectors.dtype != np.float32
            or vectors.shape != (len(rows), index.dim)
            or rows.dtype != np.int32
            or rows.ndim != 1
            or (len(rows) and (rows.min() < 0 or len(np.unique(rows)) != len(rows)))
        ):
            raise InvalidInputError("rows and vectors don't fit together")
        index._table.assign(rows.astype(np.int64), 0)
        index._alive = len(rows)
        index._store = FlatStore(vectors, rows, index._table.table, len(rows))
        return index

    def _alive_arrays(self) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        store = self._store
        vectors, rows = store.vectors[: store.size], store.rows[: store.size]
        alive = np.flatnonzero(rows >= 0)
        return (vectors, rows) if len(alive) == store.size else (vectors[alive], rows[alive])

    def _grown(self, store: FlatStore, capacity: int) -> FlatStore:
        vectors = zeros((capacity, self.dim), np.float32)
        rows = zeros((capacity,), np.int32)
        vectors[: store.size] = store.vectors[: store.size]
        rows[: store.size] = store.rows[: store.size]
        return store._replace(vectors=vectors, rows=rows)

    def _compact(self) -> None:
        store = self._store
        alive = np.flatnonzero(store.rows[: store.size] >= 0)
        rows = store.rows[alive]
        self._table = RowTable()
        self._table.assign(rows.astype(np.int64), 0)
        self._store = FlatStore(store.vectors[alive], rows, self._table.table, len(rows))
