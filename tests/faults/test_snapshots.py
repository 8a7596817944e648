"""Whatever happens to a view's files: the same answers, after a warning."""

from __future__ import annotations

import shutil
import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from llamaindex_vecx import snapshot
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.collection.history import History
from llamaindex_vecx.index import HNSW
from llamaindex_vecx.text import BM25, register_tokenizer
from tests.collection.making import all_ids, ids, one, record, silence, vector

VIEWS = ("graph", "metadata", "text")
N = 200


def fill(collection: Collection) -> None:
    collection.add([record(i, tags=["a", i % 3]) for i in range(N)])
    collection.add([record(i, version=1) for i in range(0, N, 5)])
    collection.delete(collection.select(ids=["id7", "id8"]))
    collection.wait()


def answers(collection: Collection) -> list[object]:
    rows, scores = collection.search(vector(33), N)
    return [
        ids(collection, rows),
        np.round(scores, 3).tolist(),  # the tail holds float32, the graph 24 bits of its own
        ids(collection, collection.search_text("version1 number17", 20)[0]),
        sorted(ids(collection, collection.select(filters=one("tags", "contains", 2)))),
        sorted(all_ids(collection)),
    ]


@pytest.fixture(scope="module", params=["hnsw", "flat"])
def kept(request, tmp_path_factory) -> tuple[Path, list[object]]:
    path = tmp_path_factory.mktemp("kept") / "kb"
    with Collection.open(path, index=request.param) as collection:
        fill(collection)
        collection.flush()
        expected = answers(collection)
    assert len(expected[0]) == N - 2
    return path, expected


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1 - len(content) // 3] ^= 0x10
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def garbage(file: Path) -> None:
    file.write_bytes(bytes(range(256)) * 16)


def count(caught: pytest.WarningsRecorder) -> int:
    """How many warnings, without those of what other tests of this process left open."""
    return sum(not issubclass(one.category, ResourceWarning) for one in caught)


def files(path: Path) -> list[Path]:
    return sorted((path / "views").rglob("*.*"))


def test_an_intact_collection_opens_without_a_warning(kept, tmp_path) -> None:
    path, expected = kept
    shutil.copytree(path, tmp_path / "kb")
    with silence(), Collection.open(tmp_path / "kb") as collection:
        assert answers(collection) == expected
        assert all(view.saved for view in collection._share.engine.views)
    assert {file.parent.name for file in files(path)} == set(VIEWS)


def look_and_mend(path: Path, expected: list[object]) -> None:
    with Collection.open(path) as collection:
        assert answers(collection) == expected
        collection.wait()
        assert answers(collection) == expected
        collection.flush()


@pytest.mark.parametrize("damage", [flip, cut, empty, garbage, Path.unlink])
def test_any_damage_to_any_file_of_a_view(kept, tmp_path, damage) -> None:
    path, expected = kept
    for number, file in enumerate(files(path)):
        copy = tmp_path / str(number)
        shutil.copytree(path, copy)
        damage(copy / file.relative_to(path))
        view = file.parent.name
        with pytest.warns(UserWarning, match=f"{view}.*rebuilt") as caught:
            look_and_mend(copy, expected)
        assert count(caught) == 1, file
        with silence(), Collection.open(copy) as collection:
            assert answers(collection) == expected, file
        shutil.rmtree(copy)


@pytest.mark.parametrize("view", [*VIEWS, ""])
def test_a_view_that_is_gone(kept, tmp_path, view) -> None:
    path, expected = kept
    shutil.copytree(path, tmp_path / "kb")
    shutil.rmtree(tmp_path / "kb" / "views" / view)
    with (
        pytest.warns(UserWarning, match="missing") as caught,
        Collection.open(tmp_path / "kb") as collection,
    ):
        assert answers(collection) == expected
    assert count(caught) == (1 if view else 3)


