"""FaissVectorStore: what it has beside the other stores."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.data_structs import IndexDict
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.index_store import SimpleIndexStore
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llamaindex_vecx import FaissVectorStore, FlatVectorStore, HNSWVectorStore
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.errors import (
    DimensionError,
    FormatError,
    InvalidInputError,
    SettingsConflictError,
    UnsupportedError,
)
from tests.index.helpers import normal

DIM, N = 16, 700
VECTORS = normal(N, DIM)


def nodes(n: int = N, first: int = 0, dim: int = DIM) -> list[TextNode]:
    vectors = VECTORS if dim == DIM else normal(n, dim)
    return [
        TextNode(
            id_=f"n{i}", text=f"text {i}", metadata={"i": i, "odd": i % 2},
            embedding=vectors[i].tolist(),
        )
        for i in range(first, first + n)
    ]  # fmt: skip


def ask(i: int, top_k: int = 3, **settings: Any) -> VectorStoreQuery:
    return VectorStoreQuery(query_embedding=VECTORS[i].tolist(), similarity_top_k=top_k, **settings)


def index_of(store: FaissVectorStore) -> Any:
    return store.client._engine().views.graph._index


# -- training ------------------------------------------------------------------------------------


def test_training_happens_by_itself_and_survives_a_reopening(tmp_path, monkeypatch):
    with FaissVectorStore(tmp_path / "kb", factory="IVF16,Flat") as store:
        store.add(nodes(300))
        store.client.wait()
        assert not index_of(store).trained
        assert store.query(ask(7)).ids[0] == "n7"
        store.add(nodes(400, 300))
        store.client.wait()
        assert index_of(store).trained
        assert store.query(ask(650)).ids[0] == "n650"
    monkeypatch.setattr(faiss.IndexIVFFlat, "train", lambda *_: pytest.fail("trained once more"))
    with FaissVectorStore(tmp_path / "kb") as store:
        assert store.factory == "IVF16,Flat"
        assert [store.query(ask(i)).ids[0] for i in (0, 350, 699)] == ["n0", "n350", "n699"]
        store.client.wait()
        assert index_of(store).trained


def test_training_when_asked(capsys):
    store = FaissVectorStore(factory="IVF16,Flat")
    with pytest.raises(InvalidInputError, match="no vectors"):
        store.train()
    store.add(nodes(10))
    with pytest.raises(InvalidInputError, match=r"at least 16 vectors.*there are 10"):
        store.train()
    assert len(store) == 10
    store.add(nodes(90, 10))
    store.train(show_progress=True)
    assert "training on 100" in capsys.readouterr().out
    assert index_of(store).trained
    assert len(index_of(store)._core) == 100
    flat = FlatVectorStore()
    flat.add(nodes(5))
    with pytest.raises(UnsupportedError, match="nothing to train"):
        flat.client.train()


def test_a_damaged_index_file_is_rebuilt_with_a_warning(tmp_path):
    with FaissVectorStore(tmp_path / "kb", factory="IVF16,Flat") as store:
        store.add(nodes())
        store.client.wait()
        store.flush()
    file = tmp_path / "kb" / "views" / "graph" / "index.npy"
    file.write_bytes(file.read_bytes()[:-9] + b"x" * 9)
    with FaissVectorStore(tmp_path / "kb") as store:
        with pytest.warns(UserWarning, match="index.npy was altered"):
            assert store.query(ask(650)).ids[0] == "n650"
        store.client.wait()
        assert index_of(store).trained
    shutil.rmtree(tmp_path / "kb" / "views")
    with (
        FaissVectorStore(tmp_path / "kb", read_only=True) as store,
        pytest.warns(UserWarning, match="missing"),
    ):
        assert store.query(ask(650)).ids[0] == "n650"


# -- settings and queries ------------------------------------------------------------------------


def test_parameters_of_a_query_and_a_batch():
    store = FaissVectorStore(factory="IVF64,Flat", train_at=100, nprobe=1)
    store.add(nodes())
    store.client.wait()
    exact = [store.query(ask(i, 5), nprobe=64).ids for i in range(40)]
    narrow = [store.query(ask(i, 5)).ids for i in range(40)]
    assert exact != narrow
    queries = [ask(i, 5) for i in range(40)]
    batch = store.query_batch(queries, nprobe=64)
    assert [result.ids for result in batch] == exact
    assert batch[3].nodes[0].text == "text 3"
    odd = MetadataFilters(filters=[MetadataFilter(key="odd", value=1)])
    mixed = [
        ask(0, 2),
        ask(2, 4, filters=odd),
        VectorStoreQuery(query_str="text 5", mode=VectorStoreQueryMode.TEXT_SEARCH),
        ask(4, 4, filters=odd),
    ]
    for together, query in zip(store.query_batch(mixed), mixed, strict=True):
        alone = store.query(query)
        assert (together.ids, together.similarities) == (alone.ids, alone.similarities)
    assert store.query_batch([]) == []
    with pytest.raises(InvalidInputError, match="efSearch"):
        store.query(ask(1), efSearch=3)
    with pytest.raises(InvalidInputError, match="unheard_of"):
        store.query_batch(queries, unheard_of=3)


def test_a_filter_finds_all_that_match():
    store = FaissVectorStore(factory="HNSW16")
    store.add(nodes())
    store.client.wait()
    for value in range(0, N, 70):
        some = MetadataFilters(filters=[MetadataFilter(key="i", value=value, operator=">=")])
        want = min(20, N - value)
        found = store.query(ask(0, 20, filters=some))
        assert len(found.ids) == want
        assert all(node.metadata["i"] >= value for node in found.nodes)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_wrong_settings_leave_nothing_behind(where, tmp_path):
    path = None if where == "memory" else tmp_path / "kb"
    with pytest.raises(InvalidInputError, match="Nonsense"):
        FaissVectorStore(path, factory="Nonsense")
    with pytest.raises(DimensionError, match="48 equal parts, and 100"):
        FaissVectorStore(path, factory="PQ48", dim=100)
    assert not (tmp_path / "kb").exists()
    store = FaissVectorStore(path, factory="PQ48")
    with pytest.raises(DimensionError, match="48 equal parts, and 100"):
        store.add(nodes(5, dim=100))
    assert len(store) == 0
    assert store.client.dim is None
    store.add(nodes(5, dim=96))
    assert len(store) == 5
    store.close()


def test_settings_of_a_stored_collection(tmp_path):
    FaissVectorStore(tmp_path / "kb", factory="IVF16,Flat", nprobe=4).close()
    with pytest.raises(SettingsConflictError, match="HNSW32.*IVF16,Flat"):
        FaissVectorStore(tmp_path / "kb", factory="HNSW32")
    with pytest.raises(SettingsConflictError, match="nprobe"):
        FaissVectorStore(tmp_path / "kb", nprobe=5)
    with pytest.raises(SettingsConflictError, match="'hnsw'.*'faiss'"):
        HNSWVectorStore(tmp_path / "kb")
    with FaissVectorStore(tmp_path / "kb", nprobe=4) as store:
        assert repr(store).endswith("metric='cosine', factory=IVF16,Flat, nprobe=4)")
    with open_store(tmp_path / "kb") as store:
        assert isinstance(store, FaissVectorStore)


def test_a_ready_index(tmp_path):
    ready = faiss.index_factory(DIM, "IVF8,Flat", faiss.METRIC_L2)
    ready.train(VECTORS)
    ready.nprobe = 8
    with FaissVectorStore(tmp_path / "kb", faiss_index=ready) as store:
        assert (store.metric, store.dim, store.factory) == ("l2", DIM, "IndexIVFFlat")
        store.add(nodes(20))
        store.client.wait()
        assert index_of(store).trained  # without a training of ours
        assert store.query(ask(7)).similarities[0] == pytest.approx(1.0)
        assert ready.ntotal == 0
        assert "template" not in repr(store)
    with FaissVectorStore(tmp_path / "kb") as store:
        assert store.query(ask(7)).ids[0] == "n7"
        index = index_of(store)
        np.testing.assert_array_equal(
            index._core.index.quantizer.reconstruct_n(0, 8), ready.quantizer.reconstruct_n(0, 8)
        )
    with pytest.raises(InvalidInputError, match="metric='cosine'.*METRIC_L2"):
        FaissVectorStore(faiss_index=ready, metric="cosine")
    with pytest.raises(InvalidInputError, match="metric='l2'.*INNER_PRODUCT"):
        FaissVectorStore(faiss_index=faiss.IndexFlatIP(4), metric="l2")
    with pytest.raises(DimensionError, match="dimension 16, and dim=8"):
        FaissVectorStore(faiss_index=ready, dim=8)
    with pytest.raises(InvalidInputError, match="either"):
        FaissVectorStore(faiss_index=ready, factory="Flat")
    with pytest.raises(InvalidInputError, match="metric_type"):
        FaissVectorStore(faiss_index=faiss.IndexFlat(4, faiss.METRIC_L1))


# -- from others' files --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What StorageContext.persist leaves of LlamaIndex's FaissVectorStore, which numbers by position.

    Written by the calls that it makes: the store itself is no dependency of the tests.
    """
    docstore, index_store = SimpleDocumentStore(), SimpleIndexStore()
    struct = IndexDict(index_id="one")
    for i, node in enumerate(nodes(100)):
        bare = node.model_copy(update={"embedding": None})
        docstore.add_documents([bare])
        struct.add_node(bare, text_id=str(i))
    index_store.add_index_struct(struct)
    index = faiss.IndexFlatL2(DIM)
    index.add(VECTORS[:100])
    out = tmp_path / "storage"
    out.mkdir()
    docstore.persist(str(out / "docstore.json"))
    index_store.persist(str(out / "index_store.json"))
    faiss.write_index(index, str(out / "default__vector_store.json"))
    return out


