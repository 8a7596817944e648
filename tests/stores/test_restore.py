"""Nodes that are put together without validation equal those that LlamaIndex validates."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from llama_index.core.schema import (
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)
from pydantic import ValidationError

from llamaindex_vecx.collection import Record
from llamaindex_vecx.stores import restore
from llamaindex_vecx.stores.nodes import nodes_to_records, record_to_node

SINGLE = [one for one in NodeRelationship if one is not NodeRelationship.CHILD]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(st.text(), json_values, max_size=4)
infos = st.builds(
    RelatedNodeInfo,
    node_id=st.text(),
    node_type=st.none() | st.sampled_from(ObjectType) | st.text(),
    metadata=metadata,
    hash=st.none() | st.text(),
)
relationships = st.dictionaries(st.sampled_from(SINGLE), infos, max_size=3) | st.dictionaries(
    st.sampled_from([NodeRelationship.CHILD, NodeRelationship.PARENT]),
    st.lists(infos, max_size=2),
    max_size=2,
)
nodes = st.builds(
    TextNode,
    id_=st.text(),
    text=st.text(),
    embedding=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3),
    metadata=metadata,
    relationships=relationships,
    excluded_embed_metadata_keys=st.lists(st.text(), max_size=2),
    excluded_llm_metadata_keys=st.lists(st.text(), max_size=2),
    metadata_template=st.text(),
    metadata_separator=st.text(),
    mimetype=st.text(),
    start_char_idx=st.none() | st.integers(0, 10**6),
    end_char_idx=st.none() | st.integers(0, 10**6),
    text_template=st.text(),
)


def validated(record: Record) -> TextNode:
    """What LlamaIndex makes of the same fields."""
    fields = json.loads(record.content)
    fields.update(id_=record.id, metadata=record.metadata, text=record.text)
    if record.vector is not None:
        fields["embedding"] = record.vector.tolist()
    return TextNode.from_dict(fields)


def assert_same(made: TextNode, expected: TextNode) -> None:
    assert type(made) is type(expected)
    assert made == expected
    assert list(made.__dict__.items()) == list(expected.__dict__.items())
    assert made.model_fields_set == expected.model_fields_set
    assert made.model_dump_json() == expected.model_dump_json()
    assert made.model_dump(exclude_unset=True) == expected.model_dump(exclude_unset=True)
    assert repr(made) == repr(expected)
    assert made.hash == expected.hash
    for relationship, others in expected.relationships.items():
        (key,) = [one for one in made.relationships if one == relationship]
        assert type(key) is NodeRelationship
        pairs = [(made.relationships[key], others)]
        if isinstance(others, list):
            pairs = list(zip(made.relationships[key], others, strict=True))
        for one, other in pairs:
            assert one.model_fields_set == other.model_fields_set
            assert list(one.__dict__.items()) == list(other.__dict__.items())


@given(nodes, st.booleans())
@example(TextNode(id_="x", embedding=[1.0]), False)
@example(TextNode(id_="x", embedding=[1.0]), True)
def test_a_restored_node_equals_the_validated_one(node, with_vector):
    (record,) = nodes_to_records([node])
    if not with_vector:
        record.vector = None
    fast = restore.restore_text_node
    used = []

    def noted(*arguments):
        used.append(fast(*copy.deepcopy(arguments)))
        return used[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llamaindex_vecx.stores.nodes.restore_text_node", noted)
        made = record_to_node(record)
    assert used[0] is made, "an ordinary text node needs no validation"
    assert_same(made, validated(record))


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *sorted(restore._FIELDS - restore._GIVEN),
                "metadata_seperator",
                "text_resource",
                "obj",
            ]
        ),
        json_values
        | st.dictionaries(
            st.sampled_from(["1", "2", "5", "SOURCE", ""]),
            json_values
            | st.dictionaries(
                st.sampled_from(["node_id", "node_type", "metadata", "hash", "class_name", "x"]),
                json_values,
            ),
            max_size=2,
        ),
        max_size=3,
    )
)
@example({"relationships": {"1": {"node_id": "a", "metadata": None}}})
@example({"relationships": {"1": {"node_id": "a", "x": 1}}})
@example({"relationships": {"1": {"hash": "a"}}})
@example({"start_char_idx": True})
@example({"start_char_idx": 3.0})
@example({"metadata_seperator": "|"})
def test_whatever_is_written_is_read_as_llama_index_reads_it(fields):
    def record():
        return Record("id", np.ones(2, np.float32), "text", {"a": 1}, json.dumps(fields), None)

    try:
        expected = validated(record())
    except (ValidationError, TypeError, KeyError, AttributeError) as error:
        with pytest.raises(type(error)):
            record_to_node(record())
    else:
        assert_same(record_to_node(record()), expected)


def test_a_restored_node_is_a_node_like_any_other():
    original = TextNode(
        id_="x",
        text="text",
        embedding=[1.0],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="d")},
    )
    (record,) = nodes_to_records([original])
    made = record_to_node(copy.deepcopy(record))
    assert pickle.loads(pickle.dumps(made)) == made
    assert copy.deepcopy(made) == made
    assert made.model_copy() == made
    made.text = "changed"
    made.metadata["new"] = 1
    made.excluded_llm_metadata_keys.append("new")
    with pytest.raises(ValidationError):
        made.text = 3
    again = record_to_node(record)
    assert (again.text, again.metadata, again.excluded_llm_metadata_keys) == ("text", {}, [])
    assert TextNode().excluded_llm_metadata_keys == []


def test_a_release_with_other_fields_is_left_to_validation(monkeypatch):
    class Longer(TextNode):
        more: int = 1

    assert restore._plain(TextNode, restore._FIELDS)
    assert not restore._plain(Longer, restore._FIELDS)
    monkeypatch.setattr(restore, "_KNOWN", False)
    (record,) = nodes_to_records([TextNode(id_="x", text="text", embedding=[1.0])])
    assert_same(record_to_node(record), validated(record))
