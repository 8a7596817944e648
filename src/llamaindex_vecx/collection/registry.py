"""Which collections this process has open: the same path twice is one engine, counted.

Also what happens to them at a fork and at the end of the interpreter.
"""

from __future__ import annotations

import atexit
import os
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.database import Database, Mode
from llamaindex_vecx.collection.engine import Engine, new_state
from llamaindex_vecx.collection.lock import WriterLock
from llamaindex_vecx.collection.schema import DATABASE, LOCK, create_tables, inspect
from llamaindex_vecx.collection.settings import resolve
from llamaindex_vecx.errors import NotACollectionError, ReadOnlyError, StorageError
from llamaindex_vecx.text import Tokenizer

__all__ = ["Share", "acquire"]


class Share:
    """One engine and how many handles use it."""

    def __init__(
        self, key: tuple[str, bool] | None, engine: Engine, lock: WriterLock | None
    ) -> None:
        self.key = key
        self.engine = engine
        self.lock = lock
        self.users = 1

    def release(self) -> None:
        """One handle less. The last one closes the engine."""
        with _guard:
            if self.engine.pid != os.getpid():
                return
            self.users -= 1
            if self.users:
                return
            if self.key is not None:
                _open.pop(self.key, None)
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
_open: dict[tuple[str, bool], Share] = {}
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
        key = None
        if path is not None:
            real = os.path.realpath(path)
            for key in ((real, False), (real, True)) if read_only else ((real, False),):
                share = _open.get(key)
                if share is not None:
                    resolve(given, share.engine.settings.as_dict())
                    share.users += 1
                    return share
            key = (real, read_only)
        share = _open_new(path, key, given, tokenizer, read_only)
        if key is not None:
            _open[key] = share
        _all.add(share)
        return share


def _open_new(
    path: Path | None,
    key: tuple[str, bool] | None,
    given: Mapping[str, Any],
    tokenizer: Tokenizer | None,
    read_only: bool,
) -> Share:
    if path is None:
        database = Database(None, "write")
        return Share(key, _engine(database, True, None, given, tokenizer), None)
    found = inspect(path)
    if read_only:
        if found == "new":
            raise NotACollectionError(
                f"there is no collection in {path} to read; open it for writing to create it"
            )
        return Share(key, _engine(_open_to_read(path), False, path, given, tokenizer), None)
    resolve(given, None)  # wrong settings before anything is written
    try:
        path.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise ReadOnlyError(f"{path} can't be created: {error.strerror}") from error
    except OSError as error:
        raise StorageError(f"{path} can't be created: {error}") from error
    lock = WriterLock(path / LOCK)
    try:
        found = inspect(path)
        durability = given["durability"] or "full"
        database = Database(path / DATABASE, "write", durability=durability)
        try:
            return Share(key, _engine(database, found == "new", path, given, tokenizer), lock)
        except BaseException:
            database.close()
            raise
    except BaseException:
        lock.release()
        raise


def _open_to_read(path: Path) -> Database:
    """A folder that can't be written has no place for SQLite's shared memory: it is taken as it is."""
    mode: Mode = "read" if os.access(path, os.W_OK) else "immutable"
    return Database(path / DATABASE, mode)


def _engine(
    database: Database,
    new: bool,
    path: Path | None,
    given: Mapping[str, Any],
    tokenizer: Tokenizer | None,
) -> Engine:
    if new:
        settings = resolve(given, None)
        with database.transaction() as connection:
            create_tables(connection)
            sql.set_meta(
                connection,
                settings=settings.as_dict(),
                **new_state(settings.dim, session=uuid.uuid4().hex),
            )
    else:
        with database.reading() as connection:
            stored = sql.get_meta(connection, "settings")["settings"]
        settings = resolve(given, stored)
    return Engine(database, settings, path, tokenizer)


def _forked() -> None:
    """In a forked child: the connections, threads and locks belong to the parent. Touch none of them."""
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
    os.register_at_fork(after_in_child=_forked)


@atexit.register
def _close_all() -> None:
    with _guard:
        for share in list(_all):
            share.close()
        _open.clear()
        _all.clear()
