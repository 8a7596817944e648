"""Any FAISS index by its factory string, behind the protocol of every vector index."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from math import ceil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.index.base import Allowed, Rows, Scores
from llamaindex_vecx.index.checks import (
    as_allowed,
    as_batch,
    as_queries,
    as_rows,
    count_allowed,
    positive,
)
from llamaindex_vecx.index.exact import NOT_FINITE
from llamaindex_vecx.index.faiss import factory as factories
from llamaindex_vecx.index.faiss import files
from llamaindex_vecx.index.faiss.anatomy import Anatomy
from llamaindex_vecx.index.faiss.core import Core
from llamaindex_vecx.index.faiss.growth import Progress, build, catch_up
from llamaindex_vecx.index.faiss.rescore import rescore
from llamaindex_vecx.index.flat import Flat
from llamaindex_vecx.metrics import Metric, MetricName, as_metric, check_vectors

__all__ = ["FAISS"]

_OUTGROWN = 4  # times as many rows as it was trained on: train again
_FEW_DEAD, _DEAD_SHARE = 64, 0.1  # removed rows that faiss may still hold
_EF_SEARCH, _REFINE = 64, 4
_ALL = os.cpu_count() or 1
_HALF = max(1, _ALL // 2)
_SCAN = 10  # see FAISS._scans
_TIES = 4  # candidates more than asked for: faiss rounds otherwise, and ties are for us to break
_SLACK = 16  # candidates more than asked for, at least, where some may be removed rows


class FAISS:
    """A FAISS index over rows, trained when there is enough to train on.

    Beside the faiss index stand the exact vectors: they answer until it is trained, score every candidate
    exactly, are scanned where a filter leaves too few for the index, and are what it is trained on and
    rebuilt from. After :meth:`load` they are memory-mapped.

    Nothing slow happens inside :meth:`add`: the owner calls :meth:`improve` while :attr:`due`, from any
    thread; adds, removals and searches go on meanwhile.

    Parameters
    ----------
    dim : int
    metric : {"cosine", "ip", "l2"}
        Cosine is inner product of unit vectors.
    factory : str
        As ``faiss.index_factory`` takes it, e.g. ``"Flat"``, ``"HNSW32"``, ``"IVF256,PQ48"``.
    template : str, optional
        A ready index (:func:`~llamaindex_vecx.index.faiss.factory.as_template`) in the place of
        ``factory``, which then is only its name.
    nprobe : int, optional
        Inverted lists that a search looks into. Default: twice the square root of their number.
    efSearch, efConstruction : int, optional
        Candidates of a search (default 64) and of an insertion (faiss' own default) in an HNSW graph.
    k_factor : int, optional
        Candidates for each result that are scored on the exact vectors. Default: 4 where the index
        compares codes, 1 where it compares vectors.
    train_at : int, optional
        Rows at which training begins. Default: 39 for each centroid, below which FAISS warns.

    Raises
    ------
    MissingExtraError, InvalidInputError, DimensionError

    References
    ----------
    Douze et al., "The Faiss library", arXiv 2401.08281.
    """

    kind: ClassVar[str] = "faiss"
    some_dim: ClassVar[Callable[..., int]] = staticmethod(factories.some_dim)

    def __init__(
        self,
        dim: int,
        metric: MetricName | Metric = "cosine",
        factory: str = "HNSW32",
        template: str | None = None,
        nprobe: int | None = None,
        efSearch: int | None = None,
        efConstruction: int | None = None,
        k_factor: int | None = None,
        train_at: int | None = None,
    ) -> None:
        self.dim: int = positive(dim, "dim")
        self.metric: Metric = as_metric(metric)
        self.factory = factory
        self.template = template
        self.nprobe: int | None = nprobe
        self.efSearch: int | None = efSearch
        self.efConstruction: int | None = efConstruction
        self.k_factor: int | None = k_factor
        self.train_at = train_at
        for name in ("nprobe", "efSearch", "efConstruction", "k_factor", "train_at"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), name)
        index = self._empty()
        self.anatomy: Anatomy = Anatomy(index)
        if self.anatomy.fixed:
            raise InvalidInputError(
                f"factory={factory!r} can take vectors only once, and a store takes them when they come; "
                "take a graph that grows, e.g. 'HNSW32'"
            )
        self._check_tunable(nprobe=nprobe, efSearch=efSearch)
        if efConstruction is not None:
            self._check_tunable(efSearch=1, shown="efConstruction")
        self._points = self.anatomy.points(index)
        if train_at is not None and train_at < self._points.least:
            raise InvalidInputError(
                f"train_at={train_at} is too few: {factory!r} can't be trained on fewer than "
                f"{self._points.least} vectors; leave it out or raise it"
            )
        self._exact = Flat(self.dim, self.metric)
        self._core: Core | None = None
        self._failed_at = 0
        self._writing = threading.Lock()
        self._building = threading.Lock()  # before ``_writing``

    def __len__(self) -> int:
        return len(self._exact)

    def __contains__(self, row: object) -> bool:
        return row in self._exact

    def __repr__(self) -> str:
        given = "".join(
            f", {name}={value!r}"
            for name, value in self.params.items()
            if value is not None and name != "template"
        )
        return f"FAISS(dim={self.dim}, metric={self.metric.name!r}{given}), {len(self)} rows, {self.stage}"

    @property
    def params(self) -> dict[str, Any]:
        """Settings besides dimension and metric, as JSON holds them."""
        names = (
            "factory", "template", "nprobe", "efSearch", "efConstruction", "k_factor", "train_at",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    @property
    def stage(self) -> str:
        """In words: whether the index answers yet, and what it was trained on."""
        if self._core is None:
            return f"exact until {self._trains_at:,} rows are there to train on"
        if not self._core.trained_on:
            return "needs no training" if self._points.least == 0 else "trained"
        return f"trained on {self._core.trained_on:,} rows"

    @property
    def trained(self) -> bool:
        """Whether the faiss index answers; else the exact vectors do."""
        return self._core is not None

    @property
    def faiss_index(self) -> Any:
        """The ``faiss.Index`` that answers, to look at; None until it is trained."""
        return None if self._core is None else self._core.index

    @property
    def tombstones(self) -> int:
        """Removed rows that faiss still holds; :meth:`improve` and :meth:`compact` drop them."""
        return 0 if self._core is None else self._core.dead

    @property
    def _trains_at(self) -> int:
        return self._points.enough if self.train_at is None else self.train_at

    # -- changes ---------------------------------------------------------------------------------

    def add(self, rows: ArrayLike, vectors: ArrayLike, *, threads: int = 1) -> None:
        """Add vectors under new rows. See :meth:`VectorIndex.add`."""
        threads = positive(threads, "threads")
        numbers, checked = as_batch(rows, vectors, self.dim)
        with self._writing:
            self._exact.add(numbers, checked)
            if self._core is None and self._points.least == 0:
                self._core = Core(self._empty(), 0)
            if self._core is not None:
                self._core.add(numbers, self.metric.prepare(checked), threads)

    def remove(self, rows: ArrayLike) -> int:
        """Remove rows. See :meth:`VectorIndex.remove`."""
        numbers = np.unique(as_rows(rows))
        with self._writing:
            if self._core is not None:
                self._core.remove(numbers)
            return self._exact.remove(numbers)

    # -- what is put off -------------------------------------------------------------------------

    @property
    def due(self) -> bool:
        """Whether :meth:`improve` has something to do."""
        return self._outgrown or self._crowded

    @property
    def _outgrown(self) -> bool:
        """Whether it is time to train, for the first time or again."""
        rows, core = len(self), self._core
        if self._points.least == 0 or rows < 2 * self._failed_at:
            return False
        return rows >= (self._trains_at if core is None else _OUTGROWN * core.trained_on)

    @property
    def _crowded(self) -> bool:
        core = self._core
        return core is not None and core.dead > max(
            _FEW_DEAD, _DEAD_SHARE * (len(core) + core.dead)
        )

    def improve(self, progress: Progress | None = None) -> bool:
        """Train if it is time to, drop removed rows if they are many. Returns whether anything was done.

        Takes half of the cores: queries go on.
        """
        with self._building:
            if self._outgrown:
                try:
                    self._build(progress, _HALF)
                except Exception:
                    self._failed_at = len(self)  # not again before there is twice as much
                    raise
                return True
            return self._crowded and self._purge(progress, _HALF)

    def train(self, progress: Progress | None = None) -> None:
        """Train now, on what is there, and put every row into the new index.

        Raises
        ------
        InvalidInputError
            There are fewer vectors than the factory string needs. Nothing has changed.
        """
        if len(self) < self._points.least:
            raise InvalidInputError(
                f"{self.factory!r} needs at least {self._points.least:,} vectors to train and there are "
                f"{len(self):,}; add more (until then search is exact), or take fewer centroids, "
                "e.g. IVF16 or PQ8x4"
            )
        with self._building:
            self._build(progress, _ALL)

    def compact(self, progress: Progress | None = None) -> None:
        """Drop removed rows from faiss and from the exact vectors."""
        with self._building:
            if self.tombstones:
                self._purge(progress, _ALL)
            self._exact.compact()

    def _purge(self, progress: Progress | None, threads: int) -> bool:
        core = self._core
        assert core is not None, "the caller has seen its dead"
        with self._writing:
            purged = core.purge()
        if not purged:
            self._build(progress, threads)
        return True

    def _build(self, progress: Progress | None, threads: int) -> None:
        """A new core beside the old one, in its place when it has all rows."""
        core = build(self._empty(), self._points, self._exact, progress, threads)
        with self._writing:
            catch_up(core, self._exact)
            self._core = core

    def _empty(self) -> Any:
        """A new faiss index, as configured."""
        if self.template is not None:
            index = factories.from_template(self.template)
            nprobe, ef_search = self.nprobe, self.efSearch
        else:
            index = factories.make(self.factory, self.dim, self.metric)
            nprobe, ef_search = self.nprobe, self.efSearch or _EF_SEARCH
        anatomy = Anatomy(index)
        if nprobe is None and self.template is None and anatomy.nlist:
            nprobe = min(anatomy.nlist, ceil(2 * anatomy.nlist**0.5))
        k_factor = self.k_factor
        if k_factor is None and self.template is None:
            k_factor = _REFINE
        anatomy.configure(index, nprobe, ef_search, self.efConstruction, k_factor)
        return index

    # -- the answer ------------------------------------------------------------------------------

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        allowed: Allowed | None = None,
        threads: int = 1,
        nprobe: int | None = None,
        efSearch: int | None = None,
        k_factor: int | None = None,
    ) -> tuple[Rows, Scores]:
        """The ``k`` nearest rows of each query. See :meth:`VectorIndex.search`.

        A filter goes to the index as a selector, with ``nprobe`` or ``efSearch`` widened by the share it
        leaves. The allowed rows are scanned instead, exactly, where that costs less, where the type of
        index refuses or ignores selectors, and for a query that got fewer than ``k``.
        """
        array = as_queries(queries, self.dim)
        k, threads = positive(k, "k"), positive(threads, "threads")
        self._check_tunable(nprobe=nprobe, efSearch=efSearch, k_factor=k_factor)
        allowed = as_allowed(allowed)
        core = self._core
        alive = len(self)
        permitted = sys.maxsize if allowed is None else count_allowed(allowed)
        candidates = min(alive, permitted)
        share = candidates / max(alive, 1)
        if (
            core is None
            or not candidates
            or (allowed is not None and (core.honours is False or self._scans(candidates, alive)))
        ):
            return self._exact.search(array, k, allowed=allowed, threads=threads)
        found = core.search(
            self.metric.prepare(check_vectors(array, argument="queries")),
            self._count(core, k, k_factor),
            allowed,
            threads,
            *self._widened(nprobe, efSearch, share),
            k_factor,
        )
        vectors, row_of, table, _ = self._exact.store
        slots = np.where((found >= 0) & (found < len(table)), found, 0)
        slots = np.where(slots == found, table[slots] - np.int32(1), np.int32(-1))
        rows, scores, counts = rescore(self.metric, array, k, vectors, row_of, slots, threads)
        # Rows that came meanwhile may stand in the answer for older ones that the index has missed.
        candidates = min(len(self), permitted)
        few = np.flatnonzero((counts < min(k, candidates)) | (counts == NOT_FINITE))
        if len(few):
            rows[few], scores[few] = self._exact.search(
                array[few], k, allowed=allowed, threads=threads
            )
        return rows, scores

    def _count(self, core: Core, k: int, k_factor: int | None) -> int:
        """Candidates to ask faiss for, so that ``k`` are left of them."""
        count = k
        if not self.anatomy.refined:
            usual = self.k_factor or (_REFINE if self.anatomy.lossy else 1)
            count *= k_factor or usual
        return count + _TIES + min(core.dead, max(_SLACK, k))

    def _widened(
        self, nprobe: int | None, ef_search: int | None, share: float
    ) -> tuple[int | None, int | None]:
        """``nprobe`` and ``efSearch`` for a filter: as many allowed rows are met as without one."""
        if share >= 1.0:
            return nprobe, ef_search
        inner = self.anatomy.inner
        if self.anatomy.nlist:
            nprobe = min(self.anatomy.nlist, ceil((nprobe or inner.nprobe) / share))
        if self.anatomy.graph:
            ef_search = ceil((ef_search or inner.hnsw.efSearch) / share)
        return nprobe, ef_search

    def _scans(self, candidates: int, alive: int) -> bool:
        """Whether scanning the candidates costs less than asking the index for them.

        A graph search looks at nodes in proportion to ``efSearch``, and at ``alive / candidates`` times
        more under a filter; probed lists hold ``nprobe / nlist`` of the allowed rows after widening, and
        as much is scanned here; what looks at all rows looks at eight codes in the time of one vector.
        """
        anatomy = self.anatomy
        if anatomy.graph:
            return candidates * candidates <= _SCAN * int(anatomy.inner.hnsw.efSearch) * alive
        if anatomy.nlist:
            return candidates * anatomy.nlist <= int(anatomy.inner.nprobe) * alive
        return 8 * candidates <= alive

    def _check_tunable(self, *, shown: str | None = None, **given: Any) -> None:
        for name, value in given.items():
            if value is None:
                continue
            positive(value, name)
            if name not in self.anatomy.tunable:
                takes = ", ".join(sorted(self.anatomy.tunable))
                raise InvalidInputError(
                    f"{shown or name} means nothing to {self.factory!r}; it takes {takes}"
                )

    # -- snapshots -------------------------------------------------------------------------------

    def save(self, folder: Path | str, *, stamp: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot, the faiss index and the exact vectors. See :meth:`VectorIndex.save`."""
        with self._writing:
            files.save(self, self._exact, self._core, Path(folder), stamp)

    @classmethod
    def load(cls, folder: Path | str) -> tuple[FAISS, dict[str, Any]]:
        """The index and the stamp. See :meth:`VectorIndex.load`.

        Checksums are compared before faiss reads a byte.
        """
        index, exact, core, stamp = files.load(cls, Path(folder))
        index._exact, index._core = exact, core
        return index, stamp
