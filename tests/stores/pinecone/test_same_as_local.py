"""Whatever the filter, Pinecone's answers are those of the local store."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.vector_stores.types import MetadataFilters

from llamaindex_vecx import FlatVectorStore, PineconeVectorStore

from ...conformance.library import near, node, on_circle, together
from ...conformance.pinecone import server_url
from .test_filters import filters

VALUES = (
    None,
    "x",
    "y",
    "xy",
    "",
    0,
    1,
    0.5,
    True,
    ["x"],
    ["x", "y"],
    [],
    [0, 1],
    {"x": 1},
    2**53 + 1,
)
DOCUMENTS = (None, "doc1", "doc10", "x")


def nodes():
    """Sixty, with every value under either key, and documents whose ids look like values."""
    pairs = itertools.product(VALUES, ("x", 1, None, ["y"]))
    for n, (a, b) in enumerate(pairs):
        own = {"doc_id": "y"} if n % 7 == 0 else {}
        yield node(f"n{n:02}", doc=DOCUMENTS[n % 4], vector=on_circle(n, 60), a=a, b=b, **own)


@pytest.fixture(scope="module", params=["vectors", "documents"])
def pair(request):
    name = f"same-{request.param}"
    local, remote = (
        FlatVectorStore(),
        PineconeVectorStore.create_if_missing(
            name, dimension=4, api=request.param, host=server_url(), api_key="local"
        ),
    )
    for store in (local, remote):
        store.add(list(nodes()))
    yield local, remote
    for store in (local, remote):
        store.close()


@settings(max_examples=60, deadline=None)
@given(filters, st.integers(0, 59), st.integers(1, 20))
def test_the_same_nodes_with_the_same_scores(pair, tree, position, top_k):
    tree = tree if isinstance(tree, MetadataFilters) else together("and", tree)
    query = near(position, top_k, filters=tree)
    query.query_embedding = on_circle(position + 0.3, 60)  # no two are equally far
    expected, found = (store.query(query) for store in pair)
    assert found.ids == expected.ids
    np.testing.assert_allclose(found.similarities, expected.similarities, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(filters)
def test_get_nodes_finds_the_same(pair, tree):
    tree = tree if isinstance(tree, MetadataFilters) else together("and", tree)
    expected, found = (store.get_nodes(filters=tree) for store in pair)
    assert [one.node_id for one in found] == sorted(one.node_id for one in expected)
    by_id = {one.node_id: one for one in expected}
    assert all(one.metadata == by_id[one.node_id].metadata for one in found)
