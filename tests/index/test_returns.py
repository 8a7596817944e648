"""A vector that is removed and added again takes its old place, and the graph is what it was."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw import store

from .helpers import METRICS, clustered, normal, recall


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("on_disk", [False, True])
def test_half_of_it_leaves_and_returns(metric: str, on_disk: bool) -> None:
    vectors = clustered(3000, 24, 30, 0.5)
    graph = HNSW(24, metric, on_disk=on_disk)
    graph.add(np.arange(3000), vectors)
    before = graph.search(vectors[::5], 10)
    gone = np.random.default_rng(0).permutation(3000)[:1500]
    graph.remove(gone)
    graph.add(gone, vectors[gone])
    assert graph.tombstones == 0
    for now, then in zip(graph.search(vectors[::5], 10), before, strict=True):
        assert np.array_equal(now, then)


def test_under_another_row_and_among_new_vectors() -> None:
    vectors, others = normal(1000, 16), normal(200, 16, seed=1)
    graph = HNSW(16)
    graph.add(np.arange(1000), vectors)
    graph.remove(np.arange(300))
    mixed = np.concatenate([others, vectors[100:300]])[np.random.default_rng(2).permutation(400)]
    graph.add(np.arange(2000, 2400), mixed)
    assert len(graph) == 1100
    assert graph.tombstones == 100
    flat = Flat(16)
    flat.add(np.arange(300, 1000), vectors[300:])
    flat.add(np.arange(2000, 2400), mixed)
    truth = flat.search(mixed, 5)[0]
    assert recall(graph.search(mixed, 5, ef_search=100)[0], truth) > 0.99
    assert (graph.search(mixed, 1)[0][:, 0] == np.arange(2000, 2400)).all()


def test_equal_vectors_return_one_by_one() -> None:
    vectors = np.repeat(normal(1, 16), 50, axis=0)
    graph = HNSW(16)
    graph.add(np.arange(50), vectors)
    graph.remove(np.arange(0, 50, 2))
    graph.add(np.arange(100, 130), vectors[:30])
    assert graph.tombstones == 0
    assert len(graph) == 55
    found = graph.search(vectors[:1], 55)[0][0]
    assert sorted(found.tolist()) == [*range(1, 50, 2), *range(100, 130)]


def test_almost_the_same_vector_is_another() -> None:
    vectors = normal(500, 16)
    graph = HNSW(16, "l2")
    graph.add(np.arange(500), vectors)
    graph.remove([7])
    changed = vectors[7] * np.float32(1 + 1e-5)
    graph.add([7], changed[None])
    assert graph.tombstones == 1
    found, scores = graph.search(changed[None], 1)
    flat = Flat(16, "l2")
    flat.add([7], changed[None])
    assert found[0, 0] == 7
    assert scores[0, 0] == pytest.approx(flat.search(changed[None], 1)[1][0, 0], abs=1e-6)


@pytest.mark.parametrize("k", [5, 40])
def test_a_filter_that_was_asked_before_sees_who_returned(k: int) -> None:
    vectors = normal(2000, 16)
    graph = HNSW(16)
    graph.add(np.arange(2000), vectors)
    allowed = np.zeros(3000, bool)
    allowed[[10, 2500]] = True
    graph.remove([20])
    assert set(graph.search(vectors[20:21], k, allowed=allowed)[0][0, :2].tolist()) == {10, -1}
    graph.add([2500], vectors[20:21])
    assert graph.search(vectors[20:21], k, allowed=allowed)[0][0, :2].tolist() == [2500, 10]


def test_during_a_rebuild_none_is_lost() -> None:
    vectors = clustered(3000, 16, 20, 0.5)
    graph = HNSW(16)
    graph.add(np.arange(3000), vectors)
    graph.remove(np.arange(1600))
    assert graph.improve()  # a first part
    graph.add(np.arange(5000, 5400), vectors[:400])  # into slots that the rebuild leaves out
    graph.remove(np.arange(2000, 2200))
    graph.add(np.arange(2100, 2200), vectors[2100:2200])
    graph.add(np.arange(6000, 6100), vectors[2000:2100])  # into slots that it knows by other rows
    while graph.improve():
        pass
    graph.compact()
    assert graph.tombstones == 0
    assert len(graph) == 1400 + 400 - 200 + 100 + 100
    found = graph.search(vectors[:400], 1)[0][:, 0]
    assert (found == np.arange(5000, 5400)).all()
    assert (graph.search(vectors[2000:2100], 1)[0][:, 0] == np.arange(6000, 6100)).all()


def test_an_interrupted_add_has_added_a_first_part(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = normal(3000, 8)
    graph = HNSW(8)
    graph.add(np.arange(1000), vectors[:1000])
    graph.remove(np.arange(500))
    monkeypatch.setattr(store, "_BATCH", 256)
    link, calls = store.Store._link, iter(range(10))

    def interrupted(self: store.Store, *arguments: object) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        link(self, *arguments)

    monkeypatch.setattr(store.Store, "_link", interrupted)
    rows = np.r_[1000:2500, 0:500]  # those that return come last
    with pytest.raises(KeyboardInterrupt):
        graph.add(rows, np.concatenate([vectors[1000:2500], vectors[:500]]))
    there = np.array([row in graph for row in rows.tolist()])
    assert there.sum() == 512
    assert there[:512].all()
    monkeypatch.undo()
    graph.add(rows[512:], vectors[rows[512:]])
    assert (graph.search(vectors[:2500], 1)[0][:, 0] == np.arange(2500)).mean() > 0.99


def test_readers_meanwhile() -> None:
    vectors = clustered(4000, 16, 30, 0.5)
    graph = HNSW(16)
    graph.add(np.arange(4000), vectors)
    stop = threading.Event()
    seen: list[float] = []

    def read() -> None:
        while not stop.is_set():
            rows = graph.search(vectors[:2000:10], 1, ef_search=40)[0][:, 0]
            seen.append(float((rows == np.arange(0, 2000, 10)).mean()))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    rng = np.random.default_rng(3)
    for _ in range(40):
        some = 2000 + rng.permutation(2000)[:1000]
        graph.remove(some)
        graph.add(some, vectors[some])
    stop.set()
    for reader in readers:
        reader.join()
    assert min(seen) > 0.98
    assert graph.tombstones == 0
