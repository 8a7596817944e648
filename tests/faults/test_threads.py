"""Many threads at once, and a background that fails."""

from __future__ import annotations

import collections
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from llamaindex_vecx.collection import Collection, worker
from llamaindex_vecx.errors import ClosedError
from llamaindex_vecx.index import HNSW
from llamaindex_vecx.text import register_tokenizer
from tests.collection.making import all_ids, ids, one, record, vector


@pytest.fixture(params=["memory", "file"])
def path(request, tmp_path):
    return None if request.param == "memory" else tmp_path / "kb"


def together(*jobs: Callable[[], object]) -> None:
    """Run all at the same time; raise what any of them raised."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result(timeout=60)


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_readers_and_writers_at_once(path, kind) -> None:
    """What was there when a query began and is there when it ends is found."""
    with Collection.open(path, index=kind) as collection:
        collection.add([record(i) for i in range(2000)])
        acknowledged = list(range(1000))
        ended = threading.Event()

        def write() -> None:
            for start in range(2000, 3500, 25):
                collection.add([record(i) for i in range(start, start + 25)])
                acknowledged.extend(range(start, start + 25))
                collection.delete(collection.select(ids=[f"id{i}" for i in range(1000, 1010)]))
                # no version whose vectors other records have: equals come in any order
                collection.add([record(i, version=9) for i in range(1000, 1010)])

        def upkeep() -> None:
            while not ended.wait(0.05):
                collection.flush()
                collection.compact()

        def read() -> None:
            rng = np.random.default_rng(threading.get_ident() % 2**32)
            while not ended.is_set():
                i = acknowledged[rng.integers(len(acknowledged))]
                assert ids(collection, collection.search(vector(i), 1)[0]) == [f"id{i}"]
                assert ids(collection, collection.search_text(f"number{i}", 3)[0]) == [f"id{i}"]
                chosen = collection.select(filters=one("n", "==", i))
                assert ids(collection, collection.search(vector(0), 2, allowed=chosen)[0]) == [
                    f"id{i}"
                ]
                if i % 20 == 0:
                    rows, _ = collection.search(vector(i), 5000)
                    found = set(ids(collection, rows))
                    assert len(rows) == len(set(rows.tolist()))
                    assert found >= {f"id{j}" for j in range(1000)}

        def write_and_end() -> None:
            try:
                write()
            finally:
                ended.set()

        together(write_and_end, upkeep, read, read, read)
        collection.wait()
        assert len(collection) == 3500
        assert all_ids(collection) == {f"id{i}" for i in range(3500)}


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_a_replaced_record_is_never_missing(path, kind) -> None:
    with Collection.open(path, index=kind) as collection:
        collection.add([record(i) for i in range(600)])
        ended = threading.Event()

        def replace() -> None:
            try:
                for version in range(150):
                    collection.add([record(7, version=version)])
            finally:
                ended.set()

        def look() -> None:
            while not ended.is_set():
                rows, _ = collection.search(vector(0), 1000)
                assert len(rows) >= 600  # both for a moment, but never neither

        together(replace, look, look)
        assert len(collection.search(vector(0), 1000)[0]) == 600


def test_closing_under_load_ends_in_closed_errors_only(tmp_path) -> None:
    collection = Collection.open(tmp_path / "kb")
    collection.add([record(i) for i in range(1000)])

    def work(call: Callable[[], object]) -> None:
        with pytest.raises(ClosedError):
            collections.deque(iter(call, object()), maxlen=0)  # for ever

    def close() -> None:
        time.sleep(0.2)
        collection.close()

    together(
        close,
        lambda: work(lambda: collection.search(vector(1), 3)),
        lambda: work(lambda: collection.records([1, 2, 3])),
        lambda: work(lambda: collection.search_text("cat", 3)),
        lambda: work(lambda: collection.add([record(5)])),
    )
    with Collection.open(tmp_path / "kb") as again:
        assert len(again) == 1000


def search_a_while(collection: Collection) -> None:
    """Each search wakes the background, and tells what became of it since the last."""
    for _ in range(20):
        collection.search(vector(7), 1)
        time.sleep(0.05)


class TestFailingBackground:
    @pytest.fixture
    def broken(self, monkeypatch):
        """A graph that takes half of a batch and fails, until it is mended."""
        add = HNSW.add
        calls = []

        def fail(self, rows, vectors, **params):
            calls.append(len(rows))
            add(self, rows[: len(rows) // 2], vectors[: len(rows) // 2], **params)
            raise MemoryError("no room for the graph")

        monkeypatch.setattr(HNSW, "add", fail)
        yield calls
        monkeypatch.setattr(HNSW, "add", add)

    def test_answers_stay_right_and_the_next_call_says_so(self, path, broken, monkeypatch) -> None:
        with Collection.open(path) as collection:
            collection.add([record(i) for i in range(1500)])
            with pytest.raises(MemoryError, match="no room"):
                collection.wait()
            assert broken
            rows, _ = collection.search(vector(7), 2000)
            assert len(set(rows.tolist())) == len(rows) == 1500
            collection.delete(collection.select(ids=["id3"]))
            assert len(collection.search(vector(7), 2000)[0]) == 1499
            monkeypatch.setattr(worker, "_PAUSE", 0)
            time.sleep(1.1)  # the pause that the first failure began
            with pytest.warns(UserWarning, match="no room.*slower"):
                search_a_while(collection)
            monkeypatch.undo()
            collection.wait()
            assert len(collection.search(vector(7), 2000)[0]) == 1499
            assert ids(collection, collection.search(vector(7), 1)[0]) == ["id7"]

    def test_one_failing_view_does_not_stop_the_others(self, path) -> None:
        def strict(text: str) -> list[str]:
            if "number3" in text.split():
                raise ValueError("3 is not a word")
            return text.split()

        register_tokenizer("strict", strict)
        with Collection.open(path, tokenizer="strict") as collection:
            collection.add([record(i) for i in range(1500)])
            with pytest.raises(ValueError, match="not a word"):
                collection.wait()
            engine = collection._share.engine
            assert engine.views.graph.done == engine.views.metadata.seen == 1500
            with pytest.raises(ValueError, match="not a word"):
                collection.search_text("number4", 1)
            assert ids(collection, collection.search(vector(3), 1)[0]) == ["id3"]
            collection.delete(collection.select(ids=["id3"]))
            assert ids(collection, collection.search_text("number4", 1)[0]) == ["id4"]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                collection.wait()


def test_an_interrupt_between_commit_and_return_leaves_nothing_wrong(path, monkeypatch) -> None:
    with Collection.open(path) as collection:
        collection.add([record(i) for i in range(10)])
        collection.wait()
        collection.flush()  # what is read back must not come from this
        collection.add([record(0)])
        engine = collection._share.engine

        def interrupted(commit: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(engine, "_take_over", interrupted)
        with pytest.raises(KeyboardInterrupt):
            collection.add([record(10), record(3, version=1)])
        monkeypatch.undo()
        collection.add([record(11)])
        assert all_ids(collection) == {f"id{i}" for i in range(12)}
        assert ids(collection, collection.search(vector(1003), 1)[0]) == ["id3"]
        assert len(collection.search(vector(1), 50)[0]) == 12
