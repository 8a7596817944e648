"""A docstore in one SQLite file, for texts that are too long for Pinecone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llama_index.core.storage.docstore import BaseDocumentStore
from llama_index.core.storage.docstore.keyval_docstore import KVDocumentStore
from llama_index.core.storage.kvstore.types import DEFAULT_COLLECTION, BaseKVStore

from llamaindex_vecx.errors import StorageError

__all__ = ["open_docstore"]

_TABLE = """
CREATE TABLE IF NOT EXISTS texts (
    collection TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (collection, key)
) WITHOUT ROWID
"""


def open_docstore(docstore: BaseDocumentStore | str | Path | None) -> BaseDocumentStore | None:
    """The docstore itself, or one in the file of that name, made if missing.

    Raises
    ------
    StorageError
        The file can't be made, or is no database.
    """
    if isinstance(docstore, (str, Path)):
        return KVDocumentStore(_Texts(Path(docstore)))
    return docstore


class _Texts(BaseKVStore):
    """Values by collection and key. Each call has a connection of its own, so any thread may make it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_TABLE)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection; what is done on it is committed at the end, or not at all."""
        try:
            database = sqlite3.connect(self._path, timeout=30.0)
            try:
                with database:
                    yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            raise StorageError(f"docstore {self._path}: {error}") from error

    def put(self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION) -> None:
        self.put_all([(key, val)], collection)

    def put_all(
        self,
        kv_pairs: list[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = 1,
    ) -> None:
        rows = [(collection, key, json.dumps(value)) for key, value in kv_pairs]
        with self._open() as database:
            database.executemany("INSERT OR REPLACE INTO texts VALUES (?, ?, ?)", rows)

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        with self._open() as database:
            row = database.execute(
                "SELECT value FROM texts WHERE collection = ? AND key = ?", (collection, key)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        with self._open() as database:
            rows = database.execute(
                "SELECT key, value FROM texts WHERE collection = ?", (collection,)
            ).fetchall()
        return {key: json.loads(value) for key, value in rows}

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        with self._open() as database:
            gone = database.execute(
                "DELETE FROM texts WHERE collection = ? AND key = ?", (collection, key)
            )
            return gone.rowcount > 0

    async def aput(
        self, key: str, val: dict[str, Any], collection: str = DEFAULT_COLLECTION
    ) -> None:
        await asyncio.to_thread(self.put, key, val, collection)

    async def aput_all(
        self,
        kv_pairs: list[tuple[str, dict[str, Any]]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = 1,
    ) -> None:
        await asyncio.to_thread(self.put_all, kv_pairs, collection)

    async def aget(self, key: str, collection: str = DEFAULT_COLLECTION) -> dict[str, Any] | None:
        return await asyncio.to_thread(self.get, key, collection)

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, dict[str, Any]]:
        return await asyncio.to_thread(self.get_all, collection)

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        return await asyncio.to_thread(self.delete, key, collection)