def test_from_llama_index(folder, tmp_path):
    with FaissVectorStore.from_llama_index(folder, tmp_path / "kb") as store:
        assert (len(store), store.metric) == (100, "l2")
        for i in (0, 42, 99):
            found = store.query(ask(i, 1))
            assert (found.ids, found.nodes[0].text) == ([f"n{i}"], f"text {i}")
            assert found.similarities == pytest.approx([1.0])
        np.testing.assert_allclose(store.get_nodes(["n42"])[0].embedding, VECTORS[42], rtol=1e-6)
        store.delete_nodes(["n42"])
        assert store.query(ask(42, 1)).ids != ["n42"]
    with pytest.raises(InvalidInputError, match="holds 99 nodes already"):
        FaissVectorStore.from_llama_index(folder, tmp_path / "kb")
    other = FaissVectorStore.from_llama_index(folder, factory="HNSW16", metric="cosine")
    assert (other.factory, other.metric) == ("HNSW16", "cosine")
    index = VectorStoreIndex.from_vector_store(other, embed_model=MockEmbedding(DIM))
    assert len(index.as_retriever(similarity_top_k=4).retrieve("anything")) == 4


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("default__vector_store.json", lambda b: b[:-1]),
        ("default__vector_store.json", lambda b: b"{}"),
        ("default__vector_store.json", None),
        ("docstore.json", lambda b: b[:-1]),
        ("docstore.json", lambda b: b.replace(b'"__type__"', b'"__tape__"')),
        ("docstore.json", None),
        ("index_store.json", lambda b: b[: len(b) // 2]),
        ("index_store.json", None),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_a_clear_error(folder, tmp_path, file, change):
    if change is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(change((folder / file).read_bytes()))
    with pytest.raises(FormatError, match=file.partition(".")[0]):
        FaissVectorStore.from_llama_index(folder, tmp_path / "kb")
    assert not (tmp_path / "kb").exists()


def test_files_of_different_times(folder):
    fewer = faiss.IndexFlatL2(DIM)
    fewer.add(VECTORS[:90])
    faiss.write_index(fewer, str(folder / "default__vector_store.json"))
    with pytest.raises(FormatError, match="names 10 vectors, the first 90"):
        FaissVectorStore.from_llama_index(folder)
    more = faiss.IndexFlatL2(DIM)
    more.add(VECTORS[:120])
    faiss.write_index(more, str(folder / "default__vector_store.json"))
    with pytest.warns(UserWarning, match="20 of the 120 vectors"):
        assert len(FaissVectorStore.from_llama_index(folder)) == 100


def test_several_indexes_and_ids_that_stand_twice(folder):
    store = SimpleIndexStore.from_persist_path(str(folder / "index_store.json"))
    store.add_index_struct(IndexDict(index_id="two"))
    store.persist(str(folder / "index_store.json"))
    with pytest.raises(InvalidInputError, match=r"2 vector indexes.*index_id="):
        FaissVectorStore.from_llama_index(folder)
    assert len(FaissVectorStore.from_llama_index(folder, index_id="one")) == 100
    mapped = faiss.IndexIDMap2(faiss.IndexFlatL2(DIM))
    mapped.add_with_ids(VECTORS[:3], np.array([0, 1, 1]))
    faiss.write_index(mapped, str(folder / "default__vector_store.json"))
    id_map = {"faiss_id_to_node_id_map": {"0": "n0", "1": "n2"}}
    (folder / "id_map.json").write_text(json.dumps(id_map))
    with pytest.raises(FormatError, match="more than once"):
        FaissVectorStore.from_llama_index(folder)


def test_from_faiss(tmp_path):
    index = faiss.index_factory(DIM, "IDMap2,IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(VECTORS)
    index.add_with_ids(VECTORS[:50], np.arange(50)[::-1] + 1000)
    faiss.write_index(index, str(tmp_path / "it.faiss"))
    given = dict(zip(range(1049, 999, -1), nodes(50), strict=True))
    for node in given.values():
        node.embedding = None
    store = FaissVectorStore.from_faiss(tmp_path / "it.faiss", given)
    assert (len(store), store.metric) == (50, "ip")
    found = store.query(ask(7, 1))
    assert found.similarities == pytest.approx([float(VECTORS[int(found.ids[0][1:])] @ VECTORS[7])])
    np.testing.assert_allclose(store.get_nodes(["n7"])[0].embedding, VECTORS[7], rtol=1e-6)
    assert given[1049].embedding is None  # what was given is left alone
    with pytest.raises(InvalidInputError, match="50 entries.*50 vectors; 0 is in only one"):
        FaissVectorStore.from_faiss(tmp_path / "it.faiss", nodes(50))
    with pytest.raises(InvalidInputError, match="49 entries"):
        FaissVectorStore.from_faiss(tmp_path / "it.faiss", nodes(49), tmp_path / "kb")
    assert not (tmp_path / "kb").exists()


def test_from_codes_warns(tmp_path):
    index = faiss.index_factory(DIM, "SQ8")
    index.train(VECTORS)
    index.add(VECTORS[:50])
    faiss.write_index(index, str(tmp_path / "it.faiss"))
    with pytest.warns(UserWarning, match="approximate"):
        store = FaissVectorStore.from_faiss(tmp_path / "it.faiss", nodes(50))
    assert store.query(ask(7, 1)).ids == ["n7"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.query(ask(8, 1)).ids == ["n8"]


def test_storage_context_round_trip(tmp_path):
    store = FaissVectorStore(factory="IVF16,Flat", train_at=100)
    store.add(nodes(200))
    StorageContext.from_defaults(vector_store=store).persist(str(tmp_path / "s"))
    with FaissVectorStore.from_persist_dir(str(tmp_path / "s")) as again:
        assert again.factory == "IVF16,Flat"
        assert again.query(ask(150, 1)).ids == ["n150"]
