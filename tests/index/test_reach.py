"""How far a walk goes: by the data's dimension, never worse than a beam of the same ``ef``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw.layout import DIMENSION
from llamaindex_vecx.index.hnsw.reach import reach_of
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

from .helpers import clustered, normal, recall


def built(vectors: np.ndarray, metric: str = "l2", **settings: int) -> HNSW:
    graph = HNSW(vectors.shape[1], metric, **settings)
    graph.add(np.arange(len(vectors)), vectors)
    return graph


def dimension(graph: HNSW) -> float:
    return float(graph._store.view.graph.state[DIMENSION] / 1000)


@pytest.mark.parametrize("dim", [1, 2, 4, 8])
def test_a_build_measures_the_dimension(dim: int) -> None:
    """Of what is embedded in 32, in squared distances: half of it, and less where boundaries are."""
    rng = np.random.default_rng(dim)
    turn = np.linalg.qr(rng.standard_normal((32, 32)))[0][:dim]
    points = rng.uniform(-1, 1, (6000, dim)) @ turn
    assert dimension(built(points.astype(np.float32))) == pytest.approx(dim / 2, rel=0.3)


def test_inner_products_and_few_rows_have_none() -> None:
    assert dimension(built(normal(6000, 16), "ip")) == 0
    assert dimension(built(normal(300, 16))) == 0


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 400_000))
def test_a_reach_is_a_beam_at_least_and_grows_with_ef(ef: int, k: int, dimension: int) -> None:
    ef = max(ef, k)
    rank, widening = reach_of(dimension, ef, k)
    assert k <= rank <= ef
    assert widening >= 1.0
    if dimension == 0:
        assert (rank, widening) == (ef, 1.0)
    elif ef > max(k, 10):
        assert rank == max(k, 10)
        assert reach_of(dimension, ef + 50, k)[1] > widening


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_finds_no_less_than_a_beam_where_densities_differ(metric: str) -> None:
    """Crowds and lonely rows together, the same graph with and without what it measured."""
    rng = np.random.default_rng(0)
    base = clustered(12_000, 32, clusters=40, spread=0.3)
    base[::3] += rng.standard_normal((4000, 32)).astype(np.float32)
    base, queries = base[:-300], base[-300:]
    graph, flat = built(base, metric), Flat(32, metric)
    flat.add(np.arange(len(base)), base)
    truth = flat.search(queries, 10)[0]
    state = graph._store.view.graph.state
    known = int(state[DIMENSION])
    assert known > 0
    for ef in (12, 20, 40, 80):
        found = recall(graph.search(queries, 10, ef_search=ef)[0], truth)
        state[DIMENSION] = 0
        beam = recall(graph.search(queries, 10, ef_search=ef)[0], truth)
        state[DIMENSION] = known
        assert found >= beam - 0.01


def test_copies_at_no_distance_are_no_measure_of_others() -> None:
    base = np.concatenate([normal(3000, 24), np.repeat(normal(1, 24, 9), 15, axis=0)])
    base[3000:] += 1e-7 * normal(15, 24, 4)
    graph, flat = built(base), Flat(24, "l2")
    flat.add(np.arange(len(base)), base)
    asked = base[3000:3001]
    found, truth = graph.search(asked, 30, ef_search=60)[0], flat.search(asked, 30)[0]
    assert recall(found, truth) >= 0.95
    # and the 10th at a distance that estimates can't tell from 0
    assert len({*graph.search(asked, 10, ef_search=60)[0][0]} & {*range(3000, 3015)}) == 10


def test_a_snapshot_without_the_measure_is_searched_as_hnsw_is(tmp_path: Path) -> None:
    graph = built(normal(4000, 16))
    graph.save(tmp_path / "new")
    old = read_snapshot(tmp_path / "new", kind="hnsw")
    arrays = {**old.arrays, "state": old.arrays["state"][:4]}
    write_snapshot(tmp_path / "old", kind="hnsw", params=old.params, arrays=arrays)
    queries = normal(50, 16, 2)
    for name, known in (("new", dimension(graph)), ("old", 0.0)):
        loaded, _ = HNSW.load(tmp_path / name)
        assert dimension(loaded) == known
        state = graph._store.view.graph.state
        state[DIMENSION] = 1000 * known
        for mine, theirs in zip(graph.search(queries, 5), loaded.search(queries, 5), strict=True):
            np.testing.assert_array_equal(mine, theirs)
