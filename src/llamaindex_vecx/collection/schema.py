"""What a collection's folder and database look like, and whether a given one is one of ours.

::

    <path>/collection.sqlite3 (-wal, -shm)   the truth
    <path>/views/<name>/                     snapshots of views, a cache
    <path>/writer.lock                       held by the one writing process
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.collection.database import connect, translate
from llamaindex_vecx.errors import FormatError, NotACollectionError, ReadOnlyError, StorageError

__all__ = [
    "DATABASE",
    "FORMAT",
    "LOCK",
    "VIEWS",
    "create_tables",
    "inspect",
    "renumber_rows",
    "wal_out_of_reach",
]

DATABASE = "collection.sqlite3"
VIEWS = "views"
LOCK = "writer.lock"
FORMAT = 1
_APPLICATION_ID = 0x76656378  # "vecx", where file(1) looks for it
_MAGIC = b"SQLite format 3\0"
_OURS = {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", VIEWS, LOCK}

_ROWS = (
    # A row's number is the seq of its addition; both are never reused.
    "CREATE TABLE nodes (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ref_doc_id TEXT,"
    " text TEXT NOT NULL, metadata TEXT NOT NULL, content TEXT NOT NULL)",
    # Apart from nodes, so that reading ten nodes does not step over ten vectors' pages.
    "CREATE TABLE vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
)
_INDEX = "CREATE INDEX nodes_ref_doc_id ON nodes (ref_doc_id)"
_TABLES = (
    *_ROWS,
    _INDEX,
    "CREATE TABLE tombstones (seq INTEGER PRIMARY KEY, row INTEGER NOT NULL)",
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)


def create_tables(connection: sqlite3.Connection) -> None:
    """Lay an empty database out, inside the caller's transaction."""
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")


def renumber_rows(connection: sqlite3.Connection, after: int) -> NDArray[np.int64]:
    """Give all rows the numbers from ``after + 1`` on, inside the caller's transaction.

    Returns
    -------
    int64, shape (n,)
        The numbers they had, ascending: the first is now ``after + 1``.
    """
    rows = [row for (row,) in connection.execute("SELECT row FROM nodes ORDER BY row")]
    connection.execute("DROP INDEX nodes_ref_doc_id")
    for table, create in zip(("nodes", "vectors"), _ROWS, strict=True):
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
        connection.execute(create)
        columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")][1:]
        connection.execute(
            f"INSERT INTO {table} SELECT ? + row_number() OVER (ORDER BY row), {', '.join(columns)}"
            f" FROM old_{table} ORDER BY row",
            (after,),
        )
        connection.execute(f"DROP TABLE old_{table}")
    connection.execute(_INDEX)
    connection.execute("DELETE FROM tombstones")
    return np.array(rows, np.int64)


def inspect(path: Path) -> Literal["new", "ours"]:
    """Whether ``path`` is a collection or can become one. Writes nothing.

    Raises
    ------
    NotACollectionError
        Something else is there.
    FormatError
        A collection of a newer version, or a damaged one.
    """
    if not path.exists():
        return "new"
    if not path.is_dir():
        raise NotACollectionError(
            f"{path} is a file; a collection is a folder: give a path that is free"
        )
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise StorageError(f"{path} can't be read: {error}") from error
    file = path / DATABASE
    if DATABASE not in names:
        strangers = sorted(names - _OURS)
        if strangers:
            raise NotACollectionError(
                f"{path} is a folder that holds {strangers[0]!r} and no {DATABASE}; "
                "give the path of a collection or of an empty or new folder"
            )
        return "new"
    return _inspect_database(file, names)


def _inspect_database(file: Path, names: set[str]) -> Literal["new", "ours"]:
    try:
        with open(file, "rb") as stream:
            head = stream.read(100)
    except OSError as error:
        raise StorageError(f"{file} can't be read: {error}") from error
    if not head:
        return "new"  # created by a writer that was killed before its first commit
    if not head.startswith(_MAGIC):
        if LOCK in names or VIEWS in names:
            raise FormatError(
                f"{file} is damaged: it does not begin like an SQLite database; restore a backup"
            )
        raise NotACollectionError(f"{file} is no SQLite database, so {file.parent} no collection")
    application, version = (int.from_bytes(head[at : at + 4], "big") for at in (68, 60))
    if application == 0:  # perhaps only the WAL knows yet
        application, version, tables = _ask_sqlite(file, wal=f"{file.name}-wal" in names)
        if application == 0 and tables == 0:
            return "new"
    if application != _APPLICATION_ID:
        raise NotACollectionError(
            f"{file} is an SQLite database of another program; give a path of its own"
        )
    if version > FORMAT:
        raise FormatError(
            f"{file} has format {version}, this version of llamaindex-vecx reads up to {FORMAT}; "
            "run: pip install -U llamaindex-vecx"
        )
    return "ours"


def _ask_sqlite(file: Path, *, wal: bool) -> tuple[int, int, int]:
    try:
        connection = connect(file, "read" if wal else "immutable")
        try:
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return application, version, tables
        finally:
            connection.close()
    except sqlite3.Error as error:
        translated = translate(error, str(file))
        if wal and not isinstance(translated, FormatError):
            raise wal_out_of_reach(file) from error
        raise translated from error


def wal_out_of_reach(file: Path) -> ReadOnlyError:
    """SQLite can read a WAL only where it can write shared memory beside it."""
    return ReadOnlyError(
        f"the last commits to {file} are still in {file.name}-wal, which can't be read in a folder that "
        "can't be written; open the collection once where it can, and close it"
    )
