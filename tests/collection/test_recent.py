"""Records that are kept in memory are those of the rows, whatever callers and writers do."""

from __future__ import annotations

from llamaindex_vecx.collection import Collection, Record

from .making import record, vector


def rows_of(collection, *ids):
    return [row for row in collection.rows_of(list(ids)) if row is not None]


def test_what_a_caller_does_to_a_record_stays_with_the_caller():
    with Collection.open(None) as collection:
        metadata = {"n": 1, "tags": ["a"], "deep": {"k": [1]}}
        collection.add([Record("x", vector(1), "text", metadata, "{}")])
        rows = rows_of(collection, "x")
        for _ in range(3):
            (found,) = collection.records(rows)
            assert found.metadata == {"n": 1, "tags": ["a"], "deep": {"k": [1]}}
            found.metadata["n"] = 2
            found.metadata["tags"].append("b")
            found.metadata["deep"]["k"].clear()


def test_a_record_that_was_kept_is_gone_when_its_row_is():
    with Collection.open(None) as collection:
        collection.add([record(1), record(2)])
        rows = rows_of(collection, "id1", "id2")
        assert None not in collection.records(rows)
        collection.delete(collection.select(ids=["id1"]))
        assert [found is None for found in collection.records(rows)] == [True, False]
        collection.add([record(2)])
        assert collection.records(rows) == [None, None]
        collection.clear()
        assert collection.records(rows) == [None, None]


def test_a_reader_keeps_nothing_beyond_the_writer_s_next_commit(tmp_path):
    with Collection.open(tmp_path / "kb") as writer:
        writer.add([record(1), record(2)])
        rows = rows_of(writer, "id1", "id2")
        with Collection.open(tmp_path / "kb", read_only=True) as reader:
            assert None not in reader.records(rows)
            writer.delete(writer.select(ids=["id2"]))
            assert reader.seq == writer.seq
            assert [found is None for found in reader.records(rows)] == [False, True]


def test_more_records_than_are_kept_come_whole_and_in_order():
    with Collection.open(None) as collection:
        collection.add([record(i) for i in range(3000)])
        rows = rows_of(collection, *[f"id{i}" for i in range(3000)])
        for start in (0, 100, 0, 1500, 2900, 0):
            some = rows[start : start + 100]
            found = collection.records(some)
            assert [one.id for one in found] == [f"id{i}" for i in range(start, start + 100)]
        assert [one.id for one in collection.records(rows)] == [f"id{i}" for i in range(3000)]
