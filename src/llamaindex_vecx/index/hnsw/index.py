"""The HNSW index: arguments, growth, snapshots. What is fast lies in the kernels beside this file."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from llamaindex_vecx.errors import DuplicateIdError, InvalidInputError
from llamaindex_vecx.index.base import Allowed, Rows, Scores
from llamaindex_vecx.index.checks import (
    as_allowed,
    as_batch,
    as_queries,
    as_rows,
    as_switch,
    as_target,
    positive,
)
from llamaindex_vecx.index.hnsw import files
from llamaindex_vecx.index.hnsw.calibration import Calibration
from llamaindex_vecx.index.hnsw.rebuild import Rebuild
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.hnsw.searcher import Searcher
from llamaindex_vecx.index.hnsw.store import Place, Settings, Store
from llamaindex_vecx.metrics import Metric, MetricName, as_metric

__all__ = ["HNSW"]

_EF_SEARCH = 64
_COMPACT_FROM = 1000  # tombstones that are not worth a rebuild
_STEP = 512  # rows of a rebuild at a time: some 70 ms


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
        Candidates of a typical search; more is better recall, slower. A query in a crowd takes more, twice
        as many at most, and one with few rows around it fewer. Raised to ``k`` where it is below.
    target_recall : float, optional
        Instead of ``ef_search``: the share of the true nearest that a search should find on average,
        between 0.5 and 0.999. How many candidates that takes is measured; see :meth:`calibrate`.
    on_disk : bool
        Keep the lower 16 of a component's 24 bits, more than half of an index, in a file of which a search
        reads what its last candidates need. Same answers; a third to half of the memory. Can be set later.
    folder : str or Path, optional
        Where that file lies, which has no name and goes with the process. By default the system's folder
        for temporary files: name another where that is memory itself (tmpfs). No part of a snapshot.
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
        ef_search: int = _EF_SEARCH,
        seed: int = 0,
        target_recall: float | None = None,
        on_disk: bool = False,
        folder: Path | str | None = None,
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
        self.target_recall = as_target(target_recall)
        if target_recall is not None and self.ef_search != _EF_SEARCH:
            raise InvalidInputError(
                f"ef_search={ef_search} and target_recall={target_recall} both say how far a search "
                "looks; give one of them"
            )
        self._place = Place(as_switch(on_disk, "on_disk"), None if folder is None else Path(folder))
        self._writing = threading.Lock()
        self._rebuild: Rebuild | None = None
        self._scratch = Pool(self.dim, self.M)
        self._settings = Settings(
            self.metric.code, self.dim, self.M, self.ef_construction, self.seed
        )
        self._searcher = Searcher(self.metric.code, self.dim, self._scratch)
        self._calibration = Calibration(self._searcher)
        self._store = Store(self._settings, self._scratch, self._place)

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
            "target_recall": self.target_recall,
            "on_disk": self.on_disk,
        }

    @property
    def on_disk(self) -> bool:
        """Whether the lower bits of vectors are in a file; another value moves them.

        Raises
        ------
        DiskFullError, StorageError
            Everything is as it was.
        """
        return self._place.on_disk

    @on_disk.setter
    def on_disk(self, value: bool) -> None:
        with self._writing:
            before, self._place.on_disk = self._place.on_disk, as_switch(value, "on_disk")
            try:
                self._store.settle()
            except BaseException:
                self._place.on_disk = before
                raise

    @property
    def folder(self) -> Path | None:
        """Where the next file of :attr:`on_disk` lies; one that there is stays where it is."""
        return self._place.folder

    @folder.setter
    def folder(self, value: Path | str | None) -> None:
        self._place.folder = None if value is None else Path(value)

    @property
    def tombstones(self) -> int:
        """Removed rows that take memory, and time until others come; :meth:`compact` drops them."""
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
            self._store.insert(numbers, checked, self.metric.prepare, threads)

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
        """Whether :meth:`improve` has something to do.

        Removed rows outnumber the others by far, or what ``target_recall`` takes is to be measured.
        """
        return self._wasteful or self._uncalibrated

    @property
    def _wasteful(self) -> bool:
        return self._rebuild is not None or self.tombstones > max(len(self), _COMPACT_FROM)

    @property
    def _uncalibrated(self) -> bool:
        return self.target_recall is not None and self._calibration.outgrown(self._store)

    def improve(self) -> bool:
        """:meth:`compact` a few rows at a time, or :meth:`calibrate`. Whether there was something to do."""
        if not self._wasteful:
            if not self._uncalibrated:
                return False
            self.calibrate()
            return True
        rebuild = self._rebuild
        if rebuild is None or rebuild.old is not self._store:  # another compaction was faster
            rebuild = self._rebuild = self._begin_rebuild()
        try:
            rebuild.step(_STEP, 1)
        except BaseException:  # it may lack rows now
            self._rebuild = None
            raise
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
                store = rebuild.finish(threads)
                store.settle()
                self._store = store

    def renumbered(self, old: Rows, new: Rows) -> HNSW:
        """A copy in which the rows ``old`` (ascending, all that there are) are called ``new``."""
        with self._writing:
            copy = HNSW(self.dim, self.metric, **self.params, folder=self.folder)
            copy._store = self._store.renumbered(old, new, copy._place)
            copy._calibration.table = self._calibration.table
        return copy

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        allowed: Allowed | None = None,
        threads: int = 1,
        ef_search: int | None = None,
        target_recall: float | None = None,
    ) -> tuple[Rows, Scores]:
        """The ``k`` nearest rows of each query. See :meth:`VectorIndex.search`.

        ``ef_search`` or ``target_recall`` takes the place of the index's own for this call.
        A filter is honoured inside the traversal. Where few rows are allowed, and where the traversal
        finds fewer than it must, the allowed rows are scanned instead, exactly. Where codes can't tell
        the candidates apart, as among near-duplicates, the search is repeated with more of them.
        """
        array = as_queries(queries, self.dim)
        k, threads = positive(k, "k"), positive(threads, "threads")
        if ef_search is not None:
            ef = positive(ef_search, "ef_search")
            if target_recall is not None:
                raise InvalidInputError("give ef_search or target_recall, not both")
        elif target_recall is None and self.target_recall is None:
            ef = self.ef_search
        else:
            target = as_target(target_recall) or self.target_recall or 1.0
            ef = self._calibration.ef(self._store, k, target)
        if allowed is not None:
            allowed = as_allowed(allowed)
        store = self._store
        found = self._searcher.search(store, array, k, ef, allowed, threads)
        if self._place.on_disk:
            store.let_go()
        return found

    def calibrate(self, queries: ArrayLike | None = None) -> None:
        """Measure anew what recall which ``ef_search`` reaches.

        Happens by itself at the first search for a ``target_recall``, and when the index has doubled or
        halved since. About a second for 60,000 rows.

        Parameters
        ----------
        queries : float32, shape (q, dim), optional
            Some hundred that are like those to come. By default rows of the index, each searched for as
            if it were not in it; right where queries resemble rows.
        """
        array = None if queries is None else as_queries(queries, self.dim)
        if len(self) and (array is None or len(array)):
            self._calibration.measure(self._store, array)
            self._store.let_go()

    def save(self, folder: Path | str, *, stamp: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot, tombstones and all. See :meth:`VectorIndex.save`."""
        with self._writing:
            params = {"dim": self.dim, "metric": self.metric.name, **self.params}
            table = self._calibration.table
            files.save(Path(folder), self.kind, params, self._store, table, stamp)
            self._store.let_go()

    @classmethod
    def load(cls, folder: Path | str) -> tuple[HNSW, dict[str, Any]]:
        """The index and the stamp. See :meth:`VectorIndex.load`."""
        params, graph, table, stamp = files.load(Path(folder), cls.kind)
        index = files.checked(folder, lambda: cls(**params))
        files.validate(folder, graph, table, index.dim, index.M)
        index._calibration.table = table
        index._store = Store(index._settings, index._scratch, index._place, graph)
        if index.on_disk:
            index._store.settle()
        return index, stamp
