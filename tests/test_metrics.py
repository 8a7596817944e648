from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llamaindex_vecx.errors import DimensionError, InvalidInputError, NonFiniteError
from llamaindex_vecx.metrics import METRICS, as_metric, check_vectors

blocks = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.just(3)),
    elements=st.floats(-100, 100, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def naive(name: str, a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    if name == "ip":
        return float(a @ b)
    if name == "l2":
        return float(1 / (1 + np.linalg.norm(a - b)))
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else 0.0


@given(blocks, blocks, st.sampled_from(METRICS))
def test_similarity_is_the_textbook_one(queries, vectors, name):
    metric = as_metric(name)
    distances = metric.distances(metric.prepare(queries), metric.prepare(vectors))
    similarity = metric.similarity(distances)
    assert distances.dtype == similarity.dtype == np.float32
    expected = [[naive(name, query, vector) for vector in vectors] for query in queries]
    # |a - b|² by dot products loses digits where a and b are close: about sqrt(eps) * |a|
    tolerance = 0.15 if name == "l2" else 1e-5
    if name == "ip":  # and products of opposite signs cancel: about eps * |a| * |b|
        lengths = [np.linalg.norm(block, axis=1) for block in (queries, vectors)]
        tolerance += 1e-6 * np.multiply.outer(*lengths)
    assert np.isclose(similarity, expected, rtol=1e-4, atol=tolerance).all()


@given(blocks, blocks, st.sampled_from(METRICS))
def test_smaller_distance_is_higher_similarity(queries, vectors, name):
    metric = as_metric(name)
    distances = metric.distances(metric.prepare(queries), metric.prepare(vectors)).ravel()
    order = np.argsort(distances, kind="stable")
    assert (np.diff(metric.similarity(distances)[order]) <= 0).all()


def test_a_zero_vector_under_cosine_is_zero_from_everything():
    cosine = as_metric("cosine")
    prepared = cosine.prepare(np.array([[0, 0], [3, 4]], dtype=np.float32))
    np.testing.assert_allclose(prepared, [[0, 0], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(cosine.similarity(cosine.distances(prepared, prepared))[0], [0, 0])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_cosine_of_tiny_and_huge_vectors(scale):
    prepared = as_metric("cosine").prepare(np.array([[scale, 0], [scale, scale]], dtype=np.float32))
    np.testing.assert_allclose(np.linalg.norm(prepared, axis=1), 1, rtol=1e-6)


def test_an_unknown_metric_names_the_known():
    with pytest.raises(InvalidInputError, match="'manhattan'.*cosine, ip, l2"):
        as_metric("manhattan")


@pytest.mark.parametrize(
    ("value", "error", "named"),
    [
        ([[1, 2, 3]], DimensionError, "dimension 3, the index has 2"),
        ([1, 2], InvalidInputError, r"\(2,\)"),
        ([[[1, 2]]], InvalidInputError, r"\(1, 1, 2\)"),
        ([["a", "b"]], InvalidInputError, "numbers"),
        ([[1, 2], [3]], InvalidInputError, "numbers"),
        ([[1, np.nan]], NonFiniteError, "1 of 1 vectors, the first at position 0"),
        ([[1, 2], [np.inf, 0]], NonFiniteError, "position 1"),
        (np.array([[1e300, 0]]), NonFiniteError, "infinity"),
        (np.empty((0, 0)), InvalidInputError, r"\(0, 0\)"),
    ],
)
def test_check_vectors_names_what_is_wrong(value, error, named):
    with pytest.raises(error, match=named):
        check_vectors(value, dim=2)


def test_check_vectors_lets_through_what_is_large_but_finite_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        large = np.full((2, 300), 1e30, np.float32)
        assert check_vectors(large) is large
        with pytest.raises(NonFiniteError, match="1 of 2 vectors, the first at position 1"):
            check_vectors([[1e30, 1.0], [np.inf, -np.inf]])
