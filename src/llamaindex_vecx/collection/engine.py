"""One open database with its views and its background thread, shared by all who opened the same path."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from llama_index.core.vector_stores.types import MetadataFilters
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection import filters as filters_
from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.database import Database
from llamaindex_vecx.collection.graph import GraphView
from llamaindex_vecx.collection.masks import Masks
from llamaindex_vecx.collection.recent import RecentRows
from llamaindex_vecx.collection.record import Record
from llamaindex_vecx.collection.schema import VIEWS
from llamaindex_vecx.collection.settings import INDEXES, TUNABLE, Settings, changed
from llamaindex_vecx.collection.snapshots import warn
from llamaindex_vecx.collection.state import State, read_state
from llamaindex_vecx.collection.upkeep import Upkeep
from llamaindex_vecx.collection.views import MetadataView, TextView, View
from llamaindex_vecx.collection.writer import Commit, Writer
from llamaindex_vecx.errors import DamagedSnapshotError, InvalidInputError
from llamaindex_vecx.index.base import Rows, Scores, VectorIndex
from llamaindex_vecx.text import Tokenizer, get_tokenizer

__all__ = ["Engine"]

_V = TypeVar("_V", bound=View)
_FEW_GONE = 256
_MANY = 256  # records beyond which a call reads the collection rather than the answer of a query


def _makers(
    settings: Settings, folder: Path | None
) -> tuple[Callable[[int], VectorIndex], Callable[[Path], tuple[VectorIndex, dict[str, Any]]]]:
    """What makes an empty index of a dimension, and what loads one from a snapshot.

    An index with files of its own puts them into ``folder``, where there is one that can be written.
    """
    kind = INDEXES[settings.index]
    tunable = TUNABLE.get(settings.index, frozenset())

    def placed(index: VectorIndex) -> VectorIndex:
        if hasattr(index, "folder"):
            index.folder = folder
        return index

    def make(dim: int) -> VectorIndex:
        index: VectorIndex = kind(dim, settings.metric, **settings.index_params)
        return placed(index)

    def load(snapshot: Path) -> tuple[VectorIndex, dict[str, Any]]:
        index, stamp = kind.load(snapshot)
        placed(index)
        for key, value in settings.index_params.items():
            if index.params.get(key, value) == value:
                continue
            if key not in tunable:
                raise DamagedSnapshotError(
                    f"{snapshot} has {key}={index.params[key]!r}, the collection {value!r}"
                )
            setattr(index, key, value)
        return index, stamp

    return make, load


class _Views(NamedTuple):
    """The views of one generation."""

    graph: GraphView
    metadata: MetadataView
    text: TextView


class Engine:
    """What every handle to one path shares.

    Attributes
    ----------
    state : State
        The last commit that this process knows of.
    """

    state: State

    def __init__(
        self,
        database: Database,
        settings: Settings,
        folder: Path | None,
        tokenizer: Tokenizer | None,
    ) -> None:
        self.database = database
        self.settings: Settings = settings
        self.pid: int = os.getpid()
        self.found_tokenizer = tokenizer
        self._writes = database.mode == "write"
        self._folder = folder if self._writes else None
        self._writer = Writer(database, settings.dim)
        self._writing = threading.RLock()
        self._masks = Masks()
        self._recent = RecentRows()
        self._zeros_warned = False
        self._versions = threading.local()
        self.upkeep: Upkeep = Upkeep(self, folder / VIEWS if folder is not None else None)
        self._begin()

    def _begin(self, prepare: Callable[[_Views], None] = lambda views: None) -> None:
        """Read the state and take new views for it, once they are prepared."""
        with self.database.snapshot() as connection:
            self.state, _ = read_state(connection)
        views = self._new_views()
        prepare(views)
        self.views: _Views = views

    def _new_views(self) -> _Views:
        settings, state = self.settings, self.state
        graph = self._new_graph(settings)
        text = TextView(self.database, state, lambda: self.tokenizer, settings.bm25_params)
        views = _Views(graph, MetadataView(self.database, state), text)
        for view in views:
            view.restore = self.upkeep.restore
        return views

    def _new_graph(self, settings: Settings) -> GraphView:
        make, load = _makers(settings, self._folder)
        lagging = settings.index != "flat"
        return GraphView(self.database, self.state, make, load, settings.metric, lagging=lagging)

    @property
    def tokenizer(self) -> Tokenizer:
        """Looked up when it is first needed: a collection opens without the extra it was built with."""
        if self.found_tokenizer is None:
            self.found_tokenizer = get_tokenizer(self.settings.tokenizer)
        return self.found_tokenizer

    # -- writing ---------------------------------------------------------------------------------

    def add(self, records: Sequence[Record]) -> None:
        """See :meth:`Collection.add`."""
        if not records:
            return
        with self._writing:
            if self.state.dim is None:
                self._try_dim(records[0])
            commit = self._writer.add(records)
            zeros = self._zeros(commit, records)
            self._take_over(commit)
        if zeros is not None:
            warn(zeros)
        self.upkeep.wake()

    def _try_dim(self, record: Record) -> None:
        """The first vector fixes the dimension: refuse one that the index can't have, before it is stored.

        What is no vector is left to the writer, which says so.
        """
        if isinstance(record.vector, np.ndarray) and record.vector.ndim == 1 and record.vector.size:
            settings = self.settings
            INDEXES[settings.index](record.vector.size, settings.metric, **settings.index_params)

    def delete(self, rows: BitMap) -> int:
        """See :meth:`Collection.delete`."""
        with self._writing:
            commit = self._writer.delete(rows)
            if commit is None:
                return 0
            self._take_over(commit)
        self.upkeep.wake()
        return len(commit.removed)

    def delete_selected(
        self,
        ids: Sequence[str] | None,
        ref_doc_ids: Sequence[str] | None,
        filters: MetadataFilters | None,
    ) -> int:
        """See :meth:`Collection.delete_selected`."""
        with self._writing:  # rows may have other numbers after a compaction
            rows = self.select(ids, ref_doc_ids, filters)
            if rows is None:
                raise InvalidInputError(
                    "deleting needs ids, ref_doc_ids or filters; clear() removes everything"
                )
            return self.delete(rows)

    def _take_over(self, commit: Commit) -> None:
        self.state = commit.state
        self.views.graph.append(commit)

    def clear(self) -> None:
        """See :meth:`Collection.clear`."""
        with self.upkeep.saving, self._writing:
            self._writer.clear()
            self._begin()
            self.upkeep.cleared()

    def set_meta(self, **values: Any) -> None:
        """Store JSON values beside the rows."""
        with self._writing:
            self._writer.set_meta(**values)

    @property
    def sparse(self) -> bool:
        """Whether most numbers that rows ever had are of rows that are gone: tables over rows waste."""
        state = self.state
        return state.seq - state.base - state.count > max(state.count, _FEW_GONE)

    def renumber(self) -> None:
        """Number the rows anew, one after the other and beyond all that ever were: a new generation.

        A search that began before finds rows of the old numbers. Nothing has these any more, so it finds
        them gone and begins again.
        """
        with self.upkeep.saving, self._writing:
            old = self.views.graph
            old.follow(self.state.seq)
            rows = self._writer.renumber()
            self.upkeep.cleared()
            self._begin(lambda views: views.graph.inherit(old, rows, self.state))

    def reconfigure(
        self, params: Mapping[str, Any], progress: Callable[[str, int, int], None] | None
    ) -> None:
        """See :meth:`Collection.reconfigure`."""
        settings = changed(self.settings, params)
        other = {
            k for k, v in settings.index_params.items() if v != self.settings.index_params.get(k)
        }
        if other <= TUNABLE.get(settings.index, frozenset()):
            with self._writing:
                self.views.graph.retune(
                    *_makers(settings, self._folder),
                    {name: settings.index_params[name] for name in other},
                )
                self._writer.set_meta(settings=settings.as_dict())
                self.settings = settings
            return
        while not self._exchange(self._rebuilt(settings, progress), settings):
            pass  # cleared or numbered anew meanwhile
        self.upkeep.save([self.views.graph])

    def _rebuilt(
        self, settings: Settings, progress: Callable[[str, int, int], None] | None
    ) -> GraphView:
        """A graph of all rows beside the one in use, which is asked and changed meanwhile."""
        graph = self._new_graph(settings)
        graph.follow(self.state.seq)
        while graph.build() or graph.improve():
            if progress is not None:
                progress("add", 0 if graph.index is None else len(graph.index), self.state.count)
        return graph

    def _exchange(self, graph: GraphView, settings: Settings) -> bool:
        """Put a graph in the place of the one in use. False where it is of another generation."""
        with self.upkeep.saving, self._writing:
            if graph.generation != self.state.generation or not graph.follow(self.state.seq):
                return False
            self._writer.set_meta(settings=settings.as_dict(), saved=self.upkeep.forget("graph"))
            self.settings = settings
            self.views = self.views._replace(graph=graph)
            return True

    def forget_tombstones(self, upto: int) -> None:
        """See :meth:`Writer.forget_tombstones`."""
        with self._writing:
            self._writer.forget_tombstones(upto)

    def _zeros(self, commit: Commit, records: Sequence[Record]) -> str | None:
        if self._zeros_warned or self.settings.metric != "cosine":
            return None
        zeros = np.flatnonzero(np.concatenate([~part.any(axis=1) for part in commit.parts]))
        if not len(zeros):
            return None
        self._zeros_warned = True
        return (
            f"{len(zeros)} vectors are zero, the first of record {records[zeros[0]].id!r}: "
            "under cosine a zero vector has similarity 0 to everything"
        )

    def holding_commits(self) -> AbstractContextManager[object]:
        """See :meth:`Collection.holding_commits`."""
        return self._writing

    # -- reading ---------------------------------------------------------------------------------
    # Everywhere `state` is read before `views`: views that are newer than the state know all of it.

    @property
    def reached(self) -> int:
        """See :meth:`Collection.reached`."""
        self.sync()
        return max(self.state.seq, *[view.seen for view in self.views])

    def sync(self) -> None:
        """In a process that only reads: notice what the writer has committed since."""
        if self._writes:
            return
        version = self.database.data_version()
        if getattr(self._versions, "last", None) == version:
            return
        with self.database.snapshot() as connection:
            state, _ = read_state(connection)
        with self._writing:
            forgotten = state.floor > self.state.floor and any(
                view.seen < state.floor for view in self.views
            )
            if state.generation != self.state.generation or forgotten:
                self._begin()
            elif state.seq >= self.state.seq:
                self.state = state
        self._versions.last = version

    @contextmanager
    def _following(self, pick: Callable[[_Views], _V]) -> Iterator[_V]:
        """A view that has reached the last commit, under its lock."""
        while True:
            seq, view = self.state.seq, pick(self.views)
            with view.lock:
                if view.follow(seq):
                    yield view
                    return
            self._renew(view)

    def _renew(self, view: View) -> None:
        """Take new views, if that has not been done yet, for one that can't follow any more."""
        with self._writing:
            if view in self.views:
                self._begin()

    def select(
        self,
        ids: Sequence[str] | None,
        ref_doc_ids: Sequence[str] | None,
        filters: MetadataFilters | None,
    ) -> BitMap | None:
        """See :meth:`Collection.select`."""
        self.sync()
        parts: list[BitMap] = []
        if ids is not None:
            with self.database.reading() as connection:
                parts.append(BitMap(list(sql.lookup(connection, ids).values())))
        if ref_doc_ids is not None:
            with self.database.reading() as connection:
                parts.append(BitMap(sql.of_documents(connection, ref_doc_ids)))
        if filters is not None:
            filters_.check(filters)
            if filters.filters:
                parts.append(self._matching(filters))
        if not parts:
            return None
        return BitMap.intersection(*parts) if len(parts) > 1 else parts[0]

    def _matching(self, filters: MetadataFilters) -> BitMap:
        with self._following(lambda views: views.metadata) as view:
            return filters_.evaluate(filters, view.index)

    def all_rows(self) -> BitMap:
        """See :meth:`Collection.all_rows`."""
        self.sync()
        with self._following(lambda views: views.metadata) as view:
            return view.index.alive.copy()

    def search(
        self, query: NDArray[np.float32], k: int, allowed: BitMap | None, params: dict[str, Any]
    ) -> tuple[Rows, Scores]:
        """See :meth:`Collection.search`."""
        graph = self._graph()
        some = None if allowed is None else self._masks.few_or_mask(allowed, graph.base)
        return graph.search(query, k, some, **params)

    def search_each(
        self, queries: NDArray[np.float32], k: int, allowed: BitMap | None, params: dict[str, Any]
    ) -> list[tuple[Rows, Scores]]:
        """See :meth:`Collection.search_each`."""
        graph = self._graph()
        some = None if allowed is None else self._masks.few_or_mask(allowed, graph.base)
        return graph.search_each(queries, k, some, threads=os.cpu_count() or 1, **params)

    def train(self, progress: Callable[[str, int, int], None] | None) -> None:
        """See :meth:`Collection.train`."""
        self._graph().train(progress)

    def _graph(self) -> GraphView:
        """The graph, with every commit at least in its tail."""
        self.sync()
        seq, graph = self.state.seq, self.views.graph
        while not graph.follow(seq):
            self._renew(graph)
            seq, graph = self.state.seq, self.views.graph
        if graph.behind:
            self.upkeep.wake()
        return graph

    def search_text(self, query: str, k: int, allowed: BitMap | None) -> tuple[Rows, Scores]:
        """See :meth:`Collection.search_text`."""
        self.sync()
        tokens = self.tokenizer(query)
        with self._following(lambda views: views.text) as view:
            mask = None if allowed is None else self._masks.of(allowed, view.base)
            found, scores = view.index.search(tokens, k, allowed=mask)
        n = int(np.count_nonzero(found >= 0))
        return found[:n] + view.base, scores[:n]

    def records(self, rows: list[int], vectors: bool) -> list[Record | None]:
        """See :meth:`Collection.records`."""

        if vectors or len(rows) > _MANY:
            with self.database.reading() as connection:
                return sql.fetch(connection, rows, vectors=vectors)

        def fetch(some: list[int]) -> dict[int, tuple[Any, ...]]:
            with self.database.reading(mapped=True) as connection:
                return sql.fetch_columns(connection, some)

        return sql.as_records(rows, self._recent.read(rows, lambda: self.state.seq, fetch))

    # -- upkeep ----------------------------------------------------------------------------------

    def wait(self) -> None:
        """See :meth:`Collection.wait`."""
        self.upkeep.wait()

    def flush(self) -> None:
        """See :meth:`Collection.flush`."""
        self.upkeep.save()
        if self.database.file is not None:
            self.database.checkpoint()

    def compact(self) -> None:
        """See :meth:`Collection.compact`."""
        self.upkeep.compact()

    def close(self) -> None:
        """Stop the thread, write the snapshots that are worth it, close the database."""
        try:
            self.upkeep.close()
        finally:
            self.database.close()
