"""FAISS indexes beyond what every index does: training, bad input, threads, forks, files."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from llamaindex_vecx.errors import (
    DamagedSnapshotError,
    DimensionError,
    FormatError,
    InvalidInputError,
    NonFiniteError,
)
from llamaindex_vecx.index import FAISS, Flat
from llamaindex_vecx.index.faiss.core import Core
from llamaindex_vecx.index.faiss.factory import as_template, some_dim
from llamaindex_vecx.index.faiss.foreign import read_foreign
from llamaindex_vecx.index.faiss.runtime import Gate

from .helpers import clustered, normal, recall

DIM = 16


def filled(factory: str = "IVF16,Flat", n: int = 1000, **settings: Any) -> FAISS:
    index = FAISS(DIM, "cosine", factory, **settings)
    index.add(np.arange(n), normal(n, DIM))
    return index


# -- training ------------------------------------------------------------------------------------


def test_search_is_exact_until_there_is_enough_to_train_on():
    index, flat = filled(n=623), Flat(DIM)
    flat.add(np.arange(623), normal(623, DIM))
    asked = normal(20, DIM, 1)
    assert not index.due
    assert "exact until 624 rows" in index.stage  # 39 × 16
    np.testing.assert_array_equal(index.search(asked, 10)[0], flat.search(asked, 10)[0])
    index.add([623], normal(1, DIM, 5))
    assert index.due
    steps: list[tuple[str, int, int]] = []
    assert index.improve(lambda *step: steps.append(step))
    assert not index.due
    assert index.trained
    assert "trained on 624 rows" in index.stage
    assert steps[0] == ("train", 0, 624)
    assert steps[-1] == ("add", 624, 624)


def test_it_is_trained_again_when_there_is_four_times_as_much():
    index = filled(n=700)
    index.improve()
    first = index._core
    index.add(np.arange(700, 2799), normal(2099, DIM, 2))
    assert not index.due
    index.add([2799], normal(1, DIM, 3))
    assert index.due
    index.improve()
    assert index._core is not first
    assert "trained on 2,800 rows" in index.stage
    assert (index.search(normal(2099, DIM, 2)[:50], 1)[0][:, 0] == np.arange(700, 750)).all()


def test_rows_that_come_and_go_during_a_training_are_in_and_out(monkeypatch):
    index = filled("IVF8,Flat", 2000)
    started, go_on = threading.Event(), threading.Event()
    train = faiss.IndexIVFFlat.train

    def slow(self, *args):
        started.set()
        assert go_on.wait(30)
        return train(self, *args)

    monkeypatch.setattr(faiss.IndexIVFFlat, "train", slow)
    thread = threading.Thread(target=index.train)
    thread.start()
    assert started.wait(30)
    before = time.perf_counter()
    index.add(np.arange(2000, 2100), normal(100, DIM, 7))  # nobody waits for the training
    index.remove(np.arange(100))
    rows, _ = index.search(normal(100, DIM, 7), 1)
    assert time.perf_counter() - before < 5
    assert (rows[:, 0] == np.arange(2000, 2100)).all()
    go_on.set()
    thread.join()
    assert index.trained
    assert len(index._core) == len(index) == 2000
    assert (index.search(normal(100, DIM, 7), 1)[0][:, 0] == np.arange(2000, 2100)).all()
    assert not np.isin(index.search(normal(2000, DIM)[:100], 20)[0], np.arange(100)).any()


def test_a_training_that_fails_is_not_tried_again_at_once(monkeypatch):
    index = filled(n=700)
    monkeypatch.setattr(faiss.IndexIVFFlat, "train", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        index.improve()
    assert not index.due
    assert len(index.search(normal(1, DIM), 5)[0][0]) == 5
    monkeypatch.undo()
    index.add(np.arange(700, 1400), normal(700, DIM, 4))
    assert index.due
    assert index.improve()


def test_parameters_of_a_query():
    index = filled("IVF64,Flat", 4000, train_at=1000, nprobe=1)
    index.improve()
    flat = Flat(DIM)
    flat.add(np.arange(4000), normal(4000, DIM))
    asked = normal(100, DIM, 9)
    truth = flat.search(asked, 10)[0]
    narrow, wide, all_ = (
        recall(index.search(asked, 10, nprobe=probes)[0], truth) for probes in (None, 8, 64)
    )
    assert narrow < wide < all_ == 1.0
    graph = filled("HNSW4", 4000, efSearch=4)
    few, many = (recall(graph.search(asked, 10, efSearch=ef)[0], truth) for ef in (None, 400))
    assert few + 0.1 < many
    codes = filled("PQ4x4", 4000, train_at=1000, k_factor=1)
    codes.improve()
    plain, refined = (recall(codes.search(asked, 10, k_factor=f)[0], truth) for f in (None, 40))
    assert plain + 0.2 < refined


def test_a_batch_is_what_its_queries_are():
    data = clustered(3000, DIM, 30, 0.3)
    for factory in ("IVF16,Flat", "HNSW16", "SQ8"):
        index = FAISS(DIM, "l2", factory)
        index.add(np.arange(3000), data)
        while index.due:
            index.improve()
        together = index.search(data[:64], 5, threads=2)
        for i in range(64):
            alone = index.search(data[i], 5)
            np.testing.assert_array_equal(together[0][i], alone[0][0])
            np.testing.assert_array_equal(together[1][i], alone[1][0])


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"factory": "Nonsense8"}, InvalidInputError, "Nonsense8.*wiki"),
        ({"factory": ""}, InvalidInputError, "factory"),
        ({"factory": 7}, InvalidInputError, "factory=7"),
        ({"factory": "PQ48", "dim": 100}, DimensionError, "PQ48.*48 equal parts, and 100.*50"),
        ({"factory": "IVF16,PQ3x4"}, DimensionError, "3 equal parts, and 16"),
        ({"factory": "OPQ5,IVF4,PQ5"}, DimensionError, "5 equal parts"),
        ({"factory": "LSH"}, InvalidInputError, "LSH.*metric 'cosine'"),
        ({"nprobe": 0}, InvalidInputError, "nprobe"),
        ({"factory": "HNSW8", "nprobe": 4}, InvalidInputError, "nprobe means nothing to 'HNSW8'"),
        ({"efSearch": 4}, InvalidInputError, "efSearch means nothing"),
        ({"efConstruction": 4}, InvalidInputError, "efConstruction means nothing"),
        ({"train_at": 15}, InvalidInputError, "train_at=15.*16 vectors"),
        ({"template": "????"}, InvalidInputError, "template"),
    ],
)  # fmt: skip
def test_settings_that_can_not_be(arguments, error, says):
    with pytest.raises(error, match=says):
        FAISS(**{"dim": DIM, "factory": "IVF16,Flat", **arguments})


def test_too_few_vectors_to_train():
    index = filled(n=15)
    with pytest.raises(InvalidInputError, match=r"at least 16 vectors.*there are 15"):
        index.train()
    assert not index.trained
    index.add([15], normal(1, DIM, 2))
    index.train()
    assert index.trained


def test_parameters_that_mean_nothing_to_the_index():
    index = filled(n=50)
    with pytest.raises(InvalidInputError, match="efSearch means nothing to 'IVF16,Flat'; it takes"):
        index.search(normal(1, DIM), 3, efSearch=10)
    with pytest.raises(InvalidInputError, match="nprobe"):
        index.search(normal(1, DIM), 3, nprobe=-1)
    with pytest.raises(NonFiniteError):
        index.search(np.full((1, DIM), np.nan, np.float32), 3)


def test_ready_indexes():
    with pytest.raises(InvalidInputError, match=r"must be a faiss.Index, not str"):
        as_template("Flat", None)
    with pytest.raises(DimensionError, match="dimension 8, and dim=16"):
        as_template(faiss.IndexFlatL2(8), 16)
    held = faiss.IndexFlatL2(8)
    held.add(normal(3, 8))
    with pytest.raises(InvalidInputError, match="holds 3 vectors.*from_faiss"):
        as_template(held, None)
    trained = faiss.index_factory(DIM, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
    trained.train(normal(200, DIM))
    index = FAISS(DIM, "cosine", "mine", template=as_template(trained, DIM))
    index.add(np.arange(50), normal(50, DIM))
    assert index.trained
    assert not index.due
    centroids = index._core.index.quantizer.reconstruct_n(0, 4)
    np.testing.assert_array_equal(centroids, trained.quantizer.reconstruct_n(0, 4))


def test_a_dimension_is_found_for_every_string():
    for factory in ("PQ48", "OPQ7,IVF256,PQ7", "HNSW32", "PCA64,PQ32", "IVF4096,SQ8", "Flat"):
        dim = some_dim(factory)
        FAISS(dim, "l2", factory)


# -- files ---------------------------------------------------------------------------------------


def test_every_cut_or_altered_file_is_noticed_before_faiss_reads_it(tmp_path, monkeypatch):
    index = filled("IVF8,Flat", 400)
    index.improve()
    index.save(tmp_path / "it")
    read: list[int] = []
    deserialize = faiss.deserialize_index
    monkeypatch.setattr(faiss, "deserialize_index", lambda a: (read.append(1), deserialize(a))[1])
    for file in sorted((tmp_path / "it").iterdir()):
        good = file.read_bytes()
        middle = len(good) // 2
        for bad in (good[:-1], good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :], b""):
            file.write_bytes(bad)
            with pytest.raises(DamagedSnapshotError):
                FAISS.load(tmp_path / "it")
        file.unlink()
        with pytest.raises(DamagedSnapshotError):
            FAISS.load(tmp_path / "it")
        file.write_bytes(good)
    assert not read
    assert len(FAISS.load(tmp_path / "it")[0]) == 400
    assert read


@pytest.mark.parametrize(
    "factory", ["Flat", "HNSW8", "IVF4,Flat", "IDMap2,IVF4,Flat", "IDMap,Flat"]
)
def test_a_file_of_faiss_gives_its_vectors_back(factory, tmp_path):
    index = faiss.index_factory(DIM, factory)
    index.train(normal(200, DIM))
    labels = np.arange(200)
    if "IDMap" in factory:
        labels = labels[::-1] * 3
        index.add_with_ids(normal(200, DIM), labels.copy())
    else:
        index.add(normal(200, DIM))
    faiss.write_index(index, str(tmp_path / "it.faiss"))
    found = read_foreign(tmp_path / "it.faiss")
    order, wanted = np.argsort(found.labels), np.argsort(labels)
    np.testing.assert_array_equal(found.labels[order], labels[wanted])
    np.testing.assert_array_equal(found.vectors[order], normal(200, DIM)[wanted])
    assert (found.metric, found.lossy) == ("l2", False)
    FAISS(DIM, "l2", "it", template=found.template).add([1], normal(1, DIM))


def test_a_damaged_file_of_faiss_is_a_clear_error(tmp_path):
    index = faiss.index_factory(DIM, "HNSW8")
    index.add(normal(200, DIM))
    file = tmp_path / "it.faiss"
    faiss.write_index(index, str(file))
    good = file.read_bytes()
    huge = good[:4] + b"\xff" * 12 + good[16:]  # the dimension and the number of vectors
    for bad in (good[:-1], good[: len(good) // 2], b"", b"{}", huge):
        file.write_bytes(bad)
        with pytest.raises(FormatError, match=r"it\.faiss can't be read"):
            read_foreign(file)
    with pytest.raises(FormatError, match="no file"):
        read_foreign(tmp_path / "missing")
    nan = normal(200, DIM)
    nan[7] = np.nan
    index = faiss.IndexFlatL2(DIM)
    index.add(nan)
    faiss.write_index(index, str(file))
    with pytest.raises(NonFiniteError, match="1 of 200.*label 7"):
        read_foreign(file)


# -- threads and forks ---------------------------------------------------------------------------


@pytest.mark.parametrize("factory", ["HNSW16", "IVF16,Flat", "SQ8"])
def test_searches_beside_a_writer(factory):
    index = filled(factory, 700, train_at=None if factory == "HNSW16" else 600)
    while index.due:
        index.improve()
    failures: list[BaseException] = []
    done = threading.Event()
    mine = normal(700, DIM)[:50]

    def read() -> None:
        try:
            while not done.is_set():
                rows, _ = index.search(mine, 1, efSearch=200 if factory == "HNSW16" else None)
                assert (rows[:, 0] == np.arange(50)).mean() > 0.9
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for first in range(1000, 3000, 200):
        index.add(np.arange(first, first + 200), normal(200, DIM, first) * 5)
        index.remove(np.arange(first, first + 100))
        if index.due:
            index.improve()
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(index) == 1700


def test_a_gate_lets_many_read_or_one_write():
    gate, inside, most = Gate(), [0, 0], [0]

    def read() -> None:
        for _ in range(200):
            with gate.shared:
                inside[0] += 1
                assert inside[1] == 0
                inside[0] -= 1

    def write() -> None:
        for _ in range(100):
            with gate.alone:
                inside[1] += 1
                most[0] = max(most[0], inside[1])
                time.sleep(0)
                inside[1] -= 1

    threads = [threading.Thread(target=work) for work in (read, read, write, write)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert most == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_forked_child_searches_and_trains_after_openmp_ran_in_its_parent(tmp_path: Path):
    faiss.omp_set_num_threads(2)
    faiss.IndexFlatL2(DIM).train(normal(10, DIM))
    ivf = faiss.index_factory(DIM, "IVF16,Flat")
    ivf.train(normal(2000, DIM))  # OpenMP's threads are there now
    index = filled(n=1000)
    index.train()
    asked = normal(50, DIM, 3)
    expected = index.search(asked, 5, threads=2)[0]
    child = os.fork()
    if child == 0:
        try:
            same = (index.search(asked, 5, threads=2)[0] == expected).all()
            other = filled(n=1000)
            other.train()
            os._exit(0 if same and other.trained else 1)
        except BaseException:
            os._exit(2)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


def test_rows_that_come_during_a_search_do_not_stand_for_what_it_missed(monkeypatch):
    """Only 20 of 40 are found, and 20 was all that there was as the search began."""
    index = filled("HNSW8", n=20)
    search, came = Core.search, np.arange(20, 40)

    def meanwhile(self: Core, *arguments: Any) -> Any:
        index.add(came, normal(20, DIM, 3))
        found = search(self, *arguments)
        return np.where(np.isin(found, came), found, -1)

    monkeypatch.setattr(Core, "search", meanwhile)
    rows, _ = index.search(normal(1, DIM, 4), 40)
    assert sorted(rows[0].tolist()) == list(range(40))
