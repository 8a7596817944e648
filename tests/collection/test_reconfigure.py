"""Other parameters for the index of a collection that is in use: at once, or by building it anew."""

from __future__ import annotations

import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from llamaindex_vecx.collection import Collection, Record
from llamaindex_vecx.errors import InvalidInputError, ReadOnlyError
from llamaindex_vecx.index import HNSW
from tests.cli.conftest import environment

DIM = 8


def records(count: int, start: int = 0) -> list[Record]:
    vectors = np.random.default_rng(start).standard_normal((count, DIM)).astype(np.float32)
    return [Record(f"r{start + i}", v, "text", {}, "{}") for i, v in enumerate(vectors)]


def found(collection: Collection, query: np.ndarray, k: int = 5) -> list[str]:
    rows, _ = collection.search(query, k)
    return [record.id for record in collection.records(rows) if record is not None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Collection.open(tmp_path / "kb", index_params={"M": 4, "ef_search": 120}) as collection:
        collection.add(records(1500))
        collection.wait()
        collection.flush()
    return tmp_path / "kb"


def params(collection: Collection) -> dict[str, int]:
    assert isinstance(collection.index, HNSW)
    assert collection.index.params == collection.settings["index_params"]
    return collection.index.params


def test_what_a_search_reads_changes_at_once_and_stays(path: Path) -> None:
    with Collection.open(path) as collection:
        found(collection, np.ones(DIM))
        index = collection.index
        collection.reconfigure({"ef_search": 150})
        assert collection.index is index
        assert params(collection)["ef_search"] == 150
    with warnings.catch_warnings(), Collection.open(path) as collection:
        warnings.simplefilter(
            "error"
        )  # the snapshot, which has the old value, is taken all the same
        found(collection, np.ones(DIM))
        assert params(collection)["ef_search"] == 150


def test_other_parameters_build_it_anew_and_stay(path: Path) -> None:
    query = np.random.default_rng(7).standard_normal(DIM)
    calls: list[tuple[str, int, int]] = []
    with Collection.open(path) as collection:
        collection.delete_selected(ids=["r3"])
        before = found(collection, query)
        old = collection.index
        collection.reconfigure({"M": 32, "ef_construction": 50}, lambda *call: calls.append(call))
        assert collection.index is not old
        assert params(collection) == {
            "M": 32, "ef_construction": 50, "ef_search": 120, "seed": 0, "target_recall": None,
            "on_disk": False,
        }  # fmt: skip
        assert found(collection, query) == before
        collection.add(records(10, start=5000))
        assert found(collection, records(10, start=5000)[3].vector, 1) == ["r5003"]  # type: ignore[arg-type]
        assert len(collection) == 1509
    assert calls[-1] == ("add", 1499, 1499)
    assert len(calls) >= 3
    with warnings.catch_warnings(), Collection.open(path) as collection:
        warnings.simplefilter("error")
        assert found(collection, query)[:3] == before[:3]
        assert params(collection)["M"] == 32


def test_adds_deletes_and_searches_go_on_meanwhile(path: Path) -> None:
    with Collection.open(path) as collection:
        done, wrong = threading.Event(), []

        def write() -> None:
            start = 10_000
            while not done.is_set():
                some = records(20, start)
                collection.add(some)
                if found(collection, some[0].vector, 1) != [some[0].id]:  # type: ignore[arg-type]
                    wrong.append(some[0].id)
                collection.delete_selected(ids=[record.id for record in some[10:]])
                start += 20

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for M in (8, 12, 16):
                collection.reconfigure({"M": M})
        finally:
            done.set()
            thread.join()
        assert not wrong
        collection.wait()
        assert len(collection.index or ()) == len(collection)


def test_in_memory_and_empty() -> None:
    with Collection.open(None) as collection:
        collection.reconfigure({"M": 5})
        collection.add(records(30))
        found(collection, np.ones(DIM))
        assert params(collection)["M"] == 5
        collection.clear()
        collection.reconfigure({"M": 6})
        collection.add(records(30))
        found(collection, np.ones(DIM))
        assert params(collection)["M"] == 6


def test_bad_input_changes_nothing(path: Path) -> None:
    with Collection.open(path) as collection:
        before = collection.settings
        with pytest.raises(InvalidInputError, match="index_params\\['nprobe'\\] is unknown"):
            collection.reconfigure({"nprobe": 3})
        with pytest.raises(InvalidInputError, match="M must lie between 2 and 512"):
            collection.reconfigure({"M": 1})
        assert collection.settings == before
    with (
        Collection.open(path, read_only=True) as collection,
        pytest.raises(ReadOnlyError, match="read_only"),
    ):
        collection.reconfigure({"M": 8})


KILLED = """
import os, signal, sys
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.collection.upkeep import Upkeep
save = Upkeep.save
def killed(self, views=None):
    if sys.argv[2] == "swapped":
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, views)
Upkeep.save = killed
def progress(step, done, total):
    if sys.argv[2] == "building" and done:
        os.kill(os.getpid(), signal.SIGKILL)
Collection.open(sys.argv[1]).reconfigure({"M": 24}, progress)
"""


@pytest.mark.parametrize(("moment", "M"), [("building", 4), ("swapped", 24)])
def test_killed_on_the_way(path: Path, moment: str, M: int) -> None:
    query = np.random.default_rng(7).standard_normal(DIM)
    with Collection.open(path) as collection:
        before = found(collection, query)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), moment], env=environment(), capture_output=True
    )
    assert done.returncode == -9, done.stderr
    with warnings.catch_warnings(), Collection.open(path) as collection:
        warnings.simplefilter("error")
        assert found(collection, query) == before
        collection.wait()
        assert params(collection)["M"] == M
