"""Bad input: a clear exception that names what is wrong, and nothing changed."""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.collection import Collection, Record
from llamaindex_vecx.errors import (
    DimensionError,
    DiskFullError,
    DuplicateIdError,
    InvalidInputError,
    MissingEmbeddingError,
    NonFiniteError,
    ReadOnlyError,
    SerializationError,
    StorageError,
)
from llamaindex_vecx.index.checks import MAX_ROW
from tests.collection.making import DIM, all_ids, ids, record, vector


@pytest.fixture
def collection(tmp_path):
    with Collection.open(tmp_path / "kb") as opened:
        opened.add([record(i) for i in range(10)])
        yield opened


def with_metadata(**metadata: Any) -> Record:
    return replace(record(77), metadata=metadata)


BAD = [
    (replace(record(77), vector=vector(1, 5)), DimensionError, ["'id77'", "5", "8"]),
    (replace(record(77), vector=None), MissingEmbeddingError, ["'id77'"]),
    (replace(record(77), vector=np.array([1] * 7 + [np.nan])), NonFiniteError, ["'id77'"]),
    (replace(record(77), vector=np.array([1] * 7 + [-np.inf])), NonFiniteError, ["'id77'"]),
    (replace(record(77), vector=np.array([1] * 7 + [1e39])), NonFiniteError, ["'id77'"]),
    (replace(record(77), vector=np.zeros((1, DIM))), InvalidInputError, ["'id77'", "(1, 8)"]),
    (replace(record(77), vector=["a"] * DIM), InvalidInputError, ["'id77'"]),
    (replace(record(77), vector=[]), InvalidInputError, ["'id77'"]),
    (replace(record(77), id=77), InvalidInputError, ["77", "string"]),
    (replace(record(77), text=b"abc"), InvalidInputError, ["'id77'", "string"]),
    (replace(record(77), text="a\ud800"), SerializationError, ["'id77'", "text"]),
    (replace(record(77), id="a\ud800"), SerializationError, ["id"]),
    (replace(record(77), content="\udfff"), SerializationError, ["'id77'", "content"]),
    (with_metadata(day=date(2026, 1, 1)), SerializationError, ["'id77'", "'day'", "date"]),
    (with_metadata(deep=[{"x": {1}}]), SerializationError, ["'id77'", "'deep'", "set"]),
    (with_metadata(pair=(1, 2)), SerializationError, ["'id77'", "'pair'", "tuple"]),
    (with_metadata(count=np.int64(3)), SerializationError, ["'id77'", "'count'", "int64"]),
    (with_metadata(inner={1: "a"}), SerializationError, ["'id77'", "1", "int"]),
    (replace(record(77), metadata={3: "a"}), SerializationError, ["'id77'", "3", "int"]),
    (with_metadata(text="\ud800"), SerializationError, ["'id77'", "metadata"]),
    (with_metadata(big=10**5000), SerializationError, ["'id77'"]),
    (replace(record(77), metadata=[1]), SerializationError, ["'id77'", "list"]),
]


@pytest.mark.parametrize(("bad", "error", "names"), BAD)
def test_a_wrong_record_leaves_the_collection_as_it_was(collection, bad, error, names) -> None:
    before = collection.seq
    # behind 5,000 good ones: in another part of the same transaction
    good = [record(i) for i in range(100, 5100)]
    with pytest.raises(error) as caught:
        collection.add([record(0, version=1), *good, bad])
    for name in names:
        assert name in str(caught.value)
    assert collection.seq == before
    assert all_ids(collection) == {f"id{i}" for i in range(10)}
    assert ids(collection, collection.search(vector(0), 1)[0]) == ["id0"]
    collection.add([record(0, version=1)])
    assert ids(collection, collection.search(vector(1000), 1)[0]) == ["id0"]


def test_recursive_metadata_is_refused(collection) -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    with pytest.raises(SerializationError, match="'id77'"):
        collection.add([replace(record(77), metadata=loop)])


def test_an_id_twice_in_a_batch_is_named(collection) -> None:
    batch = [record(i) for i in (20, 21, 20, 22, 21)]
    with pytest.raises(DuplicateIdError, match="'id20', 'id21'"):
        collection.add(batch)
    assert len(collection) == 10


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)
plain_text = st.text(st.characters(exclude_categories=["Cs"]))


