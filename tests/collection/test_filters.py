"""Filters against LlamaIndex's own function, asked row by row."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from llamaindex_vecx.collection.filters import evaluate
from llamaindex_vecx.collection.metadata import DOCUMENT_KEYS, MetadataIndex
from llamaindex_vecx.errors import FilterError
from tests.collection.making import one

KEYS = ("a", "b", "ключ", "doc_id")


def naive(filters: MetadataFilters, metadata: dict[str, Any]) -> bool:
    """The reference, one filter at a time; what it can't compare does not match; filters nest."""
    results = []
    for item in filters.filters:
        if isinstance(item, MetadataFilters):
            results.append(naive(item, metadata))
            continue
        holds = build_metadata_filter_fn(lambda _: metadata, MetadataFilters(filters=[item]))
        try:
            results.append(bool(holds("row")))
        except TypeError:
            results.append(False)
    if not results:
        return True
    if filters.condition == FilterCondition.OR:
        return any(results)
    if filters.condition == FilterCondition.NOT:
        return not any(results)
    return all(results)


def read_back(value: Any) -> Any:
    """As from the database: a NaN is never the object that a filter holds, which ``in`` would find."""
    if isinstance(value, list):
        return [read_back(item) for item in value]
    if isinstance(value, dict):
        return {key: read_back(item) for key, item in value.items()}
    return float("nan") if value != value else value


def seen_by_filters(metadata: dict[str, Any], ref: str | None) -> dict[str, Any]:
    return {**dict.fromkeys(DOCUMENT_KEYS, ref), **read_back(metadata)}


texts = st.sampled_from(["", "a", "ab", "B", "b", "가나", "é", "Straße", "STRASSE", "x\0y", "1"])
numbers = st.one_of(
    st.integers(-2, 3),
    st.sampled_from(
        [0.5, 1.0, -0.0, math.inf, -math.inf, math.nan, 2**53, 2**53 + 1, 10**400, 1e300]
    ),
)
scalars = st.one_of(texts, numbers, st.booleans())
values = st.recursive(
    st.one_of(scalars, st.none()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
metadata = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
rows = st.tuples(metadata, st.sampled_from([None, "doc1", "a"]))

O = FilterOperator  # noqa: E741
plain = st.tuples(st.sampled_from([O.EQ, O.NE]), st.one_of(scalars, st.none(), st.lists(scalars)))
ordered = st.tuples(st.sampled_from([O.GT, O.GTE, O.LT, O.LTE, O.CONTAINS]), scalars)
several = st.tuples(st.sampled_from([O.IN, O.NIN]), st.lists(scalars, max_size=3))
inside = st.tuples(
    st.sampled_from([O.ANY, O.ALL]), st.lists(texts, max_size=3) | st.lists(numbers, max_size=3)
)
textual = st.tuples(st.sampled_from([O.TEXT_MATCH, O.TEXT_MATCH_INSENSITIVE]), texts)
empty = st.tuples(st.just(O.IS_EMPTY), st.none())
leaf = st.builds(
    lambda key, rule: MetadataFilter.model_construct(key=key, operator=rule[0], value=rule[1]),
    st.sampled_from([*KEYS, "ref_doc_id"]),
    st.one_of(plain, ordered, several, inside, textual, empty),
)
conditions = st.sampled_from([*FilterCondition, None])


def combine(children: st.SearchStrategy[Any]) -> st.SearchStrategy[MetadataFilters]:
    return st.builds(
        lambda items, condition: MetadataFilters.model_construct(
            filters=items, condition=condition
        ),
        st.lists(children, max_size=3),
        conditions,
    )


trees = combine(st.recursive(leaf, combine, max_leaves=6))


@settings(max_examples=1500, deadline=None)
@given(st.lists(rows, max_size=6), trees)
def test_any_filter_selects_what_the_reference_selects(held, filters) -> None:
    index = MetadataIndex()
    index.add(range(len(held)), [data for data, _ in held], [ref for _, ref in held])
    expected = {
        row for row, (data, ref) in enumerate(held) if naive(filters, seen_by_filters(data, ref))
    }
    assert set(evaluate(filters, index)) == expected


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_filters_stay_right_while_rows_come_and_go(data: st.DataObject) -> None:
    index = MetadataIndex()
    held: dict[int, tuple[dict[str, Any], str | None]] = {}
    following = 0
    for _ in range(data.draw(st.integers(1, 6))):
        new = data.draw(st.lists(rows, max_size=4))
        numbered = range(following, following + len(new))
        index.add(numbered, [item for item, _ in new], [ref for _, ref in new])
        held.update(zip(numbered, new, strict=True))
        following += len(new)
        if held:
            gone = data.draw(st.lists(st.sampled_from(sorted(held)), max_size=3, unique=True))
            index.remove([*gone, following + 100])
            for row in gone:
                del held[row]
        if data.draw(st.booleans()):
            index = MetadataIndex.from_arrays(index.arrays())
        filters = data.draw(trees)
        assert set(evaluate(filters, index)) == {
            row for row, (item, ref) in held.items() if naive(filters, seen_by_filters(item, ref))
        }
        assert set(index.alive) == set(held)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-50, 50), st.floats(-50, 50), st.just(math.nan)), max_size=900),
    st.lists(st.sampled_from("abcdef"), max_size=300),
    st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]),
    st.randoms(use_true_random=False),
    st.sampled_from([">", ">=", "<", "<="]),
    st.one_of(st.integers(-50, 50), st.floats(-50, 50), st.sampled_from("abcdef")),
)
def test_ranges_hold_for_what_came_before_and_after_the_sorting(
    numbers_, letters, part, random, operator, bound
) -> None:
    held = [*numbers_, *letters]
    random.shuffle(held)
    index = MetadataIndex()
    filters = one("a", FilterOperator(operator), bound)

    def check(n: int) -> None:
        expected = {i for i in range(n) if naive(filters, {"a": held[i]})}
        assert set(evaluate(filters, index)) == expected

    before = int(part * len(held))
    index.add(range(before), [{"a": value} for value in held[:before]], [None] * before)
    check(before)
    rest = range(before, len(held))
    index.add(rest, [{"a": held[i]} for i in rest], [None] * len(rest))
    check(len(held))


