"""Other vectors come in the place of removed ones: none of what stands is lost, nothing removed is met."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw import store
from llamaindex_vecx.index.hnsw.layout import lists_of

from .helpers import METRICS, clustered, normal, recall, score_recall


@pytest.fixture(autouse=True, scope="module")
def _wherever() -> Iterator[None]:
    """A graph mends itself on any data here, the hard kinds too, where it leaves removed nodes otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.Store, "_mends", lambda self, graph: True)
        yield


def standing(index: HNSW) -> np.ndarray:
    """Slots with lists that stand for a row, their own or a twin's: not by the kernels."""
    view = index._store.view
    rows, twins = view.graph.rows[: view.size], view.graph.twins[: view.size]
    heads = np.setdiff1d(np.arange(view.size), twins[twins >= 0])
    found = []
    for head in heads.tolist():
        slot = head
        while slot >= 0 and rows[slot] < 0:
            slot = twins[slot]
        if slot >= 0:
            found.append(head)
    return np.array(found, np.int64)


def removed_in_lists(index: HNSW) -> int:
    """How often a node that stands lists one that doesn't, on any level; and an entry point that doesn't."""
    graph = index._store.view.graph
    stands = standing(index)
    words = graph.blocks.view(np.int32)[:, lists_of(index.dim, index.M)]
    lists = [words[slot] for slot in stands]
    for slot in stands:
        start = graph.first[slot]
        lists += list(graph.upper[start : start + graph.levels[slot]])
    entry = int(graph.state[0]) >> 8
    met = [slot for one in lists for slot in one[1 : 1 + one[0]]] + [entry]
    return int((~np.isin(met, stands)).sum())


def own(index: HNSW, rows: np.ndarray, vectors: np.ndarray, ef: int = 64) -> float:
    """How many rows are found by their own vectors, or another as good."""
    flat = Flat(index.dim, index.metric)
    flat.add(rows, vectors)
    scores = index.search(vectors, 1, ef_search=ef)[1]
    return float((scores >= flat.search(vectors, 1)[1] - 1e-4).mean())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_nothing_removed_is_listed_once_others_have_come(
    metric: str, threads: int, share: float
) -> None:
    both = clustered(4500, 24, 20, 0.5)
    base, others = both[:3000], both[3000:]
    gone = np.random.default_rng(2).permutation(3000)[: int(3000 * share)]
    rows = np.arange(3000, 3000 + len(gone))
    index, flat = HNSW(24, metric), Flat(24, metric)
    for one in (index, flat):
        one.add(np.arange(3000), base)
        one.remove(gone)
    assert removed_in_lists(index)
    index.add(rows, others[: len(gone)], threads=threads)
    flat.add(rows, others[: len(gone)])
    assert removed_in_lists(index) == 0
    view = index._store.view
    assert view.parted == index.tombstones == len(gone)
    asked = both[::20] + 0.1 * normal(225, 24, 3)
    truth = flat.search(asked, 10)[0]
    kept = np.setdiff1d(np.arange(3000), gone)
    fresh = HNSW(24, metric)
    fresh.add(np.r_[kept, rows], np.concatenate([base[kept], others[: len(gone)]]))
    found, expected = (recall(one.search(asked, 10)[0], truth) for one in (index, fresh))
    assert found >= expected - 0.02


def test_few_removed_nodes_stay_passages() -> None:
    base = normal(2000, 16)
    index = HNSW(16)
    index.add(np.arange(1000), base[:1000])
    index.remove(np.arange(20))
    index.add(np.arange(1000, 1100), base[1000:1100])
    assert index._store.view.parted == 0
    assert removed_in_lists(index)
    words = index._store.view.graph.blocks.view(np.int32)[:, lists_of(16, 16)]
    for slot in range(1000, 1100):  # but what has come has chosen none of them
        assert words[slot, 1 : 1 + words[slot, 0]].min() >= 20
    index.remove(np.arange(20, 40))
    index.add([3000], base[1500:1501])
    assert index._store.view.parted == 40
    assert removed_in_lists(index) == 0


def equal(vectors: np.ndarray) -> np.ndarray:
    return np.repeat(vectors[:1], len(vectors), axis=0)


def near(vectors: np.ndarray) -> np.ndarray:
    return vectors + 1e-3 * normal(*vectors.shape, seed=8)