@settings(max_examples=150, deadline=None)
@given(
    plain_text,
    plain_text,
    plain_text,
    st.dictionaries(plain_text, json_values, max_size=4),
    st.none() | plain_text,
)
def test_whatever_is_accepted_reads_back_as_it_was(id_, text, content, metadata, ref) -> None:
    with Collection.open(None, index="flat") as collection:
        collection.add([Record(id_, vector(1), text, metadata, content, ref)])
        collection.add([Record("another", vector(2), text, metadata, content, ref)])
        (row,) = collection.rows_of([id_])
        (found,) = collection.records([row])
        assert (found.id, found.text, found.content, found.ref_doc_id) == (id_, text, content, ref)
        assert same(found.metadata, metadata)


def same(a: Any, b: Any) -> bool:
    """Equal and of the same types; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and str(a) == str(b))
    return bool(a == b)


def test_ids_that_differ_only_behind_a_nul_are_two(collection) -> None:
    collection.add([replace(record(50), id="a\0b"), replace(record(51), id="a")])
    assert collection.rows_of(["a\0b", "a", "a\0c", "\ud800"])[2:] == [None, None]
    assert len(collection) == 12
    collection.add([replace(record(52), id="a")])
    assert len(collection) == 12


def test_nobody_is_hurt_by_quotes(collection) -> None:
    nasty = "x' OR '1'='1"
    collection.add([replace(record(50), id=nasty, ref_doc_id=nasty, metadata={nasty: nasty})])
    assert len(collection.select(ids=[nasty])) == 1
    assert len(collection.select(ref_doc_ids=[nasty])) == 1
    collection.set_note(nasty, nasty)
    assert collection.note(nasty) == nasty
    assert collection.delete(collection.select(ref_doc_ids=[nasty])) == 1
    assert len(collection) == 10


@pytest.mark.parametrize("where", ["memory", "file"])
def test_a_full_disk_is_said_and_the_collection_goes_on(tmp_path, where) -> None:
    path = None if where == "memory" else tmp_path / "kb"
    with Collection.open(path) as collection:
        collection.add([record(i) for i in range(10)])
        limit_pages(collection, 40)
        with pytest.raises(DiskFullError, match="make room"):
            collection.add([record(i, version=1) for i in range(5000)])
        assert len(collection) == 10
        assert all_ids(collection) == {f"id{i}" for i in range(10)}
        assert ids(collection, collection.search(vector(3), 1)[0]) == ["id3"]
        collection.add([record(3, version=1)])
        limit_pages(collection, 2**30)
        collection.add([record(i, version=1) for i in range(5000)])
        assert len(collection) == 5000
        assert ids(collection, collection.search(vector(1003), 1)[0]) == ["id3"]


def limit_pages(collection: Collection, pages: int) -> None:
    database = collection._share.engine.database
    database._main.execute(f"PRAGMA max_page_count={pages}")


def test_a_read_only_handle_refuses_to_write(collection) -> None:
    with Collection.open(collection.path, read_only=True) as reader:
        for call in (
            lambda: reader.add([record(1)]),
            lambda: reader.delete(reader.all_rows()),
            reader.clear,
            lambda: reader.set_note("a", 1),
            reader.flush,
            reader.compact,
        ):
            with pytest.raises(ReadOnlyError, match="read_only=True"):
                call()
        assert len(reader) == 10


def test_a_database_that_is_removed_underneath_takes_no_more(collection) -> None:
    for file in collection.path.iterdir():
        if file.is_file():
            file.unlink()
    with pytest.raises(OSError, match="removed or replaced"):
        collection.add([record(1)])
    with Collection.open(collection.path) as anew:  # a notebook: rm -r, and the cell again
        anew.add([record(2)])
        assert all_ids(anew) == {"id2"}


def test_an_error_of_sqlite_itself_is_ours(collection) -> None:
    collection._share.engine.database._main.execute("DROP TABLE tombstones")
    with pytest.raises(OSError, match="tombstones") as caught:
        collection.delete(collection.all_rows())
    assert isinstance(caught.value.__cause__, sqlite3.Error)
    assert len(collection) == 10


def test_row_numbers_that_have_run_out_are_said_before_anything_is_written(tmp_path) -> None:
    """The indexes take fewer rows than a bitmap: a row beyond would be stored and never found."""
    with Collection.open(tmp_path / "kb") as collection:
        collection.add([record(0)])
    connection = sqlite3.connect(tmp_path / "kb" / "collection.sqlite3")
    (state,) = connection.execute("SELECT value FROM meta WHERE key = 'state'").fetchone()
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'state'",
        [json.dumps({**json.loads(state), "seq": MAX_ROW})],
    )
    connection.commit()
    connection.close()
    with Collection.open(tmp_path / "kb") as collection:
        with pytest.raises(StorageError, match=f"{MAX_ROW} row numbers"):
            collection.add([record(1)])
        assert len(collection) == 1
