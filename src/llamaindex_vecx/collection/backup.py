"""A copy of a collection's database that is consistent while others write."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from llamaindex_vecx.collection.database import Database, translate
from llamaindex_vecx.collection.schema import DATABASE, inspect
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.snapshot import put_in_place

__all__ = ["back_up"]


def back_up(database: Database, folder: Path) -> None:
    """Write a collection with the same rows to ``folder``, replacing a collection that is there.

    It is complete and on disk before what was there goes away. Views are not copied: the copy builds
    its own.

    Raises
    ------
    InvalidInputError
        ``folder`` is where the database lies itself.
    NotACollectionError
        ``folder`` holds something else.
    StorageError
        It can't be written; what was there is still there.
    """
    if database.file is not None and _same(database.file.parent, folder):
        raise InvalidInputError(f"folder={str(folder)!r} is the collection itself; name another")
    inspect(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _copy(database, aside / DATABASE)
        put_in_place(aside, folder)
    except sqlite3.Error as error:
        raise translate(error, str(folder)) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _copy(database: Database, file: Path) -> None:
    target = sqlite3.connect(file, isolation_level=None)
    try:
        with database.reading() as source:
            source.backup(target)
    finally:
        target.close()
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _same(one: Path, two: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(two)
