"""One open database with its views and its background thread, shared by all who opened the same path."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from llama_index.core.vector_stores.types import MetadataFilters
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection import filters as filters_
from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.database import Database
from llamaindex_vecx.collection.graph import GraphView
from llamaindex_vecx.collection.masks import Masks
from llamaindex_vecx.collection.record import Record, check_ids, stack_vectors
from llamaindex_vecx.collection.settings import INDEXES, Settings
from llamaindex_vecx.collection.snapshots import MOST_SESSIONS, History, Snapshots, warn
from llamaindex_vecx.collection.views import SLICE, MetadataView, TextView, View
from llamaindex_vecx.collection.worker import Worker
from llamaindex_vecx.errors import DamagedSnapshotError, StorageError
from llamaindex_vecx.index.base import Rows, Scores, VectorIndex
from llamaindex_vecx.text import Tokenizer, get_tokenizer

__all__ = ["STATE", "Engine", "new_state"]

_PART = 4096
_MOST_ROWS = 2**32 - 1  # a bitmap's largest row
_OFTEN, _SHARE = 20_000, 0.25
_LITTLE = 256
STATE = ("seq", "count", "dim", "generation", "floor")


class _Views(NamedTuple):
    """The views of one generation."""

    graph: GraphView
    metadata: MetadataView
    text: TextView


class Engine:
    """What every handle to one path shares.

    Attributes
    ----------
    seq : int
        The last commit that this process knows of.
    count : int
        Rows at that commit.
    dim : int or None
        None before the first add.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        folder: Path | None,
        tokenizer: Tokenizer | None,
    ) -> None:
        self.database = database
        self.settings = settings
        self.pid = os.getpid()
        self._tokenizer = tokenizer
        self._writing = threading.RLock()
        self._saving = threading.Lock()
        self._masks = Masks()
        self._worker = Worker(self._work, f"vecx {folder or 'in memory'}")
        self._snapshots = Snapshots(folder / "views") if folder is not None else None
        self._session = uuid.uuid4().hex
        self._noted = False
        self._zeros_warned = False
        self._versions = threading.local()
        self._load_state()

    # -- opening ---------------------------------------------------------------------------------

    def _load_state(self) -> None:
        with self.database.snapshot() as connection:
            meta = sql.get_meta(connection, *STATE, "sessions", "saved")
        self.seq: int = meta["seq"]
        self.count: int = meta["count"]
        self.dim: int | None = meta["dim"]
        self._floor: int = meta["floor"]
        self._saved: dict[str, int] = meta["saved"]
        self._history = History(meta["generation"], [(t, s) for t, s in meta["sessions"]])
        self._views = self._new_views()

    def _new_views(self) -> _Views:
        settings = self.settings
        kind = INDEXES[settings.index]

        def make(dim: int) -> VectorIndex:
            index: VectorIndex = kind(dim, settings.metric, **settings.index_params)
            return index

        def load(folder: Path) -> tuple[VectorIndex, dict[str, Any]]:
            index, stamp = kind.load(folder)  # type: ignore[attr-defined]
            params = getattr(index, "params", {})
            for key, value in settings.index_params.items():
                if key in params and params[key] != value:
                    raise DamagedSnapshotError(
                        f"{folder} was built with {key}={params[key]!r}, the collection has {value!r}"
                    )
            return index, stamp

        graph = GraphView(
            self.database,
            make,
            load,
            settings.metric,
            self.dim,
            lagging=settings.index != "flat",
        )
        text = TextView(self.database, lambda: self.tokenizer, settings.bm25_params)
        views = _Views(graph, MetadataView(self.database), text)
        if self._snapshots is not None:
            for view in views:
                view.restore = self._restore
        return views

    def _restore(self, view: View) -> None:
        assert self._snapshots is not None
        self._snapshots.restore(
            view, self._history, self.seq, self._floor, expected=view.name in self._saved
        )

    @property
    def tokenizer(self) -> Tokenizer:
        """Found by name when it is first needed: a collection opens without its extra."""
        if self._tokenizer is None:
            self._tokenizer = get_tokenizer(self.settings.tokenizer)
        return self._tokenizer

    # -- writing ---------------------------------------------------------------------------------

    def add(self, records: Sequence[Record]) -> None:
        """One transaction; see ``Collection.add``."""
        ids = check_ids(records)
        if not records:
            return
        parts: list[NDArray[np.float32]] = []
        with self._writing:
            dim = self.dim or self.settings.dim
            since = self.seq
            with self.database.transaction() as connection:
                replaced = sorted(sql.lookup(connection, ids).values()) if self.count else []
                sql.delete(connection, replaced, since + 1)
                first = since + len(replaced) + 1
                for at in range(0, len(records), _PART):
                    some = records[at : at + _PART]
                    vectors = stack_vectors(some, dim)
                    dim = vectors.shape[1]
                    sql.insert(connection, first + at, some, vectors)
                    parts.append(vectors)
                upto = first + len(records) - 1
                count = self.count + len(records) - len(replaced)
                self._note(connection, upto, count, dim)
            self._committed(upto, count, dim)
            self._warn_of_zeros(parts, ids)
            self._views.graph.append(since, upto, replaced, first, parts)
        self._wake()

    def delete(self, rows: BitMap) -> int:
        """One transaction; see ``Collection.delete``."""
        with self._writing:
            since = self.seq
            with self.database.transaction() as connection:
                gone = sql.existing(connection, rows.to_array().tolist())
                if not gone:
                    return 0
                upto, count = since + len(gone), self.count - len(gone)
                sql.delete(connection, gone, since + 1)
                self._note(connection, upto, count, self.dim)
            self._committed(upto, count, self.dim)
            self._views.graph.append(since, upto, gone, upto + 1, [])
        self._wake()
        return len(gone)

    def clear(self) -> None:
        """One transaction, and a new generation."""
        with self._writing:
            seq = self.seq + 1
            with self.database.transaction() as connection:
                sql.clear(connection)
                sql.set_meta(
                    connection,
                    **new_state(self.settings.dim, session=self._session, seq=seq),
                )
            self._noted = True
            self._load_state()

    def set_note(self, key: str, value: Any) -> None:
        """Store a JSON value."""
        with self._writing, self.database.transaction() as connection:
            sql.set_meta(connection, **{f"note:{key}": value})

    def _note(self, connection: sqlite3.Connection, seq: int, count: int, dim: int | None) -> None:
        """Write the new state into the transaction that leads to it."""
        if seq > _MOST_ROWS:
            raise StorageError(
                f"{self.database.where} has used up its {_MOST_ROWS} row numbers; "
                "copy its records into a new collection"
            )
        sql.set_meta(connection, seq=seq, count=count, dim=dim)
        if not self._noted:
            sessions = [*self._history.sessions, (self._session, self.seq)]
            sql.set_meta(connection, sessions=sessions[-MOST_SESSIONS:])

    def _committed(self, seq: int, count: int, dim: int | None) -> None:
        """The transaction is through: its state is ours."""
        if not self._noted:
            self._history.begin(self._session, self.seq)
            self._noted = True
        self.seq, self.count, self.dim = seq, count, dim

    def _warn_of_zeros(self, parts: list[NDArray[np.float32]], ids: list[str]) -> None:
        if self._zeros_warned or self.settings.metric != "cosine":
            return
        zeros = np.flatnonzero(np.concatenate([~part.any(axis=1) for part in parts]))
        if len(zeros):
            self._zeros_warned = True
            warn(
                f"{len(zeros)} vectors are zero, the first of record {ids[zeros[0]]!r}: "
                "under cosine a zero vector has similarity 0 to everything"
            )

    # -- reading ---------------------------------------------------------------------------------

    def sync(self) -> None:
        """In a process that only reads: notice what the writer has committed since."""
        if self.database.mode == "write":
            return
        version = self.database.data_version()
        if getattr(self._versions, "last", None) == version:
            return
        with self.database.snapshot() as connection:
            meta = sql.get_meta(connection, *STATE)
        with self._writing:
            history = self._history
            lost = any(view.seen < meta["floor"] for view in self._views)
            if meta["generation"] != history.generation or (lost and meta["floor"] > self._floor):
                self._load_state()
            elif meta["seq"] > self.seq:
                self.seq, self.count, self.dim = meta["seq"], meta["count"], meta["dim"]
        self._versions.last = version

    def select(
        self,
        ids: Sequence[str] | None,
        ref_doc_ids: Sequence[str] | None,
        filters: MetadataFilters | None,
    ) -> BitMap | None:
        """See ``Collection.select``."""
        self.sync()
        selected: BitMap | None = None
        if ids is not None:
            with self.database.reading() as connection:
                selected = BitMap(list(sql.lookup(connection, ids).values()))
        if ref_doc_ids is not None:
            with self.database.reading() as connection:
                rows = BitMap(sql.of_documents(connection, ref_doc_ids))
            selected = rows if selected is None else selected & rows
        if filters is not None:
            filters_.check(filters)
            if filters.filters:
                view = self._views.metadata
                with view.lock:
                    view.follow(self.seq)
                    rows = filters_.evaluate(filters, view.index)
                selected = rows if selected is None else selected & rows
        return selected

    def all_rows(self) -> BitMap:
        """Every row there is."""
        self.sync()
        view = self._views.metadata
        with view.lock:
            view.follow(self.seq)
            return view.index.alive.copy()

    def search(
        self, query: NDArray[np.float32], k: int, allowed: BitMap | None, params: dict[str, Any]
    ) -> tuple[Rows, Scores]:
        """See ``Collection.search``."""
        self.sync()
        graph = self._views.graph
        graph.follow(self.seq)
        if graph.lags:
            self._worker.wake()
        mask = None if allowed is None else self._masks.of(allowed)
        return graph.search(query, k, mask, **params)

    def search_text(self, query: str, k: int, allowed: BitMap | None) -> tuple[Rows, Scores]:
        """See ``Collection.search_text``."""
        self.sync()
        tokens = self.tokenizer(query)
        mask = None if allowed is None else self._masks.of(allowed)
        view = self._views.text
        with view.lock:
            view.follow(self.seq)
            found, scores = view.index.search(tokens, k, allowed=mask)
        n = int(np.count_nonzero(found >= 0))
        return found[:n], scores[:n]

    # -- in the background -----------------------------------------------------------------------

    def _wake(self) -> None:
        error = self._worker.take_error()
        if error is not None:
            warn(
                f"the background work of {self.database.where} failed and is tried again "
                f"({type(error).__name__}: {error}); answers are right meanwhile, and slower"
            )
        self._worker.wake()

    def _work(self) -> bool:
        """A little for each view, so that none waits for another."""
        views, seq = self._views, self.seq
        more = views.graph.step(seq) or views.graph.build()
        more = views.metadata.step(seq, SLICE) or more
        more = views.text.step(seq, SLICE // 2) or more
        if self._snapshots is not None and self.database.mode == "write":
            for view in views:
                changes = view.reached - view.saved
                if changes >= _OFTEN and changes >= self.count * _SHARE:
                    self.save([view])
        return more

    def wait(self) -> None:
        """See ``Collection.wait``."""
        while True:
            self.sync()
            views, seq = self._views, self.seq
            if not views.graph.lags and all(view.reached >= seq for view in views):
                return
            self._worker.wait()
            error = self._worker.take_error()
            if error is not None:
                raise error
            self.database.check_open()

    def save(self, views: Sequence[View] | None = None) -> None:
        """Write snapshots of views that have changed since their last one."""
        if self._snapshots is None or self.database.mode != "write":
            return
        with self._saving:
            saved = {}
            for view in views if views is not None else self._views:
                if view.reached != view.saved and self._snapshots.save(view, self._history):
                    saved[view.name] = view.saved
            if saved:
                with self._writing, self.database.transaction() as connection:
                    self._saved.update(saved)
                    sql.set_meta(connection, saved=self._saved)

    def flush(self) -> None:
        """See ``Collection.flush``."""
        self.save()
        self.database.checkpoint()

    def compact(self) -> None:
        """See ``Collection.compact``."""
        for view in self._views:
            view.follow(self.seq)
        self._views.graph.compact()
        self.save()
        with self._writing:
            views = self._views
            floor = min(view.saved if self._snapshots else view.reached for view in views)
            with self.database.transaction() as connection:
                sql.prune_tombstones(connection, floor)
                sql.set_meta(connection, floor=floor)
            self._floor = floor
            self.database.vacuum()
        self.database.checkpoint()

    def close(self) -> None:
        """Stop the thread, write the snapshots that are worth it, close the database."""
        self._worker.stop()
        if self._snapshots is not None and self.database.mode == "write":
            worth = []
            for view in self._views:
                changes = view.reached - view.saved
                if changes > _LITTLE or changes * 10 > self.count:
                    worth.append(view)
            try:
                self.save(worth)
            except StorageError as error:
                warn(f"closing {self.database.where} without snapshots: {error}")
        self.database.close()


def new_state(dim: int | None, *, session: str, seq: int = 0) -> dict[str, Any]:
    """The state of a collection without rows, as ``meta`` holds it."""
    return {
        "generation": uuid.uuid4().hex,
        "sessions": [(session, seq)],
        "saved": {},
        "floor": seq,
        "seq": seq,
        "count": 0,
        "dim": dim,
    }