def test_the_sweep_keeps_what_is_alive() -> None:
    index = MetadataIndex()
    n = 4000
    index.add(range(n), [{"n": i, "tags": [i % 3], "s": str(i % 7)} for i in range(n)], ["doc"] * n)
    index.remove(range(0, n, 2))  # far more than a quarter: the columns drop them
    assert len(index) == n // 2
    assert set(evaluate(one("n", O.LT, 10), index)) == {1, 3, 5, 7, 9}
    assert set(evaluate(one("tags", O.CONTAINS, 0), index)) == set(range(3, n, 6))
    assert len(index.arrays()["rows"]) < 10 * n


@pytest.mark.parametrize(
    ("operator", "value", "remedy"),
    [
        (O.IN, "abc", "use == for one value"),
        (O.IN, None, "use == for one value"),
        (O.NIN, 5, "use != for one value"),
        (O.GT, ["a"], "give one value"),
        (O.LTE, None, "give one value"),
        (O.ANY, "abc", "use contains"),
        (O.ALL, 3, "use contains"),
        (O.CONTAINS, ["a"], "use any or all"),
        (O.CONTAINS, None, "use any or all"),
        (O.TEXT_MATCH, 5, "use == for numbers"),
        (O.TEXT_MATCH_INSENSITIVE, ["a"], "use == for numbers"),
    ],
)
def test_a_value_that_the_operator_cannot_take_is_named(operator, value, remedy) -> None:
    filters = MetadataFilters.model_construct(
        filters=[one("ok", O.EQ, 1), one("año", operator, value)], condition=None
    )
    with pytest.raises(FilterError) as caught:
        evaluate(filters, MetadataIndex())
    message = str(caught.value)
    assert "'año'" in message
    assert repr(operator.value) in message
    assert type(value).__name__ in message
    assert remedy in message


@pytest.mark.parametrize(
    "filters",
    [
        one("a", "=~", "x"),
        one("a", ["=="], "x"),
        MetadataFilter(key="a", value=1),
        [MetadataFilter(key="a", value=1)],
        MetadataFilters.model_construct(filters=["a == 1"], condition=None),
        MetadataFilters.model_construct(filters=[], condition="xor"),
    ],
)
def test_what_is_no_filter_is_refused(filters) -> None:
    with pytest.raises(FilterError):
        evaluate(filters, MetadataIndex())


def test_an_operator_may_be_given_by_its_name() -> None:
    index = MetadataIndex()
    index.add([0, 1], [{"a": 1}, {"a": 2}], [None, None])
    assert set(evaluate(one("a", "==", 1), index)) == {0}
    both = MetadataFilters.model_construct(
        filters=[one("a", "==", 1), one("a", ">", 1)], condition="or"
    )
    assert set(evaluate(both, index)) == {0, 1}


def test_ranges_are_sorted_again_when_much_has_come() -> None:
    index = MetadataIndex()
    index.add(range(10), [{"a": 10 * i} for i in range(10)], [None] * 10)
    assert set(evaluate(one("a", O.GT, 75), index)) == {8, 9}
    rows_ = range(10, 1000)
    index.add(rows_, [{"a": i / 10} for i in rows_], [None] * len(rows_))
    assert set(evaluate(one("a", O.GT, 75), index)) == {8, 9, *range(751, 1000)}