def test_a_view_of_another_collection(kept, tmp_path) -> None:
    path, expected = kept
    shutil.copytree(path, tmp_path / "kb")
    with Collection.open(tmp_path / "other") as other:
        fill(other)
        other.flush()
    for view in VIEWS:
        shutil.rmtree(tmp_path / "kb" / "views" / view)
    shutil.copytree(tmp_path / "other" / "views", tmp_path / "kb" / "views", dirs_exist_ok=True)
    with (
        pytest.warns(UserWarning, match="rebuilt") as caught,
        Collection.open(tmp_path / "kb") as collection,
    ):
        assert answers(collection) == expected
    assert count(caught) == 3


def backup(path: Path, to: Path) -> None:
    source, target = sqlite3.connect(path / "collection.sqlite3"), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


def restored(tmp_path: Path, index: str) -> tuple[Path, list[object]]:
    """The database as it was, the views as they became later."""
    path = tmp_path / "kb"
    with Collection.open(path, index=index) as collection:
        fill(collection)
        expected = answers(collection)
        backup(path, tmp_path / "backup")
        collection.add([record(i, version=2) for i in range(N)])
        collection.wait()
        collection.flush()
    shutil.copy(tmp_path / "backup", path / "collection.sqlite3")
    with sqlite3.connect(path / "collection.sqlite3") as connection:
        connection.execute("""UPDATE meta SET value = '{"graph": 1, "text": 1, "metadata": 1}'
                              WHERE key = 'saved'""")
    connection.close()
    return path, expected


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_views_ahead_of_a_restored_database(tmp_path, index) -> None:
    path, expected = restored(tmp_path, index)
    with (
        pytest.warns(UserWarning, match="ahead of the database.*backup") as caught,
        Collection.open(path) as collection,
    ):
        assert answers(collection) == expected
    assert count(caught) == 3


@pytest.mark.parametrize("index", ["flat", "hnsw"])
def test_views_that_a_restored_database_has_since_overtaken(tmp_path, index) -> None:
    """The seq of the snapshot exists again, and stands for something else."""
    path, _ = restored(tmp_path, index)
    views = tmp_path / "views"
    shutil.move(path / "views", views)
    with Collection.open(path) as collection:
        collection.add([record(i, version=3) for i in range(2 * N)])
        collection.wait()
        expected = answers(collection)
    shutil.rmtree(path / "views")  # as after a kill: the old snapshots still lie there
    shutil.move(views, path / "views")
    with (
        pytest.warns(UserWarning, match="ahead of the database") as caught,
        Collection.open(path) as collection,
    ):
        collection.wait()  # the tail measures on more bits, and near equals may change places
        assert answers(collection) == expected
    assert count(caught) == 3


@pytest.mark.parametrize("index", ["flat", "hnsw"])
@pytest.mark.parametrize(
    ("times", "why"),
    [(0, "older than the last compaction"), (2, "numbered anew by a compaction")],
)
def test_views_that_are_merely_behind_are_caught_up_with_silently(
    tmp_path, index, times, why
) -> None:
    path = tmp_path / "kb"
    with Collection.open(path, index=index) as collection:
        for _ in range(times + 1):  # each but the first leaves 200 rows behind
            collection.add([record(i, tags=["a", i % 3]) for i in range(N)])
        collection.wait()
        collection.flush()
        shutil.copytree(path / "views", tmp_path / "views")
        collection.add([record(i, version=1) for i in range(0, N, 5)])
        collection.delete(collection.select(ids=["id7", "id8"]))
        collection.wait()
        expected = answers(collection)
    shutil.rmtree(path / "views")
    shutil.copytree(tmp_path / "views", path / "views")
    with silence(), Collection.open(path) as collection:
        assert answers(collection) == expected
        collection.compact()
    shutil.rmtree(path / "views")
    shutil.copytree(tmp_path / "views", path / "views")
    with (
        pytest.warns(UserWarning, match=why) as caught,
        Collection.open(path) as collection,
    ):
        assert answers(collection) == expected
    assert count(caught) == 3


