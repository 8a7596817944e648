"""Every filter operator and condition, on ten books."""

from __future__ import annotations

import pytest

from .library import IDS, OPERATORS, near, node, says, together, where


def matching(store, filters) -> list[str]:
    return sorted(store.query(near(5, top_k=10, filters=filters)).ids)


@pytest.mark.needs("filters")
@pytest.mark.parametrize(
    ("condition", "expected"),
    OPERATORS,
    ids=[
        f"{condition.key} {condition.operator.value} {condition.value}"
        for condition, _ in OPERATORS
    ],
)
def test_operator(filled, condition, expected):
    assert matching(filled, together("and", condition)) == sorted(expected)


@pytest.mark.needs("filters")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (together("and", where("lang", "==", "en"), where("year", ">", 1950)), ["b2", "b5", "b7"]),
        (together("or", where("lang", "==", "ko"), where("year", "<", 1900)), ["b0", "b3", "b4"]),
        (together("not", where("lang", "==", "en"), where("lang", "==", "ko")), ["b6", "b8", "b9"]),
        (together("not", where("lang", "==", "en")), ["b3", "b4", "b6", "b8", "b9"]),
        (together("and"), IDS),
    ],
    ids=["and", "or", "not", "not of one", "none at all"],
)
def test_condition(filled, filters, expected):
    assert matching(filled, filters) == expected


@pytest.mark.needs("nested_filters")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (
            together(
                "and",
                together("or", where("lang", "==", "ko"), where("lang", "==", "de")),
                where("price", ">=", 15),
            ),
            ["b3", "b9"],
        ),
        (
            together("not", together("and", where("lang", "==", "en"), where("year", ">", 1950))),
            ["b0", "b1", "b3", "b4", "b6", "b8", "b9"],
        ),
        (
            together(
                "or",
                together(
                    "and",
                    where("tags", "contains", "sea"),
                    together("not", where("lang", "==", "en")),
                ),
                together("and", where("year", "==", 1951)),
            ),
            ["b7", "b9"],
        ),
    ],
    ids=["or in and", "not of and", "three deep"],
)
def test_nesting(filled, filters, expected):
    assert matching(filled, filters) == expected


@pytest.mark.needs("mixed_types")
def test_types_that_cannot_be_compared_do_not_match(filled):
    assert matching(filled, together("and", where("lang", ">", 3))) == []
    assert matching(filled, together("and", where("year", "<", "x"))) == []
    assert matching(filled, together("and", where("tags", ">", 0))) == []


@pytest.mark.needs("filters")
@pytest.mark.parametrize("operator", ["==", "text_match"])
@pytest.mark.parametrize(
    "value", ["x' OR '1'='1", 'x" OR "1"="1', "%", "_", "e%' --", "\\", "(.*)"]
)
def test_a_value_is_never_taken_for_code(filled, operator, value):
    assert matching(filled, together("and", where("lang", operator, value))) == []


@pytest.mark.needs("filters")
@pytest.mark.parametrize(
    "word", ["O'Brien", 'a "word"', "100 %", "under_score", "back\\slash", "(.*)"]
)
def test_quotes_and_wildcards_are_plain_characters(store, word):
    store.add([node("asked", lang=word), node("other", lang="underXscore")])
    assert matching(store, together("and", where("lang", "==", word))) == ["asked"]
    assert matching(store, together("and", where("lang", "!=", word))) == ["other"]


@pytest.mark.needs("strict", "filters")
@pytest.mark.parametrize(
    "condition",
    [
        where("lang", "in", "ko"),
        where("lang", "nin", "ko"),
        where("tags", "any", "sea"),
        where("tags", "all", 3),
        where("year", ">", [1, 2]),
        where("year", "text_match", 3),
    ],
    ids=lambda value: f"{value.operator.value} {value.value}",
)
def test_a_value_the_operator_cannot_take_raises(filled, condition):
    with pytest.raises(ValueError, match=condition.key) as raised:
        matching(filled, together("and", condition))
    assert condition.operator.value in str(raised.value)


@pytest.mark.needs("filters")
def test_a_selective_filter_still_gives_k(filled):
    for position in range(10):
        korean = filled.query(
            near(position, top_k=2, filters=together("and", where("lang", "==", "ko")))
        )
        assert sorted(korean.ids) == ["b3", "b4"]


@pytest.mark.needs("filters", "text_search")
def test_filters_reach_text_search(filled):
    old = together("and", where("year", "<", 1900))
    assert filled.query(says("captain", filters=old)).ids == ["b0"]


@pytest.mark.needs("filters", "doc_ids")
@pytest.mark.parametrize("key", ["doc_id", "ref_doc_id", "document_id"])
def test_filters_reach_the_document_id(filled, key):
    assert matching(filled, together("and", where(key, "==", "doc1"))) == ["b0", "b1"]
    assert matching(filled, together("and", where(key, "in", ["doc10", "doc4"]))) == ["b2", "b7"]


@pytest.mark.needs("node_ids")
def test_node_ids_restrict(filled):
    assert set(filled.query(near(0, 10, node_ids=["b7", "b8", "no"])).ids) == {"b7", "b8"}


@pytest.mark.needs("node_ids", "strict")
def test_an_empty_list_of_node_ids_means_unrestricted(filled):
    """VectorIndexRetriever passes one to stores that keep the text."""
    assert len(filled.query(near(0, 10, node_ids=[])).ids) == 10


@pytest.mark.needs("doc_ids")
def test_doc_ids_restrict(filled):
    assert set(filled.query(near(0, 10, doc_ids=["doc1", "doc3"])).ids) == {"b0", "b1", "b5", "b6"}
    assert filled.query(near(0, 10, doc_ids=[])).ids == []


@pytest.mark.needs("doc_ids", "filters", "node_ids")
def test_ids_and_filters_intersect(filled):
    result = filled.query(
        near(
            0,
            10,
            doc_ids=["doc1", "doc2"],
            node_ids=["b1", "b3", "b9"],
            filters=together("and", where("lang", "==", "ko")),
        )
    )
    assert result.ids == ["b3"]
