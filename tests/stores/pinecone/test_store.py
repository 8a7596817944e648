"""What the conformance suite can't know: ids, tenants, limits and secrets of Pinecone."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import sys
import threading
import time

import numpy as np
import pytest
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.schema import Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import HybridRetriever, PineconeVectorStore
from llamaindex_vecx.errors import (
    AccessDeniedError,
    InvalidInputError,
    MissingExtraError,
    MissingIndexError,
    SettingsConflictError,
    StorageError,
    UnsupportedError,
)
from llamaindex_vecx.observe import StageEvent
from llamaindex_vecx.stores.pinecone import search

from ...conformance.library import IDS, library, near, node, on_circle, says, together, where
from ...conformance.pinecone import encoder
from .conftest import KEY


def everything(store) -> set[str]:
    return {found.node_id for found in store.get_nodes()}


ODD_IDS = [
    "한국어/문서.txt_part_0",
    "a#b#c",
    "vecx64:x",
    "with space",
    "x" * 512,
    "tab\t",
    "nul\0",
    "é",
]


def test_node_ids_come_back_as_given(store):
    assert (
        store.add([node(id_, doc="문서", vector=on_circle(n)) for n, id_ in enumerate(ODD_IDS)])
        == ODD_IDS
    )
    assert [found.node_id for found in store.get_nodes(ODD_IDS)] == ODD_IDS
    assert store.query(near(0, 1)).ids == ODD_IDS[:1]
    assert set(store.query(near(0, 9, node_ids=ODD_IDS[:2])).ids) == set(ODD_IDS[:2])
    store.delete_nodes(ODD_IDS[:3])
    assert everything(store) == set(ODD_IDS[3:])
    store.delete("문서")
    assert everything(store) == set()


@pytest.mark.parametrize("id_", ["x" * 513, "가" * 200, ""])
def test_an_id_that_is_too_long_is_named_and_nothing_is_sent(store, id_):
    with pytest.raises(InvalidInputError, match="node id"):
        store.add([node("good"), node(id_)])
    assert everything(store) == set()
    assert store.get_nodes([id_]) == []
    store.delete_nodes([id_])


def test_a_zero_vector_is_refused_by_name(store):
    with pytest.raises(InvalidInputError, match="'empty' is a zero vector"):
        store.add([node("good"), node("empty", vector=[0.0] * 4)])
    assert everything(store) == set()


def test_namespaces_are_tenants(open_store, api):
    one, other = open_store(api=api, namespace="one"), open_store(api=api, namespace="other")
    one.add(library())
    other.add([node("b0", "another tenant's", doc="doc1", vector=on_circle(5))])
    assert set(one.query(near(0, 20)).ids) == set(IDS)
    assert [found.text for found in other.get_nodes()] == ["another tenant's"]
    one.delete("doc1")
    assert everything(other) == {"b0"}
    one.clear()
    assert (everything(one), everything(other)) == (set(), {"b0"})
    with other.with_namespace("one") as third:
        assert everything(third) == set()


def test_deleting_from_a_namespace_that_never_was_is_no_error(store):
    for delete in (store.clear, lambda: store.delete("doc"), lambda: store.delete_nodes(["x"])):
        delete()


# ---------------------------------------------------------------- opening


def test_an_index_that_is_there_opens_as_it_is(open_store, name, api, pinecone_local):
    open_store(api=api, metric="ip").add(library())
    store = PineconeVectorStore.from_existing_index(name, host=pinecone_local.url, api_key=KEY)
    with store:
        assert (store.metric, store.dim, store.api) == ("ip", 4, api)
        assert everything(store) == set(IDS)


def test_a_missing_index_is_named_with_those_there_are(open_store, name, pinecone_local):
    open_store()
    with pytest.raises(MissingIndexError, match=f"no index 'nowhere'; this project has: {name}"):
        PineconeVectorStore("nowhere", host=pinecone_local.url, api_key=KEY)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"dimension": 5}, "dimension=5 .* dimension=4"),
        ({"metric": "l2"}, "metric='l2' .* metric='cosine'"),
        ({"api": "documents"}, "api='documents' .* api='vectors'"),
    ],
)
def test_an_index_of_another_kind_is_a_conflict(open_store, asked, named):
    open_store()
    with pytest.raises(SettingsConflictError, match=named):
        open_store(**asked)


@pytest.mark.parametrize(
    ("settings", "error", "named"),
    [
        ({"metric": "manhattan"}, InvalidInputError, "metric='manhattan'"),
        ({"api": "grpc"}, InvalidInputError, "api='grpc'"),
        ({"dimension": None}, InvalidInputError, "dimension=None"),
        ({"batch_size": 0}, InvalidInputError, "batch_size=0"),
        ({"batch_size": 1001}, InvalidInputError, "batch_size=1001"),
        ({"namespace": 3}, InvalidInputError, "namespace must be a str, not int"),
    ],
)
def test_wrong_settings(open_store, settings, error, named):
    with pytest.raises(error, match=named):
        open_store(**settings)


def test_sparse_vectors_beside_euclidean_ones_are_refused(open_store):
    with pytest.raises(UnsupportedError, match="euclidean"):
        open_store(metric="l2", sparse_encoder=encoder())


def test_without_a_key_nothing_is_opened(monkeypatch, pinecone_local):
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)
    with pytest.raises(InvalidInputError, match="PINECONE_API_KEY"):
        PineconeVectorStore("x", host=pinecone_local.url)


def test_neither_or_both_of_name_and_index_is_refused(open_store):
    for arguments in ({}, {"index_name": "x", "pinecone_index": object()}):
        with pytest.raises(InvalidInputError, match="index_name, or pinecone_index"):
            PineconeVectorStore(api_key=KEY, **arguments)


def test_the_sdks_own_index_can_be_given(open_store, pinecone_local):
    from pinecone import Pinecone

    store = open_store(namespace="n")
    store.add(library())
    index = Pinecone(api_key=KEY, host=pinecone_local.url).index(store.index_name)
    with PineconeVectorStore(pinecone_index=index, namespace="n", host=pinecone_local.url) as again:
        assert again.index_name == store.index_name
        assert everything(again) == set(IDS)
    with pytest.raises(InvalidInputError, match=r"pinecone\.Index, not str"):
        PineconeVectorStore(pinecone_index="name", api_key=KEY)


# ---------------------------------------------------------------- secrets


def test_a_refused_key_is_reported_and_never_shown():
    from llamaindex_vecx.pinecone_local.server import PineconeLocal

    with (
        PineconeLocal(api_key="the right one") as server,
        pytest.raises(AccessDeniedError, match="401") as raised,
    ):
        PineconeVectorStore("x", host=server.url, api_key=KEY)
    assert raised.value.status == 401
    assert KEY not in str(raised.value)


def test_the_key_is_in_no_repr_no_log_and_no_dump(open_store, caplog):
    caplog.set_level(logging.DEBUG)
    store = open_store()
    store.add(library())
    store.query(near(0))
    shown = [repr(store), str(store), store.to_json(), repr(vars(store)), repr(store.client)]
    shown += [repr(store._connection), caplog.text]
    for text in shown:
        assert KEY not in text
    assert caplog.text, "nothing was logged, so nothing was shown"


def test_a_pickle_holds_no_key(open_store, monkeypatch):
    store = open_store()
    store.add(library())
    with pytest.raises(UnsupportedError, match="api_key"):
        pickle.dumps(store)
    monkeypatch.setenv("PINECONE_API_KEY", KEY)
    pickled = pickle.dumps(store)
    assert KEY.encode() not in pickled
    with pickle.loads(pickled) as again:
        assert everything(again) == set(IDS)


def test_copies_are_independent(filled):
    copied = copy.deepcopy(filled)
    filled.close()
    assert everything(copied) == set(IDS)
    copied.close()


# ---------------------------------------------------------------- what Pinecone can't


def test_a_text_over_forty_kilobytes_names_its_node(store):
    with pytest.raises(InvalidInputError, match="'long' takes 104,... bytes .*40,960.*docstore"):
        store.add([node("short"), node("long", "긴 글 " * 13_000)])
    assert everything(store) == set()


def test_a_docstore_keeps_what_is_too_long(open_store, api):
    docstore = SimpleDocumentStore()
    store = open_store(api=api, docstore=docstore)
    long = node("long", "긴 글 " * 13_000, doc="d", vector=on_circle(1), year=1999)
    store.add([node("short", doc="d"), long])
    assert [key.split("/")[-1] for key in docstore.docs] == ["long"]
    (found,) = store.get_nodes(["long"])
    assert found.text == long.text
    assert found.model_dump(exclude={"embedding"}) == long.model_dump(exclude={"embedding"})
    assert store.query(near(1, 1)).nodes[0].text == long.text
    with pytest.raises(StorageError, match="'long'.*docstore"):
        open_store(api=api).get_nodes()
    store.delete("d")
    assert docstore.docs == {}
    store.add([long])
    store.clear()
    assert docstore.docs == {}


async def test_a_file_keeps_what_is_too_long(open_store, tmp_path):
    path = tmp_path / "texts.db"
    long = node("long", "긴 글 " * 13_000, vector=on_circle(1))
    store = open_store(docstore=path)
    store.add([long])
    again = open_store(docstore=str(path))
    (found,) = await again.aget_nodes()
    assert found.text == long.text
    await again.async_add([node("long", "shorter " * 6_000)])
    assert store.get_nodes()[0].text == "shorter " * 6_000
    await again.aclear()
    assert again.docstore.docs == {}
    await again.aclose()
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=r"texts\.db"):
        open_store(docstore=path)


async def test_tenants_may_share_a_docstore(open_store):
    docstore = SimpleDocumentStore()
    stores = [open_store(docstore=docstore, namespace=name) for name in ("one", "other")]
    for store in stores:
        await store.async_add([node("same", f"{store.namespace}'s " * 6_000)])
    await stores[0].adelete_nodes(["same"])
    assert await stores[0].aget_nodes() == []
    (kept,) = await stores[1].aget_nodes()
    assert kept.text == "other's " * 6_000
    for store in stores:
        await store.aclose()


def test_metadata_too_large_even_without_text(open_store):
    store = open_store(docstore=SimpleDocumentStore())
    with pytest.raises(InvalidInputError, match="'wide'"):
        store.add([node("wide", list_=["x" * 50_000])])


@pytest.mark.parametrize("count", ["similarity_top_k", "hybrid_top_k", "sparse_top_k"])
def test_more_than_ten_thousand_is_refused_before_it_is_sent(store, count):
    query = VectorStoreQuery(query_embedding=on_circle(0), similarity_top_k=1)
    setattr(query, count, 10_001)
    with pytest.raises(InvalidInputError, match=f"{count}=10001"):
        store.query(query)


def test_modes_the_index_cannot_answer_are_named(open_store):
    store = open_store()
    store.add(library())
    for mode in ("text_search", "sparse", "hybrid"):
        query = says("whale", mode=mode)
        query.query_embedding = on_circle(0)
        with pytest.raises(UnsupportedError, match=f"{mode}.*sparse_encoder"):
            store.query(query)
    with_encoder = PineconeVectorStore(
        store.index_name, host=store.host, api_key=KEY, sparse_encoder=encoder()
    )
    with with_encoder, pytest.raises(UnsupportedError, match="holds none"):
        with_encoder.query(says("whale"))


def test_an_index_of_sparse_vectors_alone(open_store):
    store = open_store(dimension=None, sparse_encoder=encoder())
    store.add(library())
    assert set(store.query(says("telescopes", 10)).ids) == {"b5", "b6"}
    with pytest.raises(UnsupportedError, match="sparse vectors alone"):
        store.query(near(0))
    with pytest.raises(InvalidInputError, match="'mute' has no term"):
        store.add([node("mute", "…")])


def test_the_documents_apis_own_text_search(open_store):
    store = open_store(api="documents")
    store.add(library())
    assert set(store.query(says("telescope", 10)).ids) == {"b5", "b6"}
    old = together("and", where("year", "<", 1982))
    assert store.query(says("telescope", 10, filters=old)).ids == ["b5"]
    hybrid = says("telescope", 3, "hybrid")
    hybrid.query_embedding = on_circle(0)
    assert {"b5", "b6"} & set(store.query(hybrid).ids)
    with pytest.raises(UnsupportedError, match="'sparse' needs"):
        store.query(says("telescope", mode="sparse"))


def test_embeddings_come_back_at_their_length(open_store):
    store = open_store(sparse_encoder=encoder())
    store.add([node("long", vector=[3.0, 4.0, 0.0, 0.0])])
    np.testing.assert_allclose(store.get_nodes(["long"])[0].embedding, [3, 4, 0, 0], rtol=1e-6)
    result = store.query(near(0, 1, output_fields=["embedding"]))
    np.testing.assert_allclose(result.nodes[0].embedding, [3, 4, 0, 0], rtol=1e-6)
    np.testing.assert_allclose(result.similarities, [0.6], rtol=1e-5)


# ---------------------------------------------------------------- refilling


@pytest.fixture
def rare(store):
    """300 nodes; one in a hundred has the word that Pinecone can't look for."""
    store.add(
        [
            node(f"n{n:03}", "text", vector=on_circle(n, 300), note="a rare word" if n % 100 == 99 else "no")
            for n in range(300)
        ]
    )  # fmt: skip
    return store


