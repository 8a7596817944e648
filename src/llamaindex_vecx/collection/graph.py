"""The vector index as a view: what the index holds already, and the tail that it doesn't yet.

Building a graph takes longer than committing rows, so it happens in the background. Until then the rows'
vectors stand in the *tail*, which is scanned exactly and merged into every answer. A row enters the tail
before it counts as seen and leaves it after it has entered the index, and a search looks at the tail
first: so it finds every row in one of the two, without a lock.
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
from llamaindex_vecx.collection.state import State
from llamaindex_vecx.collection.tail import BLOCK, Block, merge
from llamaindex_vecx.collection.views import View
from llamaindex_vecx.collection.writer import Commit
from llamaindex_vecx.errors import (
    DamagedSnapshotError,
    InvalidInputError,
    StorageError,
    UnsupportedError,
)
from llamaindex_vecx.index.base import Allowed, Rows, Scores, VectorIndex
from llamaindex_vecx.metrics import MetricName

__all__ = ["BATCH", "GraphView"]

BATCH = 512
"""Rows that enter the index at a time: some 70 ms, for which a close or many removals may have to wait."""

_MOST_DEAD = 64
_NOTHING = np.empty(0, np.int64), np.empty(0, np.float32)


class GraphView(View):
    """A :class:`~llamaindex_vecx.index.base.VectorIndex` of any kind, and its tail.

    Parameters
    ----------
    make : callable
        An empty index of a dimension.
    load : callable
        An index from a snapshot, and its stamp.
    metric : str
    lagging : bool
        Whether rows go through the tail. Without, the index takes them within the commit's call.

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
        state: State,
        make: Callable[[int], VectorIndex],
        load: Callable[[Path], tuple[VectorIndex, dict[str, Any]]],
        metric: MetricName,
        *,
        lagging: bool,
    ) -> None:
        super().__init__(database, state)
        self.done: int = 0
        self._make = make
        self._load = load
        self._metric = metric
        self._dim = state.dim
        self._lagging = lagging
        self._index: VectorIndex | None = None
        self._tail: tuple[Block, ...] = ()
        self._dead: frozenset[int] = frozenset()
        self._removals = 0
        # Taken in this order: ``lock`` (who follows), ``_writing`` (the index's one writer, for as long as
        # a batch takes), ``_state`` (for a moment, to exchange the tail or the dead).
        self._writing = threading.Lock()
        self._state = threading.Lock()

    @property
    def lags(self) -> bool:
        """Whether :meth:`build` has something to do."""
        return bool(self._tail or self._dead)

    @property
    def index(self) -> VectorIndex | None:
        """The index as it is now, to look at; None before the first vector."""
        return self._index

    @property
    def behind(self) -> bool:
        """Whether the background has something to do: :meth:`build` or :meth:`improve`."""
        return self.lags or getattr(self._index, "due", False)

    @property
    def reached(self) -> int:
        """What a snapshot of now would hold: the tail is not in it."""
        return self.done

    @property
    def blank(self) -> bool:
        """Without a single vector there is no dimension, and no index."""
        return self._index is None

    # -- changes ---------------------------------------------------------------------------------

    def append(self, commit: Commit) -> None:
        """Take over what the writer has just committed, without reading it back.

        Empties ``commit.parts`` on the way, to let go of the memory.
        """
        with self.lock:
            if (
                not self.seen == self._row == commit.since
            ):  # a search was faster, or the view was behind already
                self.follow(commit.state.seq)
                return
            try:
                first, parts = commit.first, commit.parts
                parts.reverse()
                while parts:
                    vectors = parts.pop()
                    self._extend(np.arange(first, first + len(vectors)), vectors)
                    first += len(vectors)
                self._remove(commit.removed)
            except BaseException:
                self._reset()
                raise
            self._reach(commit.state.seq)

    def _prepare(self, values: list[bytes]) -> NDArray[np.float32] | None:
        return rows.decode_vectors(values, self._dim or len(values[0]) // 4) if values else None

    def _apply(self, new: list[int], values: NDArray[np.float32] | None, gone: list[int]) -> None:
        if values is not None:
            self._extend(np.array(new, np.int64), values)
        self._remove(gone)

    def _extend(self, new: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        new = new - self.base
        self._dim = vectors.shape[1]
        if self._index is None:
            self._index = self._make(self._dim)
        if not self._lagging:
            with self._writing:
                self._index.add(new, vectors)
            return
        for at in range(0, len(new), BLOCK):
            some, theirs = new[at : at + BLOCK], vectors[at : at + BLOCK]
            tail = self._tail
            if tail and tail[-1].size + len(some) <= BLOCK:
                tail[-1].add(some, theirs)
                with self._state:  # it may have left the tail as the new rows came
                    if tail[-1] not in self._tail:
                        self._tail = (*self._tail, tail[-1])
            else:
                block = Block(self._dim, self._metric, int(some[0]))
                block.add(some, theirs)
                with self._state:
                    self._tail = (*self._tail, block)

    def _remove(self, removed: list[int]) -> None:
        if not removed:
            return
        gone = np.array(removed, np.int64) - self.base
        self._removals += 1  # before any of them shows
        for block in self._tail:
            block.remove(gone)
        # While a batch enters the index nobody else may write there. A few rows wait among the dead, which
        # a search leaves out; more would slow it down, since it has to look further for each.
        with self._state:
            self._dead = self._dead.union(gone.tolist())
        if self._writing.acquire(blocking=len(self._dead) > _MOST_DEAD):
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

    def _reach(self, seq: int) -> None:
        with self._state:
            super()._reach(seq)
            if not self._tail:
                self.done = seq

    def _reset(self) -> None:
        super()._reset()
        with self._writing, self._state:
            self._index, self._tail, self._dead, self.done = None, (), frozenset(), 0

    # -- the background --------------------------------------------------------------------------

    def build(self) -> bool:
        """Let one batch of the tail enter the index. Returns whether there was anything to do."""
        failure: BaseException | None = None
        with self._writing:
            index, since, seen = self._index, self.done, self.seen
            if index is None or not self.lags:
                return False
            if not self._tail:
                self._bury()
                return True
            with self.database.snapshot() as connection:
                generation, now, _ = rows.current(connection)
                if generation != self.generation:
                    return False
                new, blobs = rows.added(connection, self.what, since, seen, BATCH)
            vectors = rows.decode_vectors(blobs, index.dim)
            try:
                if new:
                    index.add(np.array(new, np.int64) - self.base, vectors)
                self._bury()
                self.done = new[-1] if len(new) == BATCH else seen
            except StorageError:
                raise  # the index is as it was, and the rows stay in the tail until there is room
            except BaseException as error:
                failure = error
        if failure is not None:
            with self.lock:  # not within _writing, which comes after it
                self._reset()
            raise failure
        # A row that the database had no longer may leave the tail only after its replacement has come.
        if not self.follow(now):
            return False
        with self._state:
            self._shed()
        return True

    def _shed(self) -> None:
        """Let go of what is in the index. The caller holds ``_state``."""
        self._tail = tuple(block for block in self._tail if block.last + self.base > self.done)
        if not self._tail:
            self.done = self.seen

    def improve(self) -> bool:
        """Let the index do what it puts off, such as training. Returns whether there was anything to do.

        Not within ``_writing``: it takes long, and commits, removals and searches go on.
        """
        index = self._index
        if not getattr(index, "due", False):
            return False
        return self._changed(index, index.improve())  # type: ignore[union-attr]

    def train(self, progress: Callable[[str, int, int], None] | None) -> None:
        """Train the index now, on every row there is.

        Raises
        ------
        InvalidInputError
            Too few vectors, or none.
        UnsupportedError
            This kind of index has nothing to train.
        """
        while self.build():
            pass
        index = self._index
        if index is None:
            raise InvalidInputError("there are no vectors to train on; add nodes first")
        if not hasattr(index, "train"):
            raise UnsupportedError(f"an index of kind {index.kind!r} has nothing to train")
        index.train(progress)
        self._changed(index, True)

    def _changed(self, index: VectorIndex | None, changed: bool) -> bool:
        if changed and index is self._index:
            self.saved: int = 0  # the snapshot has the index as it was
        return changed

    def compact(self) -> None:
        """Drop what the index keeps of removed rows. All else goes on meanwhile."""
        index = self._index
        compact = getattr(index, "compact", None)
        if compact is not None:
            compact()
            self._changed(index, True)

    @property
    def lag(self) -> int:
        """How many changes the index has still to take."""
        return self.seen - self.done

    def overtake(self, index: VectorIndex, stamp: Mapping[str, Any]) -> None:
        """Take over what another process has built further than this one, from its snapshot."""
        seq = stamp["seq"]
        with self.lock, self._writing:
            with self.database.snapshot() as connection:
                generation, _, floor = rows.current(connection)
                if seq <= self.done or generation != self.generation or floor > seq:
                    return
                gone = rows.removed(connection, seq, max(seq, self.seen), stamp["row"])
            index.remove(np.array(gone, np.int64) - self.base)
            self._take(index)  # before the tail goes: a search looks there first
            if seq >= self.seen:
                super()._reach(seq)
            with self._state:
                self.done, self._dead = seq, frozenset()
                self._shed()

    def retune(
        self,
        make: Callable[[int], VectorIndex],
        load: Callable[[Path], tuple[VectorIndex, dict[str, Any]]],
        values: Mapping[str, Any],
    ) -> None:
        """Take other values of parameters that the index takes anew at any time."""
        with self._writing:
            for name, value in values.items():
                if self._index is not None:
                    setattr(self._index, name, value)
            self._make, self._load = make, load

    def inherit(self, other: GraphView, old: Rows, state: State) -> None:
        """Become the index of a view whose rows ``old`` (ascending) were numbered anew from the base.

        Where that view is not through with all of them, this one stays empty and begins from the rows.
        """
        with other._writing:
            index = other._index
            if index is None or other.lags or not hasattr(index, "renumbered"):
                return
            renumbered = index.renumbered(old - other.base, 1 + np.arange(len(old)))
        with self.lock, self._writing:
            self._take(renumbered)
            self._reach(state.seq)

    # -- the answer ------------------------------------------------------------------------------

    def search(
        self, query: NDArray[np.float32], k: int, allowed: Allowed | None, **params: Any
    ) -> tuple[Rows, Scores]:
        """The nearest rows, best first, at most ``k``, not padded.

        Takes no lock, and so may see the removal half of a replacement without the new row, where a
        commit came in between: then it looks again, the third time with commits held back.
        """
        return self.search_each(query[None], k, allowed, **params)[0]

    def search_each(
        self, queries: NDArray[np.float32], k: int, allowed: Allowed | None, **params: Any
    ) -> list[tuple[Rows, Scores]]:
        """:meth:`search` for several queries at once; ``threads`` of the index is a parameter too."""
        for _ in range(2):
            removals = self._removals
            answers = self._search(queries, k, allowed, params)
            if removals == self._removals:
                return answers
        with self.lock:
            return self._search(queries, k, allowed, params)

    def _search(
        self, queries: NDArray[np.float32], k: int, allowed: Allowed | None, params: dict[str, Any]
    ) -> list[tuple[Rows, Scores]]:
        tail = self._tail  # before the index: what leaves the tail is in the index
        dead = self._dead  # before the index: what is no longer dead is gone from the index
        index, base = self._index, self.base
        if index is None:
            return [_NOTHING] * len(queries)
        found, scores = index.search(queries, k + len(dead), allowed=allowed, **params)
        answers = []
        for i in range(len(found)):
            n = found.shape[1]
            if n and found[i, -1] < 0:
                n = int(np.count_nonzero(found[i] >= 0))
            rows, similar = found[i, :n], scores[i, :n]
            if tail or dead:
                hits = [(rows, similar)]
                hits += [block.search(queries[i], k, allowed) for block in tail]
                rows, similar = merge(hits, dead)
            answers.append((rows[:k] + base, similar[:k]))
        return answers

    # -- snapshots -------------------------------------------------------------------------------

    def save(self, folder: Path, stamp: Callable[[int, int], dict[str, Any]]) -> None:
        """Write a snapshot. Searches, and commits without many removals, go on meanwhile."""
        with self._writing:
            self._write(folder, stamp(self.done, self.done))
            self.saved = self.done

    def _write(self, folder: Path, stamp: Mapping[str, Any]) -> None:
        if self._index is not None:  # it may have been reset since somebody looked
            self._index.save(folder, stamp=stamp)

    def _read(self, folder: Path) -> tuple[VectorIndex, dict[str, Any]]:
        index, stamp = self._load(folder)
        if index.metric.name != self._metric or self._dim not in (None, index.dim):
            raise DamagedSnapshotError(
                f"{folder} has dimension {index.dim} and metric {index.metric.name}"
            )
        return index, stamp

    def _take(self, state: VectorIndex) -> None:
        self._index, self._dim = state, state.dim

    def adopt(self, state: VectorIndex, stamp: Mapping[str, Any]) -> None:
        """Become what was read from a snapshot."""
        with self.lock, self._writing:
            super().adopt(state, stamp)
