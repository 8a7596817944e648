"""Views: what answers a question faster than the rows could, each with the ``seq`` it has reached.

A view never holds anything that the rows don't, so it may lag, be thrown away or be damaged on disk;
:meth:`View.follow` applies what was committed since, the same way after an add, after a reopen and in a
process that only reads.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from llamaindex_vecx.collection import rows
from llamaindex_vecx.collection.database import Database
from llamaindex_vecx.collection.metadata import MetadataIndex
from llamaindex_vecx.collection.state import State
from llamaindex_vecx.errors import DamagedSnapshotError
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot
from llamaindex_vecx.text import BM25, Tokenizer

__all__ = ["SLICE", "MetadataView", "TextView", "View"]

SLICE = 1024
"""Rows that a view takes over at a time."""


class View(ABC):
    """A view over the rows of one database.

    Attributes
    ----------
    generation : str
        Of the collection; after a ``clear`` the view is of no use.
    base : int
        Where the row numbers of this generation begin: tables over rows start here.
    seen : int
        Everything committed up to this ``seq`` is in the view.
    saved : int
        The ``seq`` of its last snapshot; 0 without one.
    lock : RLock
        Held while the view changes, and by whoever asks it something.
    restore : callable, optional
        Called once, before the view's first use, to load a snapshot.
    """

    name: str
    what: str

    def __init__(self, database: Database, state: State) -> None:
        self.database = database
        self.generation: str = state.generation
        self.base: int = state.base
        self.seen: int = 0
        self.saved: int = 0
        self._row = 0  # rows up to here are in, perhaps some beyond `seen`
        self._begun = 0  # rows removed up to this `seq` were never taken over
        self.lock: threading.RLock = threading.RLock()
        self.restore: Callable[[View], None] | None = None

    @property
    def reached(self) -> int:
        """The ``seq`` that a snapshot of now would hold."""
        return self.seen

    @property
    def blank(self) -> bool:
        """Whether there is nothing yet that a snapshot could hold."""
        return self.seen == 0

    def follow(self, upto: int) -> bool:
        """Apply all commits up to ``upto``. Returns False where that can't be done: take a new view."""
        if self.seen < upto:
            with self.lock:
                while self.step(upto):
                    pass
                return self.seen >= upto
        return True

    def step(self, upto: int, limit: int = SLICE) -> bool:
        """Apply the next few commits, if ``upto`` is not reached. Returns whether there was anything to do.

        All new rows first, in slices, and what was removed with the last of them: what the database has
        now may be later than any ``upto``, so a removed row's replacement may be anywhere behind.

        A view that fails half-way begins again from nothing: what it holds then is anybody's guess.
        """
        with self.lock:
            if self.seen >= upto:
                return False
            if self.restore is not None:
                restore, self.restore = self.restore, None
                if self._row == 0:  # else it has begun without: a new collection's first adds
                    restore(self)
                if self.seen >= upto:
                    return False
            with self.database.snapshot() as connection:
                generation, now, floor = rows.current(connection)
                if self._row == 0:
                    self._begun = now
                # Cleared meanwhile, or compacted by another process: removals are forgotten that this
                # view has not seen.
                if generation != self.generation or floor > max(self.seen, self._begun):
                    return False
                new, values = rows.added(connection, self.what, self._row, now, limit)
                more = len(new) == limit
                gone = [] if more else rows.removed(connection, self.seen, now, self._row)
            prepared = self._prepare(values)
            try:
                self._apply(new, prepared, gone)
            except BaseException:
                self._reset()
                raise
            if more:
                self._row = new[-1]
            else:
                self._reach(now)
            return True

    def save(self, folder: Path, stamp: Callable[[int, int], dict[str, Any]]) -> None:
        """Write a snapshot; ``stamp`` says what one with a given ``seq`` and ``row`` carries.

        Raises
        ------
        OSError
        """
        with self.lock:
            self._write(folder, stamp(self.seen, self._row))
            self.saved = self.seen

    def adopt(self, state: Any, stamp: Mapping[str, Any]) -> None:
        """Become what :meth:`read` returned."""
        with self.lock:
            self._take(state)
            self._reach(stamp["seq"])
            self._row = stamp["row"]
            self.saved = self.seen

    def read(self, folder: Path) -> tuple[Any, dict[str, Any]]:
        """What a snapshot holds, for :meth:`adopt`, and its stamp.

        Raises
        ------
        DamagedSnapshotError
        """
        return self._read(folder)

    def _reach(self, seq: int) -> None:
        """All commits up to ``seq`` are in."""
        self.seen = self._row = seq

    def _reset(self) -> None:
        """Become empty."""
        self.seen = self._row = 0

    @abstractmethod
    def _prepare(self, values: list[Any]) -> Any:
        """What the rows say, as the view takes it. May fail without harm."""

    @abstractmethod
    def _apply(self, new: list[int], values: Any, gone: list[int]) -> None:
        """Take over new rows with their prepared values, and then rows that are gone."""

    @abstractmethod
    def _write(self, folder: Path, stamp: Mapping[str, Any]) -> None:
        """Write a snapshot."""

    @abstractmethod
    def _read(self, folder: Path) -> tuple[Any, dict[str, Any]]:
        """What a snapshot holds, and its stamp."""

    @abstractmethod
    def _take(self, state: Any) -> None:
        """Put what was read in the place of what is there."""