RARE = together("and", where("note", "text_match", "rare"))


def test_k_come_back_however_rare_the_matches(rare):
    assert rare.query(near(0, 3, filters=RARE)).ids == ["n099", "n199", "n299"]
    assert rare.query(near(0, 2, filters=RARE)).ids == ["n099", "n199"]
    assert len(rare.query(near(0, 5, filters=RARE)).ids) == 3


def test_beyond_what_pinecone_returns_the_rest_is_read(rare, monkeypatch):
    """As if its most were 40: the matches are all further away."""
    monkeypatch.setattr(search, "MAX_TOP_K", 40)
    result = rare.query(near(0, 3, filters=RARE))
    assert result.ids == ["n099", "n199", "n299"]
    expected = [np.cos(np.pi * n / 300) for n in (99, 199, 299)]
    np.testing.assert_allclose(result.similarities, expected, atol=1e-5)


def test_many_are_read_in_parts(rare):
    assert len(rare.query(near(0, 250)).nodes) == 250
    assert len(rare.get_nodes()) == 300


# ---------------------------------------------------------------- freshness and asyncio


def test_wait_until_fresh_waits_for_what_was_written(store, pinecone_local):
    pinecone_local.faults.consistency = 0.7
    store.add(library())
    began = time.monotonic()
    store.wait_until_fresh(20)
    assert set(store.query(near(0, 20)).ids) == set(IDS)
    assert time.monotonic() - began > 0.2, "it was fresh at once, so nothing was waited for"
    store.delete("doc1")
    store.wait_until_fresh(20)
    assert set(store.query(near(0, 20)).ids) == set(IDS) - {"b0", "b1"}
    store.clear()
    store.wait_until_fresh(20)
    assert store.query(near(0, 20)).ids == []