def test_a_tokenizer_of_another_version(tmp_path) -> None:
    register_tokenizer("letters", list, version="1")
    with Collection.open(tmp_path / "kb", tokenizer="letters") as collection:
        collection.add([record(i) for i in range(30)])
        collection.search_text("c", 3)
        collection.flush()
    register_tokenizer("letters", str.split, version="2")
    with Collection.open(tmp_path / "kb") as collection:
        with pytest.warns(UserWarning, match="tokenizer.*'1'.*'2'.*rebuilt"):
            assert len(collection.search_text("c", 3)[0]) == 0
        assert len(collection.search_text("cat", 50)[0]) == 30


def test_a_snapshot_that_can_not_be_written_only_warns(tmp_path, monkeypatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with Collection.open(tmp_path / "kb") as collection:
        fill(collection)
        expected = answers(collection)
        monkeypatch.setattr(snapshot.np, "save", full)
        with pytest.warns(UserWarning, match="No space left") as caught:
            collection.flush()
        assert count(caught) == 3
        assert answers(collection) == expected
        monkeypatch.undo()
        collection.flush()
    with silence(), Collection.open(tmp_path / "kb") as collection:
        assert answers(collection) == expected


@pytest.mark.parametrize("end", ["delete", "clear"])
def test_a_view_of_nothing_is_not_missed(tmp_path, end) -> None:
    with Collection.open(tmp_path / "kb") as collection:
        collection.add([record(1)])
        if end == "delete":
            collection.delete(collection.all_rows())
        else:
            collection.clear()
    for _ in range(2):
        with silence(), Collection.open(tmp_path / "kb") as collection:
            assert len(collection.search(vector(1), 3)[0]) == 0
            assert len(collection.search_text("cat", 3)[0]) == 0
            assert collection.all_rows() == BitMap()
            collection.flush()


def test_where_warnings_are_errors_a_query_still_has_its_answer(kept, tmp_path) -> None:
    path, expected = kept
    shutil.copytree(path, tmp_path / "kb")
    shutil.rmtree(tmp_path / "kb" / "views")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Collection.open(tmp_path / "kb") as collection:
            assert answers(collection) == expected


def test_closing_writes_what_is_worth_it(tmp_path) -> None:
    def stamps() -> dict[str, int]:
        return {
            view: snapshot.read_snapshot(tmp_path / "kb" / "views" / view, kind=kind).stamp["seq"]
            for view, kind in zip(VIEWS, (HNSW.kind, "metadata", BM25.kind), strict=True)
        }

    with Collection.open(tmp_path / "kb") as collection:
        collection.add([record(i) for i in range(3000)])
        collection.wait()
    assert stamps() == dict.fromkeys(VIEWS, 3000)
    with Collection.open(tmp_path / "kb") as collection:
        collection.add([record(1)])
        collection.wait()
    assert stamps() == dict.fromkeys(VIEWS, 3000)  # quicker to catch up with than to write
    with Collection.open(tmp_path / "kb") as collection:
        collection.delete(BitMap(range(1, 400)))
        collection.wait()
    assert len(set(stamps().values()) - {3000}) == 1


def test_history_knows_the_past_of_its_own_database() -> None:
    history = History("g", [("s1", 0), ("s2", 100), ("s3", 250)])

    def objects(session: str, seq: int, generation: str = "g", floor: int = 0) -> bool:
        stamp = {"generation": generation, "session": session, "seq": seq, "row": seq}
        return history.objection(stamp, 300, floor) is not None

    assert not any(
        objects(*past) for past in [("s1", 0), ("s1", 100), ("s2", 100), ("s2", 250), ("s3", 300)]
    )
    assert all(
        objects(*no)
        for no in [("s1", 101), ("s2", 99), ("s2", 251), ("s3", 301), ("s3", 249), ("s4", 260)]
    )
    assert objects("s1", 50, generation="h")
    assert objects("s1", 50, floor=51)
    assert history.objection({"generation": "g", "session": "s1"}, 300, 0)
    for seq, row, session in [(99, 99, "s1"), (300, 300, "s3"), (90, 120, "s2")]:
        stamp = history.stamp(seq, row)
        assert stamp == {"generation": "g", "session": session, "seq": seq, "row": row}
        assert history.objection(stamp, 300, 0) is None
    younger = History("g", history.sessions[:2])
    assert younger.objection(history.stamp(90, 120), 110, 0) is not None
