"""Flat against the definition, written in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from llamaindex_vecx.index import Flat

from .helpers import METRICS, normal

values = st.floats(-100, 100, width=32).map(lambda x: 0.0 if abs(x) < 1e-3 else x)


def naive(metric: str, query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    query, vectors = query.astype(np.float64), vectors.astype(np.float64)
    if metric == "ip":
        return vectors @ query
    if metric == "l2":
        return 1 / (1 + np.sqrt(((vectors - query) ** 2).sum(1)))
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
    return np.divide(vectors @ query, lengths, out=np.zeros(len(vectors)), where=lengths > 0)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), metric=st.sampled_from(METRICS), dim=st.integers(1, 70))
def test_finds_the_k_nearest_allowed(data: st.DataObject, metric: str, dim: int) -> None:
    n = data.draw(st.integers(0, 30))
    vectors = data.draw(hnp.arrays(np.float32, (n, dim), elements=values))
    query = data.draw(hnp.arrays(np.float32, dim, elements=values))
    rows = np.array(data.draw(st.permutations(range(5, 5 + 2 * n)))[:n], np.int64)
    k = data.draw(st.integers(1, 40))
    allowed = data.draw(st.none() | hnp.arrays(np.bool_, st.integers(0, 80)))

    index = Flat(dim, metric)
    index.add(rows, vectors)
    found, scores = index.search(query, k, allowed=allowed)
    if allowed is not None:
        again = index.search(query, k, allowed=np.flatnonzero(allowed))
        assert np.array_equal(found, again[0])
        assert np.array_equal(scores, again[1])

    truth = dict(zip(rows.tolist(), naive(metric, query, vectors), strict=True))
    if allowed is not None:
        truth = {row: s for row, s in truth.items() if row < len(allowed) and allowed[row]}
    best = sorted(truth.values(), reverse=True)[:k]
    count = len(best)
    assert found.shape == scores.shape == (1, k)
    assert (found[0, count:] == -1).all()
    assert (scores[0, count:] == -np.inf).all()
    scale = 1.0
    if metric == "ip":
        scale += float(np.abs(vectors).max(initial=0) * np.abs(query).max()) * dim
    assert scores[0, :count] == pytest.approx(best, abs=2e-5 * scale)
    for row, score in zip(found[0, :count].tolist(), scores[0, :count], strict=True):
        assert truth[row] == pytest.approx(score, abs=2e-5 * scale)
    assert len(set(found[0, :count].tolist())) == count


@pytest.mark.parametrize("metric", METRICS)
def test_ties_come_by_row(metric: str) -> None:
    index = Flat(3, metric)
    index.add([9, 2, 5, 7], np.ones((4, 3)))
    assert index.search(np.ones(3, np.float32), 3)[0].tolist() == [[2, 5, 7]]


def test_a_vector_nearly_equal_to_the_query_keeps_its_distance() -> None:
    # |a|² + |b|² - 2ab in float32 would lose this difference
    index = Flat(4, "l2")
    index.add([0], np.full((1, 4), 100.0))
    query = np.full(4, 100.0, np.float32)
    query[0] += 1e-3
    _, scores = index.search(query, 1)
    assert scores[0, 0] == pytest.approx(1 / (1 + (query[0] - 100.0)), rel=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_threads_give_what_one_gives(metric: str) -> None:
    index = Flat(20, metric)
    index.add(np.arange(700), normal(700, 20))
    queries = normal(90, 20, seed=1)
    rows, scores = index.search(queries, 7)
    threaded, threaded_scores = index.search(queries, 7, threads=4)
    assert (rows == threaded).all()
    assert (scores == threaded_scores).all()


def test_removing_most_rows_drops_their_vectors() -> None:
    index = Flat(8)
    index.add(np.arange(500), normal(500, 8))
    assert index.remove(np.arange(0, 400)) == 400
    assert len(index._store.vectors) == 100
    assert index.search(normal(3, 8), 200)[0].max() == 499
    assert len(index) == 100
