"""A recall instead of a number of candidates: measured, reached, kept, measured again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.errors import DamagedSnapshotError, InvalidInputError
from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw.layout import vectors_of
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

from .helpers import METRICS, clustered, normal, recall


@pytest.fixture(scope="module")
def pair() -> tuple[HNSW, Flat, np.ndarray]:
    """Data hard enough that few candidates find too little, and queries from the same source."""
    points = normal(5300, 32)
    graph, flat = HNSW(32, "l2", M=8, ef_construction=60), Flat(32, "l2")
    for index in (graph, flat):
        index.add(np.arange(5000), points[:5000])
    return graph, flat, points[5000:]


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95, 0.99])
def test_a_target_is_reached_on_queries_that_were_never_in_the_index(
    pair: tuple[HNSW, Flat, np.ndarray], target: float
) -> None:
    graph, flat, queries = pair
    ef = graph._calibration.ef(graph._store, 10, target)
    found = np.concatenate([graph.search(query, 10, target_recall=target)[0] for query in queries])
    assert target - 0.015 <= recall(found, flat.search(queries, 10)[0])
    if target <= 0.9:  # not by looking at everything
        assert ef < 200
        fewer = np.concatenate([graph.search(query, 10, ef_search=ef // 3)[0] for query in queries])
        assert recall(fewer, flat.search(queries, 10)[0]) < target


@given(st.floats(0.5, 0.999), st.floats(0.5, 0.999), st.integers(1, 100))
@settings(deadline=None)
def test_more_recall_takes_no_fewer_candidates(
    pair: tuple[HNSW, Flat, np.ndarray], one: float, other: float, k: int
) -> None:
    graph, _, _ = pair
    low, high = (graph._calibration.ef(graph._store, k, target) for target in sorted((one, other)))
    assert 10 <= low <= high


def test_queries_of_the_callers_own_count_instead(pair: tuple[HNSW, Flat, np.ndarray]) -> None:
    graph, _, queries = pair
    held_out = graph._calibration.ef(graph._store, 10, 0.9)
    graph.calibrate(np.asarray(graph_rows(graph, 200)))  # nearest to each is itself: that is easy
    assert graph._calibration.ef(graph._store, 10, 0.9) < held_out
    graph.calibrate()
    assert graph._calibration.ef(graph._store, 10, 0.9) == held_out
    with pytest.raises(InvalidInputError, match="queries"):
        graph.calibrate(queries[:, :5])


def graph_rows(graph: HNSW, count: int) -> np.ndarray:
    return vectors_of(graph._store.view.graph, np.arange(count), graph.dim)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [3, 128, 200])
def test_codes_and_residuals_give_the_vectors_back(metric: str, dim: int) -> None:
    base = normal(300, dim)
    graph = HNSW(dim, metric)
    graph.add(np.arange(300), base)
    back = graph_rows(graph, 300)
    assert back == pytest.approx(graph.metric.prepare(base), abs=1e-6)


def test_it_is_measured_again_when_the_index_has_doubled_and_kept_in_snapshots(
    tmp_path: Path,
) -> None:
    base = clustered(6000, 16, 20, 0.5)
    graph = HNSW(16, M=6, ef_construction=40, target_recall=0.9)
    graph.add(np.arange(400), base[:400])
    graph.search(base[0], 5)
    assert graph._calibration.table is None  # so few need none
    assert not graph.due
    graph.add(np.arange(400, 2500), base[400:2500])
    assert graph.due
    assert graph.improve()
    assert not graph.due
    assert not graph.improve()
    table = graph._calibration.table
    assert table is not None
    assert table[0, 0] == 2500
    graph.save(tmp_path / "it")
    loaded, _ = HNSW.load(tmp_path / "it")
    assert loaded.target_recall == 0.9
    assert (loaded._calibration.table == table).all()
    loaded.add(np.arange(2500, 6000), base[2500:])
    loaded.search(base[0], 5)
    assert loaded._calibration.table is not None
    assert loaded._calibration.table[0, 0] == 6000
    loaded.remove(np.arange(4000))
    assert loaded.due


def test_a_snapshot_from_before_is_read_and_a_table_that_is_none_is_damage(tmp_path: Path) -> None:
    graph = HNSW(16)
    graph.add(np.arange(2500), normal(2500, 16))
    graph.calibrate()
    graph.save(tmp_path / "it")
    snapshot = read_snapshot(tmp_path / "it", kind="hnsw")
    arrays, params = dict(snapshot.arrays), dict(snapshot.params)
    table = arrays.pop("calibration")
    params.pop("target_recall")
    write_snapshot(tmp_path / "old", kind="hnsw", params=params, arrays=arrays, stamp=None)
    old, _ = HNSW.load(tmp_path / "old")
    assert old.target_recall is None
    assert old._calibration.table is None
    for wrong in (table[::-1], table[:1], table.astype(np.float32), table * np.nan):
        arrays["calibration"] = np.ascontiguousarray(wrong)
        write_snapshot(tmp_path / "bad", kind="hnsw", params=params, arrays=arrays, stamp=None)
        with pytest.raises(DamagedSnapshotError, match="recall"):
            HNSW.load(tmp_path / "bad")


@pytest.mark.parametrize("wrong", [0, 1, 1.0, 95, -0.5, True, "0.95", float("nan")])
def test_a_target_that_is_none(wrong: object) -> None:
    with pytest.raises(InvalidInputError, match="target_recall"):
        HNSW(4, target_recall=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="target_recall"):
        HNSW(4).search(np.ones(4), 1, target_recall=wrong)  # type: ignore[arg-type]


def test_a_target_and_candidates_contradict_each_other() -> None:
    with pytest.raises(InvalidInputError, match=r"ef_search=100 and target_recall=0\.9"):
        HNSW(4, ef_search=100, target_recall=0.9)
    index = HNSW(4, target_recall=0.9)
    index.add([0], np.ones((1, 4)))
    with pytest.raises(InvalidInputError, match="not both"):
        index.search(np.ones(4), 1, ef_search=10, target_recall=0.9)
    assert index.search(np.ones(4), 1, ef_search=10)[0].tolist() == [[0]]
    assert HNSW(4, target_recall=0.9).search(np.ones(4), 1)[0].tolist() == [[-1]]
