"""persist and its opposites, by hand and by StorageContext."""

from __future__ import annotations

import json
import shutil
import threading

import fsspec
import pytest
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore
from llamaindex_vecx.errors import (
    FormatError,
    InvalidInputError,
    NotACollectionError,
    SettingsConflictError,
    UnsupportedError,
)

from ..conformance.library import IDS, library, near, node, on_circle
from ..words import WordHashEmbedding
from .test_in_llama_index import DOCUMENTS


def everything(store) -> set[str]:
    return set(store.query(near(0, 100)).ids)


def test_a_store_with_a_path_is_found_again(tmp_path):
    with HNSWVectorStore(path=tmp_path / "kb", M=8) as store:
        store.add(library())
        store.persist(str(tmp_path / "storage" / "default__vector_store.json"))
    assert [entry.name for entry in (tmp_path / "storage").iterdir()] == ["default__vecx.json"]
    with HNSWVectorStore.from_persist_dir(str(tmp_path / "storage")) as again:
        assert (everything(again), again.M) == (set(IDS), 8)


def test_a_store_in_memory_is_copied_and_opens_durable(tmp_path):
    store = FlatVectorStore()
    store.add(library())
    store.persist(tmp_path / "storage" / "images__vector_store.json")
    store.add([node("later", vector=on_circle(1))])
    with FlatVectorStore.from_persist_dir(tmp_path / "storage", namespace="images") as again:
        assert everything(again) == set(IDS)
        again.add([node("durable", vector=on_circle(2))])
    with FlatVectorStore.from_persist_path(
        tmp_path / "storage" / "images__vector_store.json"
    ) as again:
        assert everything(again) == {*IDS, "durable"}
        again.persist(tmp_path / "storage" / "images__vector_store.json")
        assert everything(again) == {*IDS, "durable"}


def test_the_last_one_persisted_is_found(tmp_path):
    memory, kept = FlatVectorStore(), FlatVectorStore(path=tmp_path / "kb")
    memory.add([node("in memory")])
    kept.add([node("on disk")])
    for store, expected in ((memory, "in memory"), (kept, "on disk"), (memory, "in memory")):
        store.persist(tmp_path / "storage" / "default__vector_store.json")
        with FlatVectorStore.from_persist_dir(tmp_path / "storage") as found:
            assert everything(found) == {expected}
    kept.close()


def test_storage_and_collection_moved_together(tmp_path):
    old = tmp_path / "old"
    with FlatVectorStore(path=old / "kb") as store:
        store.add(library())
        store.persist(old / "storage" / "default__vector_store.json")
    shutil.move(old, tmp_path / "new")
    with FlatVectorStore.from_persist_dir(tmp_path / "new" / "storage") as again:
        assert everything(again) == set(IDS)
    shutil.rmtree(tmp_path / "new" / "kb")
    with pytest.raises(NotACollectionError, match="default__vecx.json points to"):
        FlatVectorStore.from_persist_dir(tmp_path / "new" / "storage")


def test_what_was_never_persisted_or_is_damaged(tmp_path):
    with pytest.raises(NotACollectionError, match="'default'"):
        HNSWVectorStore.from_persist_dir(tmp_path)
    for body in ("no json", "[]", json.dumps({"format": 1})):
        (tmp_path / "default__vecx.json").write_text(body)
        with pytest.raises(FormatError, match="default__vecx.json is damaged"):
            HNSWVectorStore.from_persist_dir(tmp_path)


def test_another_kind_of_store_is_a_conflict(tmp_path):
    store = FlatVectorStore()
    store.add(library())
    store.persist(tmp_path / "default__vector_store.json")
    with pytest.raises(SettingsConflictError, match="flat"):
        HNSWVectorStore.from_persist_dir(tmp_path)


def test_a_remote_file_system_is_refused(tmp_path):
    remote = fsspec.filesystem("memory")
    store = FlatVectorStore()
    for call in (
        lambda: store.persist(str(tmp_path / "x"), fs=remote),
        lambda: FlatVectorStore.from_persist_dir(tmp_path, fs=remote),
        lambda: FlatVectorStore.from_persist_path(tmp_path / "x", fs=remote),
    ):
        with pytest.raises(UnsupportedError, match="memory"):
            call()
    store.persist(str(tmp_path / "x__y.json"), fs=fsspec.filesystem("file"))
    assert (tmp_path / "x__vecx").is_dir()


@pytest.mark.parametrize("durable", [True, False])
def test_a_whole_storage_context_comes_back(tmp_path, durable):
    store = HNSWVectorStore(path=tmp_path / "kb" if durable else None)
    embed = WordHashEmbedding()
    index = VectorStoreIndex.from_documents(
        DOCUMENTS,
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embed,
    )
    index.storage_context.persist(tmp_path / "storage")
    store.close()
    plain = StorageContext.from_defaults(persist_dir=str(tmp_path / "storage"))
    assert type(plain.vector_stores.get("default")).__name__ != "HNSWVectorStore"
    with HNSWVectorStore.from_persist_dir(tmp_path / "storage") as again:
        context = StorageContext.from_defaults(
            vector_store=again, persist_dir=str(tmp_path / "storage")
        )
        loaded = load_index_from_storage(context, embed_model=embed)
        hits = loaded.as_retriever(similarity_top_k=1).retrieve("the largest whale")
        assert hits[0].node.ref_doc_id == "whales"


def test_a_backup_is_whole_while_others_write(tmp_path):
    with FlatVectorStore(path=tmp_path / "kb") as store:
        store.add([node(f"0-{n}", vector=on_circle(n % 10)) for n in range(50)])
        stop = threading.Event()

        def write() -> None:
            batch = 0
            while not stop.is_set():
                batch += 1
                store.add([node(f"{batch}-{n}", vector=on_circle(n % 10)) for n in range(50)])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(5):
                store.client.backup(tmp_path / "copy")
                with FlatVectorStore(path=tmp_path / "copy") as copy:
                    assert len(copy) >= 50
                    assert len(copy) % 50 == 0
                    assert len(copy.get_nodes()) == len(copy)
        finally:
            stop.set()
            writer.join()


def test_a_backup_spares_what_is_not_its_own(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("friend")
    with FlatVectorStore(path=tmp_path / "kb") as store:
        store.add(library())
        with pytest.raises(NotACollectionError, match="dear.txt"):
            store.client.backup(tmp_path / "letters")
        with pytest.raises(InvalidInputError, match="the collection itself"):
            store.client.backup(tmp_path / "kb")
        assert everything(store) == set(IDS)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["kb", "letters"]
