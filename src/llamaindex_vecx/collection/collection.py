"""The collection: what stores are built on."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import MetadataFilters
from numpy.typing import ArrayLike, NDArray
from pyroaring import BitMap

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.backup import back_up
from llamaindex_vecx.collection.engine import Engine
from llamaindex_vecx.collection.record import Record
from llamaindex_vecx.collection.registry import Share, acquire
from llamaindex_vecx.collection.settings import NOTHING_GIVEN
from llamaindex_vecx.errors import (
    ClosedError,
    EmptyQueryError,
    InvalidInputError,
    LockedError,
    ReadOnlyError,
    SerializationError,
)
from llamaindex_vecx.index.base import Rows, Scores, VectorIndex
from llamaindex_vecx.metrics import check_vectors
from llamaindex_vecx.text import Tokenizer, get_tokenizer

__all__ = ["Collection"]


class Collection:
    """Records with a vector, a text and metadata, stored durably and searched three ways.

    Open one with :meth:`open`. Every method may be called from any thread. The same path opened twice in
    one process is one collection behind two handles: each is closed for itself, the last one closes the
    files.
    """

    def __init__(self, share: Share, path: Path | None, *, read_only: bool) -> None:
        self._share = share
        self._path = path
        self._read_only = read_only
        self._release = weakref.finalize(self, share.release)
        self._release.atexit = False  # the registry closes what is still open

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None,
        *,
        index: str | None = None,
        dim: int | None = None,
        metric: str | None = None,
        index_params: Mapping[str, Any] | None = None,
        tokenizer: str | Callable[[str], list[str]] | None = None,
        bm25_params: Mapping[str, Any] | None = None,
        durability: str | None = None,
        read_only: bool = False,
    ) -> Collection:
        """Open a collection, or create it.

        Every setting defaults to None: a stored collection's own value, or else the default.

        Parameters
        ----------
        path : str, Path or None
            A folder, created where it is missing. None: in memory, gone when closed.
        index : "hnsw" (default), "flat" or "faiss"
        dim : int, optional
            Fixed by the first add if not given.
        metric : "cosine" (default), "ip" or "l2"
        index_params : mapping, optional
            Of the index, e.g. ``{"M": 16, "ef_construction": 200, "ef_search": 64}``.
        tokenizer : str or callable, optional
            See :func:`llamaindex_vecx.text.get_tokenizer`.
        bm25_params : mapping, optional
            Of :class:`llamaindex_vecx.text.BM25`.
        durability : "full" (default) or "normal"
            "full": what was acknowledged survives a power cut. "normal": it survives a kill.
        read_only : bool
            Beside a writer in another process, or on a read-only medium.

        Raises
        ------
        NotACollectionError, FormatError
            Something else, something newer or something damaged is there; nothing was written.
        LockedError
            Another process writes here; the message names its pid.
        ReadOnlyError
            The folder can't be written and ``read_only`` is False.
        SettingsConflictError
            A setting contradicts the stored collection; the message names both.
        InvalidInputError
            A setting is unknown.
        """
        found = None if tokenizer is None else get_tokenizer(tokenizer)
        given = {
            "index": index,
            "metric": metric,
            "dim": dim,
            "index_params": index_params,
            "tokenizer": None if found is None else found.name,
            "bm25_params": bm25_params,
            "durability": durability,
        }
        # absolute: the process may change its working directory while the collection is open
        folder = None if path is None else Path(path).absolute()
        share = acquire(folder, given, found, read_only=read_only)
        return cls(share, folder, read_only=read_only)

    # -- what it is ------------------------------------------------------------------------------

    @property
    def path(self) -> Path | None:
        """The folder; None in memory."""
        return self._path

    @property
    def dim(self) -> int | None:
        """Dimension of the vectors; None before the first add."""
        engine = self._engine()
        engine.sync()
        return engine.state.dim or engine.settings.dim

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._engine().settings.metric

    @property
    def tokenizer(self) -> Tokenizer:
        """What makes tokens of texts and queries."""
        return self._engine().tokenizer

    @property
    def index(self) -> VectorIndex | None:
        """The vector index, to look at; None before the first vector and before the first query.

        It may lag behind the last commit, and is exchanged after :meth:`clear`.
        """
        return self._engine().views.graph.index

    @property
    def settings(self) -> dict[str, Any]:
        """What the collection was built with."""
        return self._engine().settings.as_dict()

    @property
    def seq(self) -> int:
        """Number of changes so far: rows added and rows removed."""
        engine = self._engine()
        engine.sync()
        return engine.state.seq

    @property
    def reached(self) -> int:
        """The ``seq`` that any answer may have come from: a view can be ahead of what was acknowledged."""
        return self._engine().reached

    @property
    def read_only(self) -> bool:
        """Whether this handle refuses to write."""
        return self._read_only

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return not self._release.alive

    def __len__(self) -> int:
        engine = self._engine()
        engine.sync()
        return engine.state.count

    def __repr__(self) -> str:
        where = "in memory" if self._path is None else repr(str(self._path))
        if self.closed:
            return f"<Collection {where}, closed>"
        return f"<Collection {where}, {self.settings['index']}, {self.metric}, {len(self)} records>"

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- writing ---------------------------------------------------------------------------------

    def add(self, records: Sequence[Record]) -> None:
        """Add records, or replace those whose id is there, in one transaction.

        Returns after the commit: the records survive a kill from then on, and every later query sees
        them.

        Raises
        ------
        DuplicateIdError, DimensionError, NonFiniteError, MissingEmbeddingError, SerializationError
            A record is wrong; nothing was changed.
        DiskFullError, ReadOnlyError
            Nothing was changed; the collection stays usable.
        """
        self._writable().add(records)

    def delete(self, rows: BitMap) -> int:
        """Remove rows in one transaction. Returns how many were there."""
        return self._writable().delete(rows)

    def delete_selected(
        self,
        *,
        ids: Sequence[str] | None = None,
        ref_doc_ids: Sequence[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> int:
        """Remove the rows that meet all conditions, nothing coming in between. Returns how many.

        Raises
        ------
        InvalidInputError
            There is no condition: that would remove everything; call :meth:`clear` to do so.
        FilterError
        """
        return self._writable().delete_selected(
            _ids("ids", ids), _ids("ref_doc_ids", ref_doc_ids), filters
        )

    def clear(self) -> None:
        """Remove everything. Settings and notes stay; a ``dim`` that the first add fixed does not."""
        self._writable().clear()

    def set_note(self, key: str, value: Any) -> None:
        """Store a small JSON fact about the collection, e.g. the embedding model's name.

        Raises
        ------
        SerializationError
            The value is no JSON.
        """
        try:
            self._writable().set_meta(**{f"note:{key}": value})
        except (TypeError, ValueError) as error:
            raise SerializationError(f"note {key!r} can't be written as JSON: {error}") from error

    # -- reading ---------------------------------------------------------------------------------

    def note(self, key: str) -> Any:
        """What :meth:`set_note` stored, or None."""
        with self._engine().database.reading() as connection:
            return sql.get_meta(connection, f"note:{key}").get(f"note:{key}")

    def select(
        self,
        *,
        ids: Sequence[str] | None = None,
        ref_doc_ids: Sequence[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> BitMap | None:
        """The rows that meet all conditions; None where there is no condition.

        Parameters
        ----------
        ids, ref_doc_ids : sequence of str, optional
            An empty one selects nothing.
        filters : MetadataFilters, optional
            Any operator and any nesting; see :mod:`llamaindex_vecx.collection.filters`.

        Raises
        ------
        FilterError
        """
        return self._engine().select(_ids("ids", ids), _ids("ref_doc_ids", ref_doc_ids), filters)

    def all_rows(self) -> BitMap:
        """Every row there is."""
        return self._engine().all_rows()

    def rows_of(self, ids: Sequence[str]) -> list[int | None]:
        """The row of each id, None for an id that isn't there."""
        wanted = _ids("ids", ids) or []
        with self._engine().database.reading() as connection:
            found = sql.lookup(connection, wanted)
        return [found.get(id_) for id_ in wanted]

    def ids(
        self, *, prefix: str = "", after: str | None = None, limit: int | None = None
    ) -> list[str]:
        """Ids in the order of their code points.

        Parameters
        ----------
        prefix : str
            Only ids that begin with it.
        after : str, optional
            Only ids behind this one, to go on where the last page ended.
        limit : int, optional
            At most so many.

        Raises
        ------
        InvalidInputError
        """
        if limit is not None:
            check_count(limit, "limit")
        with self._engine().database.reading() as connection:
            return sql.ids(connection, prefix, after, limit)

    def records(
        self, rows: Sequence[int] | Rows | BitMap, *, vectors: bool = False
    ) -> list[Record | None]:
        """The records of some rows, in their order; None for a row that is gone meanwhile."""
        return self._engine().records([int(row) for row in rows], vectors)

    def vectors(self, rows: Sequence[int] | Rows | BitMap) -> NDArray[np.float32]:
        """The vectors of some rows as they were added, in their order; zeros for a row that is gone.

        Returns
        -------
        float32, shape (n, dim)
        """
        engine = self._engine()
        with engine.database.reading() as connection:
            return sql.fetch_vectors(connection, [int(row) for row in rows], self.dim or 0)

    def search(
        self, query: ArrayLike, k: int, *, allowed: BitMap | None = None, **params: Any
    ) -> tuple[Rows, Scores]:
        """The nearest rows to a vector.

        Parameters
        ----------
        query : float32, shape (dim,)
        k : int
            At least 1.
        allowed : BitMap, optional
            Only these rows. Honoured during the search.
        **params
            Of the index, e.g. ``ef_search``.

        Returns
        -------
        rows : int64, shape (m,)
            Best first; ``m`` is ``k``, or less where there are fewer.
        scores : float32, shape (m,)
            Similarity, higher is better.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError
        """
        engine = self._engine()
        check_count(k, "k")
        vector = np.asarray(query)
        if vector.ndim != 1:
            raise InvalidInputError(f"query must have shape (dim,), not {vector.shape}")
        engine.sync()
        dim = engine.state.dim or engine.settings.dim
        block = check_vectors(vector[None, :], dim=dim, argument="query")
        return engine.search(block[0], int(k), allowed, params)

    def search_each(
        self, queries: ArrayLike, k: int, *, allowed: BitMap | None = None, **params: Any
    ) -> list[tuple[Rows, Scores]]:
        """:meth:`search` for several vectors at once, on all cores.

        Parameters
        ----------
        queries : float32, shape (q, dim)
        k : int
        allowed : BitMap, optional
            Of every query.

        Returns
        -------
        list of (rows, scores)
            As :meth:`search` returns them, one pair a query.
        """
        engine = self._engine()
        check_count(k, "k")
        block = check_vectors(queries, dim=self.dim, argument="queries")
        return engine.search_each(block, int(k), allowed, params)

    def search_text(
        self, query: str, k: int, *, allowed: BitMap | None = None
    ) -> tuple[Rows, Scores]:
        """The rows whose text matches best by BM25.

        Returns
        -------
        rows : int64, shape (m,)
            Best first; only rows that hold at least one of the query's terms.
        scores : float32, shape (m,)

        Raises
        ------
        EmptyQueryError
            The query is empty or blank.
        InvalidInputError
        """
        engine = self._engine()
        check_count(k, "k")
        if not isinstance(query, str):
            raise InvalidInputError(f"query must be a string, not {type(query).__name__}")
        if not query.strip():
            raise EmptyQueryError("the query text is empty; give the words to search for")
        return engine.search_text(query, int(k), allowed)

    @contextmanager
    def holding_commits(self) -> Iterator[None]:
        """Let no other thread change the collection meanwhile: rows that are found can also be read."""
        with self._engine().holding_commits():
            yield

    # -- upkeep ----------------------------------------------------------------------------------

    def train(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Train the index now on every row there is, and put them all into it. Queries go on meanwhile.

        Never needed: an index that trains does so by itself, in the background.

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(step, done, total)``; the steps are "train" and "add".

        Raises
        ------
        InvalidInputError
            There are too few vectors.
        UnsupportedError
            This kind of index has nothing to train.
        """
        self._writable().train(progress)

    def reconfigure(
        self,
        index_params: Mapping[str, Any],
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """Give the index other parameters, and store them: every later opening has them too.

        Parameters that are read at every search (``ef_search`` of HNSW) take effect at once. For others
        the index is built anew from the rows, on the calling thread; adds, deletes and searches go on
        with the old one, and the next query after the return uses the new one. A kill before the return
        leaves the old parameters, or the new ones and an index that the next opening builds. A process
        that has the collection open for reading takes them when it opens it again.

        Parameters
        ----------
        index_params : mapping
            Those to change, e.g. ``{"M": 32, "ef_construction": 400}``.
        progress : callable, optional
            Called as ``progress("add", done, total)`` with numbers of rows.

        Raises
        ------
        InvalidInputError
            A parameter is unknown, or a value is wrong. Nothing has changed.
        ReadOnlyError, DiskFullError
        """
        self._writable().reconfigure(index_params, progress)

    def wait(self) -> None:
        """Block until the background has caught up with the last commit.

        Never needed for right answers, only for the speed of the first ones.
        """
        self._engine().wait()

    def flush(self) -> None:
        """Write a snapshot of every view that has changed, so that the next opening is quick.

        Commits need no flush. A view that can't be written warns: it is only a cache.
        """
        self._writable().flush()

    def compact(self) -> None:
        """Give back what removed rows still take, in the graph, in memory and on disk.

        Rows that were looked up before may have other numbers afterwards; their old ones are never of
        anything else.
        """
        self._writable().compact()

    def backup(self, folder: str | os.PathLike[str]) -> None:
        """Copy the collection to a folder, replacing a collection that is there. Writers go on meanwhile.

        Raises
        ------
        InvalidInputError
            The folder is this collection's own.
        NotACollectionError
            The folder holds something else.
        StorageError
            It can't be written; what was there is still there.
        """
        back_up(self._engine().database, Path(folder))

    def close(self) -> None:
        """Close this handle. The last handle of a path writes the snapshots that are worth it.

        Closing again does nothing; anything else raises :class:`~llamaindex_vecx.errors.ClosedError`.
        """
        self._release()

    # -- inside ----------------------------------------------------------------------------------

    def _engine(self) -> Engine:
        engine = self._share.engine
        if not self._release.alive:
            raise ClosedError(f"{engine.database.where} was closed; open it again")
        if engine.pid != os.getpid():
            return self._after_fork(engine)
        return engine

    def _after_fork(self, engine: Engine) -> Engine:
        """A reader opens anew in the child; what could write belongs to the parent."""
        here = os.getpid()
        if self._path is None:
            raise ClosedError(
                f"the in-memory collection belongs to process {engine.pid} and this is {here}, forked "
                "from it; open a collection of its own here, or one with a path"
            )
        if not self._read_only:
            raise LockedError(
                f"{self._path} was opened in process {engine.pid} and this is {here}, forked from it; "
                "open it again here with read_only=True, or open it only after the fork"
            )
        share = acquire(self._path, NOTHING_GIVEN, engine.found_tokenizer, read_only=True)
        self.__init__(share, self._path, read_only=True)  # type: ignore[misc]
        return share.engine

    def _writable(self) -> Engine:
        engine = self._engine()
        if self._read_only:
            raise ReadOnlyError(f"{self._path} was opened with read_only=True; open it without")
        return engine


def _ids(name: str, values: Sequence[str] | None) -> list[str] | None:
    if values is None:
        return None
    if isinstance(values, (str, bytes)):
        raise InvalidInputError(
            f"{name} must be a list of strings, not {values!r}: write [{values!r}]"
        )
    ids = list(values)
    for value in ids:
        if not isinstance(value, str):
            raise InvalidInputError(f"{name} holds {value!r}, which is no string")
    return ids
