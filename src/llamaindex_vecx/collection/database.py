"""One SQLite file: its connections, its transactions, and its errors in our words.

All writes and checkpoints go through one connection under a lock (SQLite before 3.51.3 can corrupt a
WAL that several connections write). Reads use a connection per thread, which WAL never blocks; in
memory there is only the one connection, and every read takes the lock.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from llamaindex_vecx.errors import (
    ClosedError,
    DiskFullError,
    FormatError,
    LockedError,
    ReadOnlyError,
    StorageError,
    VecxError,
)

__all__ = ["Database", "Mode", "connect", "translate"]

Mode = Literal["write", "read", "immutable"]

_PAGE_SIZE = 8192  # five 384-dimensional vectors to a page, where 4096 would waste a quarter
_WAIT = 10.0  # seconds for a lock: only recovery after a crash ever takes one from us
_WAL_KEPT = 64 << 20
_MAPPED = 1 << 30  # bytes of the file; what lies behind is read as before
_MAPS = os.name == "posix"  # elsewhere a mapped file can't be made shorter

_BY_CODE: dict[int, type[StorageError]] = {
    5: LockedError,  # SQLITE_BUSY
    6: LockedError,  # SQLITE_LOCKED
    8: ReadOnlyError,  # SQLITE_READONLY
    11: FormatError,  # SQLITE_CORRUPT
    13: DiskFullError,  # SQLITE_FULL
    26: FormatError,  # SQLITE_NOTADB
}
# Python 3.10 has no sqlite_errorcode.
_BY_MESSAGE: dict[str, int] = {
    "is locked": 5,
    "readonly database": 8,
    "malformed": 11,
    "is full": 13,
    "not a database": 26,
}
_REMEDIES: dict[type[StorageError], str] = {
    LockedError: "another process holds the database; close it there",
    ReadOnlyError: "make the folder and the files in it writable, or open with read_only=True",
    FormatError: (
        "the database is damaged; restore a backup, or save what can be read with "
        '`sqlite3 collection.sqlite3 ".recover" | sqlite3 recovered.sqlite3` and put that in its place'
    ),
    DiskFullError: "nothing was changed; make room and try again",
    StorageError: "check the disk and the permissions of the folder",
}


def translate(error: sqlite3.Error, where: str) -> VecxError:
    """SQLite's error as one of ours, with the remedy."""
    message = str(error)
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in message:
        return ClosedError(f"{where} was closed; open it again")
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        code = next((code for part, code in _BY_MESSAGE.items() if part in message), 0)
    kind = _BY_CODE.get(code & 0xFF, StorageError)
    return kind(f"{where}: {message}: {_REMEDIES[kind]}")


def connect(file: Path | None, mode: Mode) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use (under a lock).

    Raises
    ------
    sqlite3.Error
    """
    if file is None:
        return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    query = {"write": "mode=rwc", "read": "mode=ro", "immutable": "mode=ro&immutable=1"}[mode]
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?{query}",
        uri=True,
        timeout=_WAIT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        if mode == "write":
            connection.execute(f"PRAGMA page_size={_PAGE_SIZE}")
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA journal_size_limit={_WAL_KEPT}")
    except BaseException:
        connection.close()
        raise
    return connection


class _Reader:
    """A thread's own connection. The lock lets :meth:`Database.close` wait for a read under way."""

    __slots__ = ("__weakref__", "connection", "lock", "mapped", "pid")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.mapped = not _MAPS
        self.lock = threading.RLock()
        self.pid = os.getpid()

    def __del__(self) -> None:  # its thread has ended
        if self.pid == os.getpid():
            self.connection.close()
        else:
            _inherited.append(self.connection)


# SQLite forbids to use, and even to close, a connection that was open when the process forked.
_inherited: list[sqlite3.Connection] = []


class Database:
    """The connections to one collection's database.

    Parameters
    ----------
    file : Path or None
        None: in memory.
    mode : "write", "read" or "immutable"
        "immutable" takes the file as it is, without the WAL, for media that can't be written.
    """

    def __init__(self, file: Path | None, mode: Mode) -> None:
        self.file = file
        self.mode = mode
        self.where: str = "the in-memory collection" if file is None else str(file)
        self._lock = threading.RLock()
        self._main = self._connect(mode)
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._closed = False
        self._identity = self._on_disk()

    def _connect(self, mode: Mode) -> sqlite3.Connection:
        try:
            return connect(self.file, mode)
        except sqlite3.Error as error:
            raise translate(error, self.where) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self.where) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writing connection inside a transaction: committed at the end, rolled back on any error.

        Raises
        ------
        StorageError
            Also where the file was removed or replaced: what is written there now would be lost.
        """
        with self._lock, self._translated():
            self.check_open()
            if not self.is_in_place():
                raise StorageError(
                    f"{self.where} was removed or replaced while it was open; close the collection and "
                    "open it again"
                )
            connection = self._main
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk may have rolled back already
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self, *, mapped: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection for single statements.

        ``mapped`` makes this thread's connection read the file as memory from now on: a row here and a
        row there then cost half as much, but what is read stays in the process's resident memory.
        """
        if self.file is None:
            with self._lock, self._translated():
                self.check_open()
                yield self._main
        else:
            reader = self._reader()
            with reader.lock, self._translated():
                if mapped and not reader.mapped:
                    reader.connection.execute(f"PRAGMA mmap_size={_MAPPED}").fetchone()
                    reader.mapped = True
                yield reader.connection

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection for several statements that must see the same state. Not to be nested."""
        with self.reading() as connection:
            if self.file is None:
                yield connection
                return
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def data_version(self) -> tuple[int, int]:
        """Another value whenever another connection has committed, as this thread's connection sees it."""
        with self.reading() as connection:
            return id(connection), connection.execute("PRAGMA data_version").fetchone()[0]

    def set_durability(self, durability: str) -> None:
        """How far a commit goes: "full" to the disk, "normal" to the operating system."""
        level = {"full": "FULL", "normal": "NORMAL"}[durability]
        with self._lock, self._translated():
            self._main.execute(f"PRAGMA synchronous={level}")

    def checkpoint(self) -> None:
        """Move the WAL into the database file, as far as no reader is in the way."""
        with self._lock, self._translated():
            self.check_open()
            self._main.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def vacuum(self) -> None:
        """Give the room of deleted rows back to the file system."""
        with self._lock, self._translated():
            self.check_open()
            self._main.execute("VACUUM")

    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that was opened."""
        return self._identity == self._on_disk()

    def _on_disk(self) -> tuple[int, int] | None:
        if self.file is None:
            return None
        try:
            found = os.stat(self.file)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        """Close every connection, after the reads under way. The last one checkpoints."""
        with self._lock:
            self._closed = True
            for reader in list(self._readers):
                with reader.lock:
                    reader.connection.close()
            self._main.close()

    def check_open(self) -> None:
        """Raise ClosedError after :meth:`close`."""
        if self._closed:
            raise ClosedError(f"{self.where} was closed; open it again")

    def _reader(self) -> _Reader:
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            with self._lock:
                self.check_open()
                reader = _Reader(self._connect("read" if self.mode == "write" else self.mode))
                self._readers.add(reader)
            self._local.reader = reader
        return reader
