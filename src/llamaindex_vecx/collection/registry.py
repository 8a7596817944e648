"""Which collections this process has open: the same path twice is one engine, counted.

Also what happens to them at a fork and at the end of the interpreter.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.database import Database
from llamaindex_vecx.collection.engine import Engine
from llamaindex_vecx.collection.history import History
from llamaindex_vecx.collection.lock import WriterLock
from llamaindex_vecx.collection.schema import (
    DATABASE,
    LOCK,
    create_tables,
    inspect,
    wal_out_of_reach,
)
from llamaindex_vecx.collection.settings import resolve
from llamaindex_vecx.collection.state import State, read_state
from llamaindex_vecx.errors import FormatError, NotACollectionError, ReadOnlyError, StorageError
from llamaindex_vecx.text import Tokenizer

__all__ = ["Share", "acquire"]

_log = logging.getLogger(__name__)
_Key = tuple[str, bool]
"""Real path, and whether it is open for reading only."""


class Share:
    """One engine and how many handles use it."""

    def __init__(self, key: _Key | None, engine: Engine, lock: WriterLock | None) -> None:
        self.key = key
        self.engine = engine
        self.lock = lock
        self.users: int = 1

    def release(self) -> None:
        """One handle less. The last one closes the engine."""
        with _guard:
            if self.engine.pid != os.getpid():
                return
            self.users -= 1
            if self.users:
                return
            if self.key is not None and _open.get(self.key) is self:
                del _open[self.key]
            _all.discard(self)
            self.close()

    def close(self) -> None:
        """Close the engine and let other processes write."""
        try:
            self.engine.close()
        finally:
            if self.lock is not None:
                self.lock.release()


_guard = threading.RLock()
_open: dict[_Key, Share] = {}
_all: set[Share] = set()


def acquire(
    path: Path | None, given: Mapping[str, Any], tokenizer: Tokenizer | None, *, read_only: bool
) -> Share:
    """The engine for a path, opened or shared. A reader shares a writer's engine.

    Raises
    ------
    NotACollectionError, FormatError, LockedError, ReadOnlyError, SettingsConflictError
    """
    with _guard:
        if path is None:
            share = Share(None, _create(Database(None, "write"), None, given, tokenizer), None)
            _all.add(share)
            return share
        real = os.path.realpath(path)
        for mode in (False, True) if read_only else (False,):
            known = _open.get((real, mode))
            if known is not None and known.engine.database.is_in_place():
                engine = known.engine
                resolve(given, engine.settings.as_dict(), engine.state.dim)
                engine.found_tokenizer = engine.found_tokenizer or tokenizer
                known.users += 1
                return known
        if (real, not read_only) not in _open:
            # Only then: closing a file drops SQLite's locks on it, all those of this process.
            new = inspect(path) == "new"
        else:
            new = False
        opener = _open_to_read if read_only else _open_to_write
        share = opener(path, (real, read_only), new, given, tokenizer)
        _open[(real, read_only)] = share
        _all.add(share)
        return share


def _open_to_read(
    path: Path, key: _Key, new: bool, given: Mapping[str, Any], tokenizer: Tokenizer | None
) -> Share:
    if new:
        raise NotACollectionError(
            f"there is no collection in {path} to read; open it for writing to create it"
        )
    database = _database_to_read(path / DATABASE)
    with _closed_on_error(database.close):
        return Share(key, _load(database, path, given, tokenizer), None)


def _open_to_write(
    path: Path, key: _Key, new: bool, given: Mapping[str, Any], tokenizer: Tokenizer | None
) -> Share:
    if new:
        resolve(given, None)  # wrong settings before anything is written
    lock = WriterLock(_made(path) / LOCK)
    with _closed_on_error(lock.release):
        # another process may have created it while we waited for nothing in particular
        new = new and inspect(path) == "new"
        database = Database(path / DATABASE, "write")
        with _closed_on_error(database.close):
            make = _create if new else _load
            return Share(key, make(database, path, given, tokenizer), lock)


def _made(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            raise ReadOnlyError(
                f"{path} can't be created: {error.strerror}; give a path in a folder that can be written"
            ) from error
        raise StorageError(f"{path} can't be created: {error}") from error
    return path


def _database_to_read(file: Path) -> Database:
    """A folder that can't be written has no place for SQLite's shared memory: then the file as it is."""
    database = Database(file, "read")
    try:
        with database.reading() as connection:
            sql.get_meta(connection, "settings")
    except FormatError:
        database.close()
        raise
    except StorageError as error:
        database.close()
        wal = file.with_name(f"{file.name}-wal")
        if wal.exists() and wal.stat().st_size:
            raise wal_out_of_reach(file) from error
        return Database(file, "immutable")
    return database


@contextmanager
def _closed_on_error(close: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        close()
        raise


def _create(
    database: Database, path: Path | None, given: Mapping[str, Any], tokenizer: Tokenizer | None
) -> Engine:
    settings = resolve(given, None)
    with database.transaction() as connection:
        create_tables(connection)
        sql.set_meta(connection, settings=settings.as_dict(), saved={})
        state = State(dim=settings.dim)
        state.write(connection)
        History(state.generation, [("created", 0)]).write(connection)
    database.set_durability(settings.durability)
    return Engine(database, settings, path, tokenizer)


def _load(
    database: Database, path: Path | None, given: Mapping[str, Any], tokenizer: Tokenizer | None
) -> Engine:
    with database.snapshot() as connection:
        stored = sql.get_meta(connection, "settings").get("settings")
        state, _ = read_state(connection)
    if not isinstance(stored, dict):
        raise FormatError(f"{database.where} has lost its settings; restore a backup")
    settings = resolve(given, stored, state.dim)
    if database.mode == "write":
        database.set_durability(settings.durability)
    return Engine(database, settings, path, tokenizer)


def _before_fork() -> None:
    """No background thread may hold a lock of SQLite's or numba's while the child is copied."""
    _guard.acquire()
    for share in _all:
        share.engine.upkeep.worker.pause()


def _after_fork_in_parent() -> None:
    for share in _all:
        share.engine.upkeep.worker.resume()
    _guard.release()


def _after_fork_in_child() -> None:
    """The connections, threads and locks belong to the parent. Touch none of them."""
    global _guard
    _guard = threading.RLock()
    for share in _all:
        if share.lock is not None:
            share.lock.forget()
    _orphans.update(_all)
    _open.clear()
    _all.clear()


# SQLite forbids even closing an inherited connection: what the parent had open is never let go of here.
_orphans: set[Share] = set()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )


@atexit.register
def _close_all() -> None:
    with _guard:
        for share in list(_all):
            try:
                share.close()
            except Exception:
                _log.exception("%s was not closed well", share.engine.database.where)
        _open.clear()
        _all.clear()