def reordered(vectors: np.ndarray) -> np.ndarray:
    return vectors[::-1].copy()


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("replace", [equal, near, reordered])
@pytest.mark.parametrize("share", [1.0, 0.999, 0.2, 0.03])
def test_whole_regions_are_replaced(
    metric: str, replace: Callable[[np.ndarray], np.ndarray], share: float
) -> None:
    """The nearest of a row, up to all of them: what comes finds nothing but removed nodes near."""
    base = clustered(2000, 16, 10, 0.3)
    index, flat = HNSW(16, metric), Flat(16, metric)
    for one in (index, flat):
        one.add(np.arange(2000), base)
    vectors = dict(enumerate(base))
    for turn in range(3):
        some = flat.search(vectors[min(vectors)][None], int(2000 * share))[0][0]
        fresh = replace(np.array([vectors.pop(row) for row in some]))
        rows = np.arange(len(some)) + 2000 * (turn + 1)
        for one in (index, flat):
            one.remove(some)
            one.add(rows, fresh)
        vectors |= dict(zip(rows.tolist(), fresh, strict=True))
        there = np.array(list(vectors))
        assert own(index, there, np.array(list(vectors.values()))) >= 0.998
        asked = np.array([vectors[row] for row in there[:: len(there) // 100]])
        scores, truth = (one.search(asked, 10)[1] for one in (index, flat))
        assert score_recall(scores, truth, 1e-4) >= 0.97


CENTRES = 3 * normal(6, 8, 5)


def around(place: int, count: int, seed: int, tight: bool) -> np.ndarray:
    return (CENTRES[place] + (0.01 if tight else 0.5) * normal(count, 8, seed)).astype(np.float32)


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("add"), st.integers(0, 5), st.integers(1, 150), st.booleans(), st.integers(1, 2)
        ),
        st.tuples(st.just("cluster"), st.integers(0, 5)),
        st.tuples(st.just("some"), st.integers(0, 99), st.sampled_from([0.02, 0.3, 0.9])),
        st.tuples(st.just("all but"), st.integers(0, 3)),
        st.tuples(st.just("return"), st.integers(1, 60)),
        st.tuples(st.just("equal"), st.integers(1, 60)),
        st.tuples(st.just("load")),
    ),
    min_size=1,
    max_size=8,
)


