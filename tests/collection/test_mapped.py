"""Rows read from a mapped file: by whom, and that they are never old ones."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from pyroaring import BitMap

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.collection.database import Database

from .making import record

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files are mapped on POSIX only")


def mapped(database: Database) -> int:
    with database.reading() as connection:
        size: int = connection.execute("PRAGMA mmap_size").fetchone()[0]
    return size


def texts(collection: Collection, ids: list[str]) -> list[str | None]:
    rows = collection.rows_of(ids)
    found = iter(collection.records([row for row in rows if row is not None]))
    records = [None if row is None else next(found) for row in rows]
    return [record and record.text for record in records]


def filled(path: Path, n: int = 40) -> Collection:
    collection = Collection.open(path)
    collection.add([record(i) for i in range(n)])
    collection.wait()
    return collection


def test_only_a_thread_that_fetches_answers_maps_the_file(tmp_path) -> None:
    """The background reads every vector once: mapped, they would all stay in memory."""
    with filled(tmp_path / "kb") as collection:
        database = collection._engine().database
        assert mapped(database) == 0
        collection.records([1, 2])
        assert mapped(database) > 0
        others: list[int] = []
        thread = threading.Thread(target=lambda: others.append(mapped(database)))
        thread.start()
        thread.join()
        assert others == [0]


def test_what_another_thread_commits_is_read_at_once(tmp_path) -> None:
    names = ["id1", "id2", "id3"]
    with filled(tmp_path / "kb") as collection:
        old = collection.rows_of(names)
        assert texts(collection, names) == [record(i).text for i in (1, 2, 3)]
        newer = [record(i, version=2) for i in range(40)]
        thread = threading.Thread(target=lambda: collection.add(newer))
        thread.start()
        thread.join()
        assert collection.records(old) == [None] * 3  # replaced: they have other rows now
        assert texts(collection, names) == [newer[i].text for i in (1, 2, 3)]


def test_a_file_that_becomes_shorter_under_the_map(tmp_path) -> None:
    """Compaction gives pages back, of which a reader had all mapped and had looked at most."""
    file = tmp_path / "kb" / "collection.sqlite3"
    names = [f"id{i}" for i in range(3000)]
    with filled(tmp_path / "kb", 3000) as collection:
        database = collection._engine().database
        database.checkpoint()
        for i in range(0, 3000, 10):  # as answers are read: a few at a time
            assert texts(collection, names[i : i + 10]) == [
                record(j).text for j in range(i, i + 10)
            ]
        assert mapped(database) > 0
        before = file.stat().st_size
        gone = collection.rows_of(names[:2900])
        collection.delete(BitMap(row for row in gone if row is not None))
        collection.compact()
        database.checkpoint()
        assert file.stat().st_size < before / 2
        for i in range(2900, 3000, 10):
            assert texts(collection, names[i : i + 10]) == [
                record(j).text for j in range(i, i + 10)
            ]
        assert texts(collection, names[:1]) == [None]
