"""Bad input: which exception, naming what, and the index unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llamaindex_vecx.errors import (
    DimensionError,
    DuplicateIdError,
    InvalidInputError,
    NonFiniteError,
)
from llamaindex_vecx.index import HNSW, Flat

DIM = 5
GOOD = np.ones((2, DIM), np.float32)
NAN = np.full((2, DIM), np.nan)
ADD = [
    ([1, 2], np.ones((2, 4)), DimensionError, "dimension 4, the index has 5"),
    ([1, 2], NAN, NonFiniteError, "NaN or infinity in 2 of 2"),
    ([1, 2], np.full((2, DIM), 1e300), NonFiniteError, "infinity"),
    ([1, 2, 3], GOOD, InvalidInputError, "equal length, not 3 and 2"),
    ([], GOOD, InvalidInputError, "equal length, not 0 and 2"),
    ([1, 1], GOOD, DuplicateIdError, "1 twice"),
    ([0, 1], GOOD, DuplicateIdError, "0, which is in the index"),
    ([-1, 1], GOOD, InvalidInputError, "not -1"),
    ([2**31, 1], GOOD, InvalidInputError, "number rows from 0"),
    ([1.0, 2.0], GOOD, InvalidInputError, "float64"),
    ([True, False], GOOD, InvalidInputError, "bool"),
    (["1", "2"], GOOD, InvalidInputError, "whole numbers"),
    ([[1, 2]], GOOD, InvalidInputError, r"\(1, 2\)"),
    ([1, 2], "two", InvalidInputError, "vectors"),
    ([1, 2], [[1] * 5, [1] * 4], InvalidInputError, "vectors"),
    ([1], np.ones(DIM), InvalidInputError, r"shape \(n, dim\)"),
    (1, GOOD, InvalidInputError, "rows"),
]
SEARCH = [
    ({"queries": np.ones(4, np.float32), "k": 1}, DimensionError, "queries has dimension 4"),
    ({"queries": np.ones((2, 4)), "k": 1}, DimensionError, "queries has dimension 4"),
    ({"queries": NAN, "k": 1}, NonFiniteError, "queries holds NaN"),
    ({"queries": NAN.astype(np.float32), "k": 1}, NonFiniteError, "queries holds NaN"),
    ({"queries": NAN[0].astype(np.float32), "k": 1}, NonFiniteError, "queries holds NaN"),
    ({"queries": np.float32([1, 2, np.inf, 4, 5]), "k": 1}, NonFiniteError, "queries"),
    ({"queries": ["a"] * DIM, "k": 1}, InvalidInputError, "queries"),
    ({"queries": np.ones((1, 1, DIM), np.float32), "k": 1}, InvalidInputError, "queries"),
    ({"queries": None, "k": 1}, InvalidInputError, "queries"),
    ({"queries": GOOD, "k": 0}, InvalidInputError, "k must be at least 1, not 0"),
    ({"queries": GOOD, "k": -3}, InvalidInputError, "not -3"),
    ({"queries": GOOD, "k": 1.5}, InvalidInputError, "k must be a whole number"),
    ({"queries": GOOD, "k": True}, InvalidInputError, "k must be a whole number"),
    ({"queries": GOOD, "k": None}, InvalidInputError, "k must be a whole number"),
    ({"queries": GOOD, "k": 1, "ef_search": 0}, InvalidInputError, "ef_search must be at least 1"),
    ({"queries": GOOD, "k": 1, "ef_search": "64"}, InvalidInputError, "ef_search"),
    ({"queries": GOOD, "k": 1, "threads": 0}, InvalidInputError, "threads must be at least 1"),
    (
        {"queries": GOOD, "k": 1, "allowed": [True]},
        InvalidInputError,
        "allowed must be a bool array",
    ),
    ({"queries": GOOD, "k": 1, "allowed": np.ones(3)}, InvalidInputError, "not float64"),
    ({"queries": GOOD, "k": 1, "allowed": np.array([2, 1])}, InvalidInputError, "ascend"),
    ({"queries": GOOD, "k": 1, "allowed": np.array([1, 1])}, InvalidInputError, "ascend"),
    ({"queries": GOOD, "k": 1, "allowed": np.array([-1, 1])}, InvalidInputError, "not -1"),
    ({"queries": GOOD, "k": 1, "allowed": np.ones((1, 3), bool)}, InvalidInputError, r"\(1, 3\)"),
]
SETTINGS = [
    ({"dim": 0}, "dim"),
    ({"dim": 2.0}, "dim"),
    ({"dim": 2, "metric": "dot"}, "choose one of cosine, ip, l2"),
    ({"dim": 2, "metric": None}, "metric"),
    ({"dim": 2, "M": 1}, "M must lie between"),
    ({"dim": 2, "M": 10_000}, "M must lie between"),
    ({"dim": 2, "ef_construction": 0}, "ef_construction"),
    ({"dim": 2, "ef_search": -1}, "ef_search"),
    ({"dim": 2, "seed": -1}, "seed"),
    ({"dim": 2, "seed": 1.0}, "seed"),
]


@pytest.fixture(params=[Flat, HNSW])
def index(request: pytest.FixtureRequest) -> Flat | HNSW:
    index: Flat | HNSW = request.param(DIM)
    index.add([0], np.ones((1, DIM)))
    return index


@pytest.mark.parametrize(("rows", "vectors", "error", "message"), ADD)
def test_add(index: Any, rows: Any, vectors: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        index.add(rows, vectors)
    assert len(index) == 1
    assert index.search(np.ones(DIM), 3)[0].tolist() == [[0, -1, -1]]


@pytest.mark.parametrize(("arguments", "error", "message"), SEARCH)
def test_search(
    index: Any, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        index.search(**arguments)


@pytest.mark.parametrize("rows", [[True], [0.0], ["0"], [[0]], [-1], 0])
def test_remove(index: Any, rows: Any) -> None:
    with pytest.raises(InvalidInputError, match="rows must"):
        index.remove(rows)
    assert len(index) == 1


@pytest.mark.parametrize(("arguments", "message"), SETTINGS)
def test_settings(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        HNSW(**arguments)


def test_one_bad_query_in_a_batch_spoils_it_whole(index: Any) -> None:
    queries = np.ones((40, DIM), np.float32)
    queries[17, 2] = np.nan
    with pytest.raises(NonFiniteError, match="1 of 40 vectors, the first at position 17"):
        index.search(queries, 1, threads=3)


@pytest.mark.parametrize("kind", [Flat, HNSW])
def test_an_empty_index_answers_with_padding(kind: type[Flat] | type[HNSW]) -> None:
    index = kind(DIM)
    for allowed in (None, np.ones(9, bool)):
        rows, scores = index.search(np.ones((2, DIM)), 3, allowed=allowed)
        assert (rows == -1).all()
        assert (scores == -np.inf).all()
    with pytest.raises(NonFiniteError):
        index.search(NAN, 3)
    assert index.remove([1, 2]) == 0
    index.compact()
    index.add([], [])
    index.add(np.zeros(0, np.int64), np.zeros((0, DIM), np.float32))
    assert len(index) == 0


@pytest.mark.parametrize("kind", [Flat, HNSW])
def test_no_queries_no_answers(kind: type[Flat] | type[HNSW]) -> None:
    index = kind(DIM)
    index.add(np.arange(100), np.random.default_rng(0).random((100, DIM)))
    rows, scores = index.search(np.zeros((0, DIM), np.float32), 3)
    assert rows.shape == scores.shape == (0, 3)


def test_what_is_not_contiguous_or_float32_is_taken(index: Any) -> None:
    index.add(range(1, 4), np.asfortranarray(np.eye(5)[:3]))
    assert index.search([0, 1, 0, 0, 0], 1)[0].tolist() == [[2]]
    assert index.search(np.eye(5, dtype=np.float32)[::2], 1)[0].tolist()[:2] == [[1], [3]]
    assert index.search(np.eye(5).astype(np.float16)[1], 1)[0].tolist() == [[2]]
    assert index.remove(np.array([3, 3, 77], np.uint8)) == 1


def test_the_caller_keeps_its_arrays(index: Any) -> None:
    vectors = np.eye(5, dtype=np.float32)[:2] * 3
    before = vectors.copy()
    index.add([1, 2], vectors)
    index.search(vectors, 2)
    assert (vectors == before).all()
    vectors[:] = 7
    assert index.search(before[0], 1)[1][0, 0] == pytest.approx(1)