@given(STEPS, st.sampled_from(["cosine", "l2"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_of_updates(steps: list[tuple], metric: str) -> None:
    index, flat = HNSW(8, metric), Flat(8, metric)
    rows: dict[int, np.ndarray] = {}
    places: dict[int, int] = {}
    gone: list[np.ndarray] = []
    last = 0

    def add(vectors: np.ndarray, place: int, threads: int = 1) -> None:
        nonlocal last
        numbers = np.arange(last, last + len(vectors))
        last += len(vectors)
        index.add(numbers, vectors, threads=threads)
        flat.add(numbers, vectors)
        rows.update(zip(numbers.tolist(), vectors, strict=True))
        places.update(dict.fromkeys(numbers.tolist(), place))

    def remove(numbers: list[int]) -> None:
        assert index.remove(numbers) == len(numbers)
        flat.remove(numbers)
        gone.extend(rows.pop(number) for number in numbers)

    for place in range(6):
        add(around(place, 100, place, tight=False), place)
    for number, step in enumerate(steps):
        if step[0] == "add":
            add(around(step[1], step[2], 100 + number, step[3]), step[1], step[4])
        elif step[0] == "cluster":
            remove([row for row in rows if places[row] == step[1]])
        elif step[0] == "some":
            drawn = np.random.default_rng(step[1]).random(last) < step[2]
            remove([row for row in rows if drawn[row]])
        elif step[0] == "all but":
            remove(list(rows)[step[1] :])
        elif step[0] == "return" and gone:
            add(np.array([gone.pop() for _ in range(min(step[1], len(gone)))]), 0)
        elif step[0] == "equal" and gone:
            add(np.repeat(gone[-1][None], step[1], axis=0), 0)
        elif step[0] == "load":
            with TemporaryDirectory() as folder:
                index.save(Path(folder) / "it")
                index = HNSW.load(Path(folder) / "it")[0]
        assert len(index) == len(rows)
        if not rows:
            continue
        there, vectors = np.array(list(rows)), np.array(list(rows.values()))
        if index._store.view.parted == index.tombstones > 0:
            assert removed_in_lists(index) == 0
        assert (
            own(index, there, vectors) >= 0.995
        )  # a fresh graph finds all of nearly all such rows
        scores, truth = (one.search(vectors[::7], 10)[1] for one in (index, flat))
        assert score_recall(scores, truth, 1e-4) >= 0.95


@pytest.mark.parametrize("parted", [False, True])
def test_a_snapshot_goes_on_where_it_was(parted: bool, tmp_path: Path) -> None:
    base = clustered(3000, 16, 20, 0.5)
    index = HNSW(16)
    index.add(np.arange(1500), base[:1500])
    index.remove(np.arange(600 if parted else 30))
    index.add(np.arange(1500, 1600), base[1500:1600])
    index.save(tmp_path / "it")
    loaded = HNSW.load(tmp_path / "it")[0]
    assert loaded._store.view.parted == index._store.view.parted == (600 if parted else 0)
    asked = base[600:1600:10]
    for one, other in zip(loaded.search(asked, 10), index.search(asked, 10), strict=True):
        assert np.array_equal(one, other)
    loaded.remove(np.arange(1000, 1300))
    loaded.add(np.arange(2000, 3000), base[2000:])
    assert removed_in_lists(loaded) == 0
    there = np.r_[600:1000, 1300:1600, 2000:3000]
    assert own(loaded, there, base[there]) == 1


def test_all_are_replaced_and_the_add_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base = normal(400, 16)
    index = HNSW(16)
    index.add(np.arange(200), base[:200])
    index.remove(np.arange(200))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "_link", interrupted)
        with pytest.raises(KeyboardInterrupt):
            index.add(np.arange(200), base[200:])
    index.save(tmp_path / "it")
    for one in (index, HNSW.load(tmp_path / "it")[0]):
        assert len(one) == 0
        assert (one.search(base[:3], 2)[0] == -1).all()
        one.add(np.arange(200), base[200:])
        assert (one.search(base[200:], 1)[0][:, 0] == np.arange(200)).all()


def test_what_returns_after_others_have_come_is_found_beside_them() -> None:
    base = clustered(2000, 16, 20, 0.3)
    index = HNSW(16)
    index.add(np.arange(2000), base)
    some = index.search(base[:1], 50)[0][0]  # few, so they stay passages
    index.remove(some)
    others = near(base[some])
    index.add(np.arange(3000, 3050), others)
    index.add(some, base[some])
    assert own(index, some, base[some]) == 1
    assert (index.search(others, 1, ef_search=100)[0][:, 0] == np.arange(3000, 3050)).all()


def test_twins_of_a_removed_node() -> None:
    """One that stands for others stays; when none is left, equal vectors don't hang on it."""
    base = normal(300, 16)
    copies = np.repeat(base[:1], 30, axis=0)
    index = HNSW(16)
    index.add(np.arange(300), base)
    index.add(np.arange(300, 330), copies)
    index.remove(np.arange(100))
    index.add(np.arange(400, 450), normal(50, 16, 3))
    assert removed_in_lists(index) == 0
    found = index.search(base[:1], 30)[0][0]
    assert sorted(found.tolist()) == list(range(300, 330))
    index.remove(np.arange(300, 330))
    index.add(np.arange(500, 520), np.concatenate([normal(10, 16, 4), copies[:10]]))
    assert sorted(index.search(base[:1], 10)[0][0].tolist()) == list(range(510, 520))


def test_readers_meanwhile() -> None:
    base = clustered(9000, 16, 30, 0.5)
    index = HNSW(16)
    index.add(np.arange(3000), base[:3000])
    stop = threading.Event()
    seen: list[float] = []
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            rows = index.search(base[:1000:10], 5, ef_search=40)[0]
            seen.append(float((rows[:, 0] == np.arange(0, 1000, 10)).mean()))
            wrong.append(int((rows < 0).sum()))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for start in range(1000, 7000, 500):
        index.remove(np.arange(start, start + 500))
        index.add(np.arange(start + 2000, start + 2500), base[start + 2000 : start + 2500])
    stop.set()
    for reader in readers:
        reader.join()
    assert min(seen) > 0.97
    assert not any(wrong)
    assert removed_in_lists(index) == 0
