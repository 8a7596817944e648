"""Invariants over random records, filters and query strings, against plain Python."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.pinecone_local.data.filters import read_filter
from llamaindex_vecx.pinecone_local.data.item import Item
from llamaindex_vecx.pinecone_local.data.lucene import parse_query
from llamaindex_vecx.pinecone_local.data.namespace import Namespace
from llamaindex_vecx.pinecone_local.data.shape import Shape
from llamaindex_vecx.pinecone_local.data.sparse import SparseIndex
from llamaindex_vecx.pinecone_local.data.values import Sparse
from llamaindex_vecx.pinecone_local.errors import ApiError

SHAPE = Shape("vectors", "_values", None, 2, "cosine")

keys = st.sampled_from(["a", "b", "doc_id"])
texts = st.sampled_from(["x", "xy", "", "x" * 300, "한국어"])
scalars = st.one_of(texts, st.booleans(), st.sampled_from([0, 1, 1.5, -2, 10**12]))
values = st.one_of(scalars, st.lists(texts, max_size=3))
metadata = st.dictionaries(keys, values, max_size=3)
numbers = st.sampled_from([0, 1, 1.5, -2])


def operators() -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.builds(lambda op, value: {op: value}, st.sampled_from(["$eq", "$ne"]), scalars),
        st.builds(
            lambda op, some: {op: some},
            st.sampled_from(["$in", "$nin"]),
            st.lists(scalars, min_size=1, max_size=3),
        ),
        st.builds(
            lambda op, value: {op: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers
        ),
        st.builds(lambda value: {"$exists": value}, st.booleans()),
    )


conditions = st.recursive(
    st.dictionaries(keys, st.one_of(scalars, operators()), min_size=1, max_size=2),
    lambda inner: st.builds(
        lambda op, parts: {op: parts},
        st.sampled_from(["$and", "$or"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)


def same(held: Any, wanted: Any) -> bool:
    """Equal and of one type: true is not 1."""
    return isinstance(held, bool) == isinstance(wanted, bool) and held == wanted


def holds(condition: dict[str, Any], record: dict[str, Any]) -> bool:
    return all(
        all(holds(part, record) for part in operand)
        if key == "$and"
        else any(holds(part, record) for part in operand)
        if key == "$or"
        else compares(record, key, operand if isinstance(operand, dict) else {"$eq": operand})
        for key, operand in condition.items()
    )


def compares(record: dict[str, Any], key: str, condition: dict[str, Any]) -> bool:
    ((operator, wanted),) = condition.items()
    held = record.get(key)
    elements = held if isinstance(held, list) else [] if held is None else [held]
    if operator == "$exists":
        return (key in record) is wanted
    if operator in ("$eq", "$ne", "$in", "$nin"):
        some = wanted if isinstance(wanted, list) else [wanted]
        found = any(same(element, value) for element in elements for value in some)
        return found is (operator in ("$eq", "$in"))
    if isinstance(held, bool) or not isinstance(held, (int, float)):
        return False
    return {
        "$gt": held > wanted,
        "$gte": held >= wanted,
        "$lt": held < wanted,
        "$lte": held <= wanted,
    }[operator]


@settings(deadline=None, max_examples=60)
@given(st.lists(metadata, min_size=1, max_size=12), st.lists(conditions, min_size=1, max_size=4))
def test_filters_mean_what_plain_python_says(
    records: list[dict[str, Any]], asked: list[dict[str, Any]]
) -> None:
    with Collection.open(None, index="flat", dim=2, metric="cosine") as collection:
        namespace = Namespace(collection, SHAPE)
        vector = np.ones(2, np.float32)
        namespace.put([Item(str(i), vector, None, held) for i, held in enumerate(records)])
        for condition in asked:
            rows = namespace.select(read_filter(condition))
            found = {item.id for _, item in namespace.items(rows, vectors=False)}
            assert found == {str(i) for i, held in enumerate(records) if holds(condition, held)}, (
                condition
            )


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet='ab:()"^~*+-\\!& ANDORNT.5\t', max_size=40))
def test_a_query_string_is_read_or_refused(text: str) -> None:
    with suppress(ApiError):  # any other exception would be a 500
        parse_query(text, {"a": {}, "b": {}})


vectors = st.dictionaries(st.integers(0, 8), st.floats(-2, 2, width=32), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(st.lists(vectors, max_size=15), st.sets(st.integers(0, 14)), vectors)
def test_sparse_scores_are_inner_products_whatever_was_removed(
    held: list[dict[int, float]], removed: set[int], query: dict[int, float]
) -> None:
    index = SparseIndex()
    for row, vector in enumerate(held):
        index.add(row, as_sparse(vector))
    index.remove(removed)
    index._compact()
    for row in range(len(held), len(held) + 2):
        index.add(row, as_sparse(query))
    rows, scores = index.scores(as_sparse(query))
    everything = {row: vector for row, vector in enumerate(held) if row not in removed}
    everything |= {len(held): query, len(held) + 1: query}
    expected = {
        row: sum(vector.get(at, 0.0) * weight for at, weight in query.items())
        for row, vector in everything.items()
        if set(vector) & set(query)
    }
    assert dict(zip(rows.tolist(), scores.tolist(), strict=True)) == pytest.approx(
        expected, abs=1e-5
    )


def as_sparse(vector: dict[int, float]) -> Sparse:
    return Sparse(np.array(list(vector), np.int64), np.array(list(vector.values()), np.float32))
