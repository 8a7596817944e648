"""``on_disk`` from the constructor down to the index, where its file lies, and back from the disk."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import DiskFullError, InvalidInputError, SettingsConflictError
from llamaindex_vecx.index.mapped import is_mapped

VECTORS = np.random.default_rng(0).standard_normal((600, 16))
QUERY = VectorStoreQuery(query_embedding=VECTORS[7].tolist(), similarity_top_k=5)


def nodes(start: int, stop: int) -> list[TextNode]:
    return [
        TextNode(id_=f"n{i}", text="", embedding=VECTORS[i].tolist()) for i in range(start, stop)
    ]


def mapped(store: HNSWVectorStore) -> bool:
    store.client.wait()
    return is_mapped(store.client.index._store.view.graph.residuals)


def nameless_files(folder: Path) -> int:
    """How many files without a name this process has open in a folder."""
    links = Path("/proc/self/fd")
    names = [os.readlink(link) for link in links.iterdir() if link.is_symlink()]
    return sum(name.startswith(f"{folder.resolve()}/#") for name in names)


def test_a_store_keeps_it_and_answers_the_same(tmp_path: Path) -> None:
    memory = HNSWVectorStore(M=6, ef_construction=40)
    memory.add(nodes(0, 600))
    memory.client.wait()
    expected = memory.query(QUERY)
    kb = tmp_path / "kb"
    with HNSWVectorStore(path=kb, M=6, ef_construction=40, on_disk=True) as store:
        store.add(nodes(0, 600))
        assert mapped(store)
        if sys.platform == "linux":
            assert nameless_files(kb) >= 1
        answer = store.query(QUERY)
        assert (answer.ids, answer.similarities) == (expected.ids, expected.similarities)
        store.delete_nodes([f"n{i}" for i in range(100, 500)])
        store.client.compact()
        assert mapped(store)
        store.add(nodes(100, 500))
        assert mapped(store)
    with HNSWVectorStore(path=kb) as store:
        assert store.on_disk is True
        assert "on_disk=True" in repr(store)
        assert set(store.query(QUERY, ef_search=600).ids) == set(expected.ids)
        store.add(
            nodes(0, 7)
        )  # the snapshot's file is mapped, and the first change needs one of its own
        assert mapped(store)
        with HNSWVectorStore(path=kb, read_only=True) as reader:
            assert reader.on_disk is True
            assert reader.query(QUERY).ids[0] == "n7"
    with pytest.raises(SettingsConflictError, match="on_disk"):
        HNSWVectorStore(path=kb, on_disk=False)


def test_it_can_be_changed_without_another_graph(tmp_path: Path) -> None:
    with HNSWVectorStore(path=tmp_path / "kb", M=6) as store:
        store.add(nodes(0, 300))
        assert not mapped(store)
        before, index = store.query(QUERY), store.client.index
        store.client.reconfigure({"on_disk": True})
        assert store.client.index is index
        assert mapped(store)
        assert store.query(QUERY).similarities == before.similarities
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        assert store.on_disk is True
        store.client.reconfigure({"on_disk": False})
        assert not mapped(store)
        assert store.query(QUERY).similarities == before.similarities


def test_a_collection_from_before_is_in_memory(tmp_path: Path) -> None:
    with Collection.open(tmp_path / "kb") as collection:
        engine = collection._engine()
        stored = collection.settings
        stored["index_params"].pop("on_disk")
        engine._writer.set_meta(settings=stored)
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        store.add(nodes(0, 50))
        assert not store.on_disk
        assert not mapped(store)
        store.client.reconfigure({"on_disk": True})
        assert mapped(store)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of a process' files")
def test_a_full_disk_leaves_rows_where_they_are_found(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    with HNSWVectorStore(M=6, on_disk=True) as store:  # its rows are in memory, its index on disk
        store.add(nodes(0, 100))
        assert mapped(store)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 256, before[1]))
        try:
            store.add(nodes(100, 600))
            with pytest.raises(DiskFullError, match="no room for vectors"):
                store.client.wait()
            answer = store.query(VectorStoreQuery(query_embedding=VECTORS[555].tolist()))
            assert answer.ids[0] == "n555"
            assert len(store.client.index) == 100
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        store.client.wait()
        assert len(store.client.index) == 600
        answer = store.query(QUERY)
        assert answer.ids[0] == "n7"


def test_neither_true_nor_false(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="on_disk"):
        Collection.open(tmp_path / "kb", index_params={"on_disk": "yes"})
