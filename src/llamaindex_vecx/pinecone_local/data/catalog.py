"""Which indexes and namespaces there are: a small SQLite database, so that a kill loses nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from llamaindex_vecx.errors import NotACollectionError

__all__ = ["Catalog"]

_FILE = "catalog.sqlite3"
_DATA = "namespaces"
_TABLES = """
CREATE TABLE IF NOT EXISTS indexes (name TEXT PRIMARY KEY, model TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS namespaces (
    index_name TEXT NOT NULL REFERENCES indexes (name) ON DELETE CASCADE,
    name TEXT NOT NULL, folder TEXT NOT NULL, model TEXT NOT NULL,
    PRIMARY KEY (index_name, name)
) WITHOUT ROWID;
"""


class Catalog:
    """Indexes and namespaces with their models, plain JSON. Safe for threads.

    Parameters
    ----------
    folder : Path or None
        Created where it is missing. None: in memory.

    Raises
    ------
    NotACollectionError
        The folder holds something else.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        if folder is not None:
            if folder.exists() and not (folder / _FILE).exists() and any(folder.iterdir()):
                raise NotACollectionError(
                    f"{folder} holds something else; give a folder of its own to the server"
                )
            (folder / _DATA).mkdir(parents=True, exist_ok=True)
        file = ":memory:" if folder is None else str(folder / _FILE)
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_TABLES)
        self._sweep()

    @property
    def durable(self) -> bool:
        """Whether there is a folder, so that a closed namespace can be opened again."""
        return self._folder is not None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    # -- indexes ---------------------------------------------------------------------------------

    def indexes(self) -> list[dict[str, Any]]:
        """Every index's model, by name."""
        return [json.loads(model) for (model,) in self._all("SELECT model FROM indexes")]

    def index(self, name: str) -> dict[str, Any] | None:
        """An index's model."""
        found = self._all("SELECT model FROM indexes WHERE name = ?", name)
        return json.loads(found[0][0]) if found else None

    def put_index(self, name: str, model: dict[str, Any]) -> None:
        """Add an index or change its model."""
        self._all(
            "INSERT INTO indexes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET model = excluded.model",
            name,
            json.dumps(model),
        )

    def drop_index(self, name: str) -> list[str]:
        """Forget an index and its namespaces. Returns their folders, which are to be removed."""
        with self._transaction():
            folders = self._all("SELECT folder FROM namespaces WHERE index_name = ?", name)
            self._all("DELETE FROM indexes WHERE name = ?", name)
        return [folder for (folder,) in folders]

    # -- namespaces ------------------------------------------------------------------------------

    def namespaces(self, index: str) -> dict[str, tuple[str, dict[str, Any]]]:
        """An index's namespaces by name, in order: folder and model."""
        found = self._all(
            "SELECT name, folder, model FROM namespaces WHERE index_name = ? ORDER BY name", index
        )
        return {name: (folder, json.loads(model)) for name, folder, model in found}

    def put_namespace(self, index: str, name: str, model: dict[str, Any]) -> str:
        """Add a namespace. Returns its folder's name, which says nothing: a namespace may have any."""
        folder = uuid4().hex
        self._all(
            "INSERT INTO namespaces VALUES (?, ?, ?, ?)", index, name, folder, json.dumps(model)
        )
        return folder

    def drop_namespace(self, index: str, name: str) -> None:
        """Forget a namespace. Its folder is to be removed."""
        self._all("DELETE FROM namespaces WHERE index_name = ? AND name = ?", index, name)

    # -- folders ---------------------------------------------------------------------------------

    def path(self, folder: str) -> Path | None:
        """Where a namespace's collection stands; None in memory."""
        return None if self._folder is None else self._folder / _DATA / folder

    def remove(self, folder: str) -> None:
        """Remove a dropped namespace's folder."""
        path = self.path(folder)
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove folders that a kill left between a drop and its removal."""
        if self._folder is None:
            return
        known = {folder for (folder,) in self._all("SELECT folder FROM namespaces")}
        for path in (self._folder / _DATA).iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)

    # -- inside ----------------------------------------------------------------------------------

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
