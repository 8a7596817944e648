"""The public surface of a collection, one property a test."""

from __future__ import annotations

import numpy as np
import pytest

from llamaindex_vecx.collection import Collection, Record


def record(i: int, *, dim: int = 8) -> Record:
    rng = np.random.default_rng(i)
    vector = rng.standard_normal(dim).astype(np.float32)
    return Record(f"id{i}", vector, f"cat number{i}", {"n": i}, f"content {i}", f"doc{i // 10}")


@pytest.fixture(params=["flat", "hnsw"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path):
    return None if request.param == "memory" else tmp_path / "kb"


def test_a_record_is_found_right_after_its_add(path, kind) -> None:
    with Collection.open(path, index=kind) as collection:
        collection.add([record(i) for i in range(50)])
        rows, scores = collection.search(record(7).vector, 3)
        assert len(rows) == len(scores) == 3
        assert collection.records(rows)[0].id == "id7"
        assert scores[0] == pytest.approx(1, abs=1e-5)
        rows, scores = collection.search_text("number7", 3)
        assert [r.id for r in collection.records(rows)] == ["id7"]


def test_adding_an_id_again_replaces_its_record(path, kind) -> None:
    with Collection.open(path, index=kind) as collection:
        collection.add([record(i) for i in range(50)])
        collection.add([Record("id7", record(99).vector, "dog", {"n": -1}, "new")])
        assert len(collection) == 50
        rows, _ = collection.search(record(99).vector, 1)
        (found,) = collection.records(rows)
        assert (found.id, found.text, found.metadata, found.content) == (
            "id7",
            "dog",
            {"n": -1},
            "new",
        )
        assert found.ref_doc_id is None
        assert len(collection.search_text("number7", 3)[0]) == 0


def test_a_deleted_record_is_never_returned(path, kind) -> None:
    with Collection.open(path, index=kind) as collection:
        collection.add([record(i) for i in range(50)])
        (row,) = collection.rows_of(["id7"])
        assert collection.delete(collection.select(ids=["id7", "nobody"])) == 1
        assert row not in collection.search(record(7).vector, 50)[0]
        assert len(collection.search_text("number7", 3)[0]) == 0
        assert collection.records([row]) == [None]
        assert len(collection) == 49