class MetadataView(View):
    """Bitmaps by metadata key and value."""

    name = what = "metadata"

    def __init__(self, database: Database, state: State) -> None:
        super().__init__(database, state)
        self.index: MetadataIndex = MetadataIndex()

    def _prepare(self, values: list[Any]) -> tuple[list[dict[str, Any]], list[str | None]]:
        return [rows.decode_metadata(text) for text, _ in values], [ref for _, ref in values]

    def _apply(self, new: list[int], values: Any, gone: list[int]) -> None:
        if new:
            self.index.add(new, *values)
        if gone:
            self.index.remove(gone)

    def _reset(self) -> None:
        super()._reset()
        self.index = MetadataIndex()

    def _write(self, folder: Path, stamp: Mapping[str, Any]) -> None:
        arrays = self.index.arrays()
        write_snapshot(folder, kind=self.name, params={}, arrays=arrays, stamp=stamp)

    def _read(self, folder: Path) -> tuple[MetadataIndex, dict[str, Any]]:
        snapshot = read_snapshot(folder, kind=self.name)
        try:
            return MetadataIndex.from_arrays(snapshot.arrays), snapshot.stamp
        except (KeyError, ValueError, TypeError, StopIteration) as error:
            raise DamagedSnapshotError(f"{folder} does not fit together: {error!r}") from error

    def _take(self, state: MetadataIndex) -> None:
        self.index = state


class TextView(View):
    """BM25 over the text."""

    name = what = "text"

    def __init__(
        self,
        database: Database,
        state: State,
        tokenizer: Callable[[], Tokenizer],
        params: Mapping[str, Any],
    ) -> None:
        super().__init__(database, state)
        self._tokenizer = tokenizer
        self.params: dict[str, Any] = dict(params)
        self.index: BM25 = BM25(**self.params)

    def _prepare(self, values: list[Any]) -> list[list[str]]:
        tokenizer = self._tokenizer()
        return [tokenizer(text) for text in values]

    def _apply(self, new: list[int], values: Any, gone: list[int]) -> None:
        if new:
            self.index.add(np.array(new) - self.base, values)
        if gone:
            self.index.remove(np.array(gone) - self.base)

    def _reset(self) -> None:
        super()._reset()
        self.index = BM25(**self.params)

    def _identity(self) -> dict[str, Any]:
        tokenizer = self._tokenizer()
        return {"tokenizer": [tokenizer.name, tokenizer.version], "params": self.params}

    def _write(self, folder: Path, stamp: Mapping[str, Any]) -> None:
        self.index.save(folder, stamp={**stamp, **self._identity()})

    def _read(self, folder: Path) -> tuple[BM25, dict[str, Any]]:
        index, stamp = BM25.load(folder)
        for key, value in self._identity().items():
            if stamp.get(key) != value:
                raise DamagedSnapshotError(
                    f"{folder} was made with {key} {stamp.get(key)}, now it is {value}"
                )
        return index, stamp

    def _take(self, state: BM25) -> None:
        self.index = state
