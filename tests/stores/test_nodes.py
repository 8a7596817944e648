"""Nodes on their way into a store."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from llama_index.core.schema import TextNode

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.errors import NonFiniteError


def node(name: str, *values: float) -> TextNode:
    return TextNode(id_=name, text=name, embedding=list(values))


def test_a_value_too_large_for_float32_is_refused_and_numpy_says_nothing_of_it() -> None:
    store = FlatVectorStore()
    store.add([node("before", 1.0, 0.0)])
    state = np.geterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NonFiniteError, match="'large'"):
            store.add([node("fine", 1.0, 2.0), node("large", 1e300, 0.0), node("last", 0.0, 1.0)])
    assert np.geterr() == state
    assert [one.node_id for one in store.get_nodes(["before", "fine", "large", "last"])] == [
        "before"
    ]