async def test_await_until_fresh(store, pinecone_local):
    pinecone_local.faults.consistency = 0.5
    await store.async_add(library())
    await store.await_until_fresh(20)
    assert set((await store.aquery(near(0, 20))).ids) == set(IDS)
    await store.aclose()


def test_waiting_ends(store, pinecone_local):
    pinecone_local.faults.consistency = 60
    store.add(library()[:1])
    with pytest.raises(RuntimeError, match="after 0.3 s"):
        store.wait_until_fresh(0.3)


async def test_many_slow_requests_share_the_loop_and_start_no_thread(filled, pinecone_local):
    pinecone_local.faults.latency = 0.3
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticker = asyncio.create_task(tick())
    began = time.monotonic()
    answers = await asyncio.gather(*(filled.aquery(near(n % 10, 2)) for n in range(20)))
    took = time.monotonic() - began
    threads = [thread.name for thread in threading.enumerate()]
    ticker.cancel()
    assert {len(answer.ids) for answer in answers} == {2}
    assert took < 20 * 0.3, "one after the other"
    assert ticks > 5, "the loop stood still"
    assert not [name for name in threads if name.startswith("vecx-")], (
        "ours; the server's don't count"
    )
    await filled.aclose()


async def test_an_index_of_llama_index_over_it(store):
    context = StorageContext.from_defaults(vector_store=store)
    documents = [Document(text=f"page {n}", id_=f"doc{n}") for n in (1, 10)]
    index = VectorStoreIndex.from_documents(
        documents, storage_context=context, embed_model=MockEmbedding(4)
    )
    retriever = index.as_retriever(similarity_top_k=5)
    assert {hit.node.ref_doc_id for hit in await retriever.aretrieve("page")} == {"doc1", "doc10"}
    index.delete_ref_doc("doc1")
    assert {hit.node.ref_doc_id for hit in retriever.retrieve("page")} == {"doc10"}
    await store.aclose()


