"""Wrong input raises, names what is wrong, and changes nothing."""

from __future__ import annotations

import math

import pytest
from llama_index.core.schema import IndexNode, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from .library import IDS, near, node, on_circle, says

pytestmark = pytest.mark.needs("strict")


def unchanged(store) -> bool:
    return set(store.query(near(0, 100)).ids) == set(IDS)


def an_index_node_over_a_live_object():
    made = IndexNode(id_="live", text="x", index_id="i", obj=object())
    made.embedding = on_circle(0)
    return made


BAD_NODES = [
    (node("x", vector=[1.0, 2.0]), "dimension 2"),
    (node("x", vector=[math.nan, 0, 0, 0]), "NaN"),
    (node("x", vector=[math.inf, 0, 0, 0]), "infinity"),
    (node("x", vector=[1e300, 0, 0, 0]), "infinity"),
    (TextNode(id_="no-embedding", text="x"), "no-embedding"),
    (node("unwritable", thing=object()), "unwritable"),
    (an_index_node_over_a_live_object(), "live"),
    (node("surrogate", "\ud800"), "surrogate"),
    ("no node", "str"),
]


@pytest.mark.parametrize(("bad", "named"), BAD_NODES, ids=[named for _, named in BAD_NODES])
def test_one_bad_node_refuses_the_batch(filled, bad, named):
    with pytest.raises(ValueError, match=named):
        filled.add([node("good"), bad, node("b0", "replaced")])
    assert unchanged(filled)


def test_an_id_twice_in_one_batch(filled):
    with pytest.raises(ValueError, match="twice"):
        filled.add([node("twice"), node("other"), node("twice")])
    assert unchanged(filled)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        (near(0, top_k=0), "similarity_top_k=0"),
        (near(0, top_k=-3), "similarity_top_k=-3"),
        (near(0, top_k=2.5), "similarity_top_k=2.5"),
        (near(0, hybrid_top_k=0), "hybrid_top_k=0"),
        (near(0, sparse_top_k=-1), "sparse_top_k=-1"),
        (VectorStoreQuery(query_embedding=[1.0, 2.0]), "dimension 2"),
        (VectorStoreQuery(query_embedding=[math.nan] * 4), "NaN"),
        (VectorStoreQuery(query_embedding=None), "query_embedding"),
        (says("whale", mode="hybrid"), "query_embedding"),
        (says("whale", mode="mmr"), "query_embedding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_query(filled, query, named):
    with pytest.raises(ValueError, match=named):
        filled.query(query)
    assert unchanged(filled)


def test_options_nobody_knows_are_named(filled):
    with pytest.raises(ValueError, match="unheard_of"):
        filled.query(near(0), unheard_of=3)
    with pytest.raises(ValueError, match="batch"):
        filled.add([node("x")], batch=3)
    assert unchanged(filled)


def test_a_document_id_that_is_no_string(filled):
    with pytest.raises(ValueError, match="ref_doc_id"):
        filled.delete(None)
    assert unchanged(filled)


@pytest.mark.needs("zero_vectors")
def test_a_zero_vector_is_stored_and_warned_about_once(store):
    with pytest.warns(UserWarning, match="zero vector"):
        store.add([node("zero", vector=[0, 0, 0, 0])])
    store.add([node("one", vector=on_circle(0)), node("zero too", vector=[0, 0, 0, 0])])
    result = store.query(near(0, top_k=3))
    assert result.ids[0] == "one"
    assert result.similarities[1:] == [0.0, 0.0]


@pytest.mark.needs("durable")
def test_use_after_close_raises(filled):
    filled.close()
    filled.close()
    for call in (lambda: filled.query(near(0)), lambda: filled.add([node("x")]), filled.clear):
        with pytest.raises(RuntimeError, match="closed"):
            call()
