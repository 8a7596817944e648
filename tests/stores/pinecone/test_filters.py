"""What is sent to Pinecone lets through every node that a filter matches, however Pinecone reads it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from llamaindex_vecx.errors import FilterError
from llamaindex_vecx.stores.pinecone.filters import EVERYTHING, NOTHING, matching, pushed_down
from llamaindex_vecx.stores.pinecone.records import Found, fields_of

from ...conformance.library import together, where
from .service import Service

SERVICES = [Service(ne_without_key=True), Service(ne_without_key=False)]
KEYS = ("a", "b", "doc_id", "text", "$odd", "_vecx")
WORDS = ("", "x", "y", "xy", "None", "doc1")

scalars = st.sampled_from((*WORDS, 0, 1, 2, -1, 0.5, 1.0, True, False, 2**53, 2**53 + 1))
stored = st.one_of(
    scalars,
    st.none(),
    st.lists(st.sampled_from(WORDS), max_size=2),
    st.lists(st.sampled_from((0, 1, True, "x")), max_size=2),
    st.dictionaries(st.sampled_from(WORDS), st.integers(0, 1), max_size=1),
)
metadata = st.dictionaries(st.sampled_from(KEYS), stored, max_size=4)
documents = st.sampled_from((None, "doc1", "x"))
lists = st.lists(st.sampled_from((*WORDS, 0, 1, 2, 0.5)), max_size=3)


@st.composite
def conditions(draw: Any) -> MetadataFilter:
    operator = draw(st.sampled_from(FilterOperator))
    value: Any = None
    if operator in (FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL):
        value = draw(lists)
    elif operator in (FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE):
        value = draw(st.sampled_from(WORDS))
    elif operator != FilterOperator.IS_EMPTY:
        value = draw(scalars)
    return MetadataFilter.model_construct(
        key=draw(st.sampled_from(KEYS)), value=value, operator=operator
    )


filters = st.recursive(
    conditions(),
    lambda inner: st.builds(
        lambda condition, items: together(condition, *items),
        st.sampled_from(("and", "or", "not")),
        st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)


def node_with(values: dict[str, Any], document: str | None) -> TextNode:
    relationships = {}
    if document is not None:
        relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=document)
    return TextNode(id_="n", text="text", metadata=values, relationships=relationships)


def check(filters: MetadataFilters, node: TextNode, fields: dict[str, Any], unfilterable=()):
    there = bool(matching([Found("n", node=node)], filters))
    sent = pushed_down(filters, unfilterable)
    for service in SERVICES:
        passes = sent != NOTHING and service.matches(sent, fields)
        assert passes or not there, (service, sent, fields)


@settings(max_examples=600, deadline=None)
@given(metadata, documents, filters)
def test_nothing_that_matches_is_held_back(values, document, tree):
    tree = tree if isinstance(tree, MetadataFilters) else together("and", tree)
    node = node_with(values, document)
    check(tree, node, fields_of(node))
    unfilterable = frozenset(("text",))
    check(tree, node, fields_of(node, unfilterable=unfilterable), unfilterable)


@settings(max_examples=250, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(("a", "b")),
        st.one_of(scalars, st.lists(st.sampled_from(WORDS), min_size=1, max_size=2)),
    ),
    documents,
    filters,
)
def test_nor_of_what_llama_index_itself_wrote(values, document, tree):
    tree = tree if isinstance(tree, MetadataFilters) else together("and", tree)
    node = node_with(values, document)
    check(tree, node, node_to_metadata_dict(node))


@pytest.mark.parametrize(
    ("condition", "sent"),
    [
        (where("a", "==", "x"), {"$or": [{"a": {"$eq": "x"}}, {"_vecx_keys": {"$in": ["hidden:a"]}}]}),
        (where("a", ">", 3), {"$or": [{"a": {"$gt": 3}}, {"_vecx_keys": {"$in": ["hidden:a"]}}]}),
        (where("a", ">", "x"), {}),
        (where("a", "in", []), NOTHING),
        (where("a", "nin", []), {}),
        (where("a", "contains", 3), {"_vecx_keys": {"$in": ["hidden:a"]}}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_sent(condition, sent):
    assert pushed_down(together("and", condition)) == sent


def test_a_list_that_is_searched_for_an_element_is_left_to_pinecone():
    """So that ``contains`` on lists costs no more than ``==``."""
    sent = pushed_down(together("and", where("tags", "contains", "sea")))
    has, lacks = (
        {"_vecx": 1, "_vecx_keys": ["list:tags"], "tags": tags} for tags in (["sea"], ["land"])
    )
    for service in SERVICES:
        assert service.matches(sent, has)
        assert not service.matches(sent, lacks)
        assert service.matches(sent, {"_vecx": 1, "tags": "seaside"}), "part of a string"


def test_not_is_sent_as_far_as_it_goes():
    sent = pushed_down(together("not", where("a", "==", "x")))
    for service in SERVICES:
        assert not service.matches(sent, {"_vecx": 1, "a": "x"})
        assert service.matches(sent, {"_vecx": 1, "a": "y"})
        assert service.matches(sent, {"_vecx": 1})


def test_everything_is_everything():
    for service in SERVICES:
        assert service.matches(EVERYTHING, {})
        assert service.matches(EVERYTHING, {"_vecx": 1})


def test_a_wrong_filter_is_named_before_anything_is_sent():
    with pytest.raises(FilterError, match="lang"):
        pushed_down(together("and", where("lang", "in", "ko")))
