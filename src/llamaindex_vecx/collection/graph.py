"""The vector index as a view: what the index holds already, and the tail that it doesn't yet.

Building a graph takes longer than committing rows, so it happens in the background. Until then the rows'
vectors stand in the *tail*, blocks that are scanned exactly and merged into every answer. A row enters
the tail before it counts as seen and leaves it after it has entered the index, and a search looks at
the tail first: so it finds every row in one of the two, without a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.collection import rows
from llamaindex_vecx.collection.database import Database
from llamaindex_vecx.collection.views import View
from llamaindex_vecx.errors import DamagedSnapshotError
from llamaindex_vecx.index import Flat
from llamaindex_vecx.index.base import Mask, Rows, Scores, VectorIndex
from llamaindex_vecx.metrics import MetricName

__all__ = ["BATCH", "GraphView"]

BATCH = 512
"""Rows that enter the index at a time: some 70 ms, for which a snapshot or a stop may have to wait."""

_BLOCK = 4096
_MAX_DEAD = 64
_NO_ROWS = np.empty(0, np.int64)
_NO_SCORES = np.empty(0, np.float32)


class _Block:
    """Some of the tail: ascending rows, searched exactly, numbered from its first one."""

    __slots__ = ("_base", "_index", "last", "size")

    def __init__(self, dim: int, metric: MetricName, base: int) -> None:
        self._index = Flat(dim, metric)
        self._base = base
        self.size = 0
        self.last = -1

    def add(self, new: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._index.add(new - self._base, vectors)
        self.size += len(new)
        self.last = int(new[-1])

    def remove(self, removed: NDArray[np.int64]) -> None:
        self._index.remove(removed[removed >= self._base] - self._base)

    def search(
        self, query: NDArray[np.float32], k: int, allowed: Mask | None
    ) -> tuple[Rows, Scores]:
        if allowed is not None:
            allowed = allowed[self._base :]
        rows, scores = self._index.search(query, k, allowed=allowed)
        found = rows[0] >= 0
        return rows[0][found] + self._base, scores[0][found]


class GraphView(View):
    """A :class:`~llamaindex_vecx.index.base.VectorIndex` of any kind, and its tail.

    Attributes
    ----------
    seen : int
        Rows up to here are in the index or in the tail.
    done : int
        Rows up to here are in the index. What a snapshot holds.
    """

    name = "graph"
    what = "vector"

    def __init__(
        self,
        database: Database,
        factory: Callable[[int], VectorIndex],
        loader: Callable[[Path], tuple[VectorIndex, dict[str, Any]]],
        metric: MetricName,
        dim: int | None,
        *,
        lagging: bool,
    ) -> None:
        super().__init__(database)
        self.metric = metric
        self.done = 0
        self._factory = factory
        self._loader = loader
        self._dim = dim
        self._lagging = lagging
        self._index: VectorIndex | None = None
        self._tail: tuple[_Block, ...] = ()
        self._dead: frozenset[int] = frozenset()
        # Taken in this order: ``lock`` (who follows), ``_writing`` (the index's one writer, for as long as
        # a batch takes), ``_state`` (for a moment, to exchange the tail or the dead).
        self._writing = threading.Lock()
        self._state = threading.Lock()

    @property
    def lags(self) -> bool:
        """Whether :meth:`build` has something to do."""
        return bool(self._tail or self._dead)

    def append(
        self,
        since: int,
        upto: int,
        removed: list[int],
        first: int,
        parts: list[NDArray[np.float32]],
    ) -> None:
        """Take over what the writer has just committed, without reading it back.

        Parameters
        ----------
        since, upto : int
            The commit led from this ``seq`` to that one.
        removed : list of int
            Rows it removed.
        first : int
            The first new row; the others follow on it.
        parts : list of float32, shape (n, dim)
            Their vectors. Emptied on the way, to let go of the memory.
        """
        with self.lock:
            if self.seen != since:  # a search was faster, or the view lags for another reason
                self.follow(upto)
                return
            parts.reverse()
            while parts:
                vectors = parts.pop()
                self._extend(np.arange(first, first + len(vectors)), vectors)
                first += len(vectors)
            self._remove(removed)
            self.seen = upto
            if not self._tail:
                self.done = upto

    def _apply(self, delta: rows.Delta) -> None:
        """Take changes over, new rows first: a replaced row is then never missing."""
        if delta.rows:
            if self._dim is None:
                self._dim = len(delta.values[0]) // 4
            vectors = rows.decode_vectors(delta.values, self._dim)
            self._extend(np.array(delta.rows, np.int64), vectors)
        self._remove(delta.removed)
        if not self._tail:
            self.done = delta.upto

    def _extend(self, new: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self._dim = vectors.shape[1]
        if self._index is None:
            self._index = self._factory(self._dim)
        if not self._lagging:
            with self._writing:
                self._index.add(new, vectors)
            return
        for at in range(0, len(new), _BLOCK):
            part = slice(at, at + _BLOCK)
            tail = self._tail
            if tail and tail[-1].size + len(new[part]) <= _BLOCK:
                tail[-1].add(new[part], vectors[part])
                with self._state:  # it may have left the tail as the new rows came
                    if tail[-1] not in self._tail:
                        self._tail = (*self._tail, tail[-1])
            else:
                block = _Block(self._dim, self.metric, int(new[at]))
                block.add(new[part], vectors[part])
                with self._state:
                    self._tail = (*self._tail, block)

    def _remove(self, removed: list[int]) -> None:
        if not removed:
            return
        for block in self._tail:
            block.remove(np.array(removed, np.int64))
        # While a batch enters the index nobody else may write there; few rows wait among the dead,
        # which a search leaves out, many wait for the batch, since a search has to look further for each.
        with self._state:
            self._dead = self._dead.union(removed)
        if self._writing.acquire(blocking=len(self._dead) > _MAX_DEAD):
            try:
                self._bury()
            finally:
                self._writing.release()

    def _bury(self) -> None:
        """Remove the dead from the index. The caller holds ``_writing``."""
        dead = self._dead
        if dead and self._index is not None:
            self._index.remove(np.array(sorted(dead), np.int64))
        with self._state:
            self._dead -= dead

    def build(self) -> bool:
        """Let one batch of the tail enter the index. Returns whether there was any."""
        with self._writing:
            seen = self.seen
            if self._index is None or not (self._tail or self._dead):
                return False
            if not self._tail:
                self._bury()
                return True
            with self.database.snapshot() as connection:
                delta = rows.delta(connection, self.what, self.done, seen, BATCH)
            if delta.rows:
                self._index.add(
                    np.array(delta.rows, np.int64),
                    rows.decode_vectors(delta.values, self._index.dim),
                )
            with self._state:
                self.done = delta.upto
                self._tail = tuple(block for block in self._tail if block.last > self.done)
            self._bury()
            return True

    def search(
        self, query: NDArray[np.float32], k: int, allowed: Mask | None, **params: Any
    ) -> tuple[Rows, Scores]:
        """The nearest rows, best first, at most ``k``, not padded. Takes no lock."""
        tail = self._tail  # before the index: what leaves the tail is in the index
        dead = self._dead  # before the index: what is no longer dead is gone from the index
        index = self._index
        if index is None:
            return _NO_ROWS, _NO_SCORES
        found, scores = index.search(query, k + len(dead), allowed=allowed, **params)
        found, scores = found[0], scores[0]
        if tail or dead:
            hits = [(found, scores)]
            for block in tail:
                hits.append(block.search(query, k, allowed))
            found, scores = _merge(hits, dead)
        n = len(found)
        if n and found[-1] < 0:
            n = int(np.searchsorted(-found, 1))
        n = min(n, k)
        return found[:n], scores[:n]

    @property
    def reached(self) -> int:
        """What a snapshot of now would hold: the tail is not in it."""
        return self.done

    def _write(self, folder: Path, stamp: Mapping[str, Any]) -> None:
        with self._writing:
            if self._index is not None:
                self._index.save(folder, stamp={**stamp, "seq": self.done})

    def _read(self, folder: Path) -> tuple[VectorIndex, dict[str, Any]]:
        index, stamp = self._loader(folder)
        if index.metric.name != self.metric or self._dim not in (None, index.dim):
            raise DamagedSnapshotError(
                f"{folder} has dimension {index.dim} and metric {index.metric.name}"
            )
        return index, stamp

    def _take(self, state: VectorIndex) -> None:
        self._index, self._dim = state, state.dim

    def adopt(self, state: VectorIndex, seq: int) -> None:
        """Become what was read from a snapshot."""
        super().adopt(state, seq)
        self.done = seq

    def compact(self) -> None:
        """Drop what the index keeps of removed rows."""
        with self._writing:
            compact = getattr(self._index, "compact", None)
            if compact is not None:
                compact()


def _merge(hits: list[tuple[Rows, Scores]], dead: frozenset[int]) -> tuple[Rows, Scores]:
    """All hits, best first, ties by row, each row once, the dead and the padding left out."""
    found = np.concatenate([some for some, _ in hits])
    scores = np.concatenate([theirs for _, theirs in hits])
    found, first = np.unique(found, return_index=True)
    scores = scores[first]
    keep = found >= 0
    if dead:
        keep &= ~np.isin(found, list(dead))
    found, scores = found[keep], scores[keep]
    order = np.lexsort((found, -scores))
    return found[order], scores[order]
