"""``target_recall`` from the constructor and the query down to the index, and back from the disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import InvalidInputError, SettingsConflictError


def test_a_store_keeps_its_target_and_takes_another_for_a_query(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((2400, 16))
    nodes = [TextNode(id_=f"n{i}", text="", embedding=v.tolist()) for i, v in enumerate(vectors)]
    query = VectorStoreQuery(query_embedding=vectors[7].tolist(), similarity_top_k=3)
    with HNSWVectorStore(path=tmp_path / "kb", M=6, ef_construction=40, target_recall=0.9) as store:
        store.add(nodes)
        store.client.wait()
        index = store.client.index
        assert index.target_recall == 0.9
        assert not index.due  # the background has measured
        assert index._calibration.table is not None
        assert store.query(query).ids[0] == "n7"
        assert store.query(query, target_recall=0.99).ids[0] == "n7"
        with pytest.raises(InvalidInputError, match="not both"):
            store.query(query, target_recall=0.99, ef_search=10)
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        assert store.target_recall == 0.9
        assert store.query(query).ids[0] == "n7"
        assert store.client.index._calibration.table is not None
        store.client.reconfigure({"target_recall": None, "ef_search": 90})
        assert store.client.index.target_recall is None
        assert store.client.index.ef_search == 90
    with pytest.raises(SettingsConflictError, match="target_recall"):
        HNSWVectorStore(path=tmp_path / "kb", target_recall=0.9)


def test_a_store_refuses_both() -> None:
    with pytest.raises(InvalidInputError, match="give one of them"):
        HNSWVectorStore(ef_search=100, target_recall=0.9)


def test_a_collection_from_before_has_no_target(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "kb") as collection:
        engine = collection._engine()
        stored = collection.settings
        stored["index_params"].pop("target_recall")
        engine._writer.set_meta(settings=stored)
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        assert store.target_recall is None
        store.client.reconfigure({"target_recall": 0.95})
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        assert store.target_recall == 0.95