def test_a_hybrid_retriever_over_it(filled):
    class Embeds(MockEmbedding):
        def _get_query_embedding(self, query):
            return on_circle(0)

    retriever = HybridRetriever.from_store(filled, Embeds(4), similarity_top_k=3)
    found = [hit.node.node_id for hit in retriever.retrieve("telescope observatory")]
    assert {"b0", "b6"} <= set(found), "nearest, and best by words"


# ---------------------------------------------------------------- what is told


def test_events_are_those_of_the_other_stores(store):
    heard = []

    class Listener(BaseEventHandler):
        def handle(self, event, **kwargs):
            heard.append(event)

    listener = Listener()
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(listener)
    try:
        store.add(library())
        store.query(near(0, 2))
        store.delete("doc1")
        store.delete_nodes(["b2", "b3"])
        store.clear()
        with pytest.raises(InvalidInputError):
            store.query(near(0, 0))
    finally:
        dispatcher.event_handlers.remove(listener)
    stages = [event for event in heard if isinstance(event, StageEvent)]
    stages = [
        event for event in stages if event.stage != "request"
    ]  # the server's, in this process
    assert [event.stage for event in stages] == ["add", "query", "delete", "delete", "clear"]
    assert {event.component for event in stages} == {"PineconeVectorStore"}
    assert stages[0].ids == IDS
    assert stages[1].ids == ["b0", "b1"]
    assert stages[3].counts == {"nodes": 2}
    assert KEY not in repr(stages)


def test_a_bar_is_shown_on_request(store, capsys):
    store.add(library())
    assert "Upserting" not in capsys.readouterr().out
    store.add(library(), show_progress=True)
    said = capsys.readouterr().out
    assert "Upserting" in said
    assert "10/10" in said


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pinecone", None)
    with pytest.raises(MissingExtraError, match=r"llamaindex-vecx\[pinecone\]"):
        PineconeVectorStore("kb", api_key=KEY)
