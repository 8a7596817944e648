"""Indexes that other software wrote: LlamaIndex's own Pinecone store, and whoever keeps texts there."""

from __future__ import annotations

import pytest
from llama_index.core.vector_stores.utils import node_to_metadata_dict

from llamaindex_vecx import PineconeVectorStore

from ...conformance.library import (
    BOOKS,
    IDS,
    OPERATORS,
    library,
    near,
    node,
    on_circle,
    says,
    together,
    where,
)
from ...conformance.pinecone import encoder
from .conftest import KEY

TAGLESS = ("b5", "b6")  # an empty list, and none: Pinecone is told of neither
ACCEPTED = [
    {key: value for key, value in metadata.items() if value is not None and value != []}
    for *_, metadata in BOOKS
]


def as_llama_index_writes(index) -> None:
    """The records of llama-index-vector-stores-pinecone 0.9, without it."""
    vectors = []
    for member, metadata in zip(library(), ACCEPTED, strict=True):
        member.metadata = metadata
        written = node_to_metadata_dict(member)
        id_ = f"{member.ref_doc_id}#{member.node_id}"
        vectors.append({"id": id_, "values": member.embedding, "metadata": written})
    index.upsert(vectors=vectors, namespace="theirs")


def by_llama_index_itself(index) -> None:
    theirs = pytest.importorskip(
        "llama_index.vector_stores.pinecone", reason="see make conformance-pinecone"
    )
    nodes = library()
    for member, metadata in zip(nodes, ACCEPTED, strict=True):
        member.metadata = metadata
    theirs.PineconeVectorStore(pinecone_index=index, namespace="theirs").add(nodes)


@pytest.fixture(params=[as_llama_index_writes, by_llama_index_itself])
def theirs(request, open_store, pinecone_local) -> PineconeVectorStore:
    made = open_store()
    request.param(made.client)
    return open_store(index_name=made.index_name, namespace="theirs")


def everything(store) -> set[str]:
    return {found.node_id for found in store.get_nodes()}


def test_nodes_come_back_under_their_own_ids(theirs):
    assert theirs.document_ids
    assert theirs.query(near(3.2, 4)).ids == ["b3", "b4", "b2", "b5"]
    nodes = theirs.get_nodes(["b7", "nobody", "b2"])
    assert [found.node_id for found in nodes] == ["b7", "b2"]
    assert nodes[0].text == "Poems about rain"
    assert nodes[0].ref_doc_id == "doc4"
    assert set(theirs.query(near(0, 10, node_ids=["b7", "b8", "no"])).ids) == {"b7", "b8"}
    assert set(theirs.query(near(0, 10, doc_ids=["doc1"])).ids) == {"b0", "b1"}


def test_every_operator(theirs):
    for condition, expected in OPERATORS:
        for joined, matching in (("and", set(expected)), ("not", set(IDS) - set(expected))):
            filters = together(joined, condition)
            found = theirs.query(near(5, 10, filters=filters)).ids
            assert sorted(found) == sorted(matching), (joined, condition)


def test_delete_takes_the_whole_document_and_no_other(theirs):
    theirs.delete("doc1")
    assert everything(theirs) == set(IDS) - {"b0", "b1"}
    theirs.delete_nodes(["b2"])
    theirs.delete_nodes(filters=together("and", where("lang", "==", "ko")))
    assert everything(theirs) == set(IDS) - {"b0", "b1", "b2", "b3", "b4"}


def test_what_is_added_again_is_replaced(theirs):
    assert theirs.add([node("b0", "new", doc="doc1", vector=on_circle(9))]) == ["b0"]
    assert everything(theirs) == set(IDS)
    assert theirs.get_nodes(["b0"])[0].text == "new"


def test_llama_indexs_store_reads_what_ours_wrote(open_store):
    theirs = pytest.importorskip(
        "llama_index.vector_stores.pinecone", reason="see make conformance-pinecone"
    )
    store = open_store(namespace="ours")
    store.add(library())
    other = theirs.PineconeVectorStore(pinecone_index=store.client, namespace="ours")
    result = other.query(near(3.2, 4))
    assert [found.node_id for found in result.nodes] == ["b3", "b4", "b2", "b5"]
    assert [found.text for found in result.nodes] == [BOOKS[n][2] for n in (3, 4, 2, 5)]


def test_records_of_other_software_are_text_nodes(open_store, api):
    store = open_store(api=api, text_key="chunk", sparse_encoder=encoder())
    if api == "vectors":
        vector = {"id": "theirs", "values": on_circle(1), "metadata": {"chunk": "words", "year": 3}}
        store.client.upsert(vectors=[vector])
    else:
        from llamaindex_vecx.stores.pinecone.sdk import documents_of

        document = {"_id": "theirs", "embedding": on_circle(1), "chunk": "words", "year": 3}
        documents_of(store.client).upsert(namespace=store.namespace, documents=[document])
    (found,) = store.query(near(1)).nodes
    assert (found.node_id, found.text, found.metadata) == ("theirs", "words", {"year": 3})
    old = together("and", where("year", "<", 5))
    assert store.query(near(1, filters=old)).ids == ["theirs"]
    store.add([node("ours", "whale")])
    assert store.query(says("whale")).ids == ["ours"]
    with PineconeVectorStore(
        store.index_name, host=store.host, api_key=KEY, text_key="chunk"
    ) as again:
        assert not again.document_ids
        assert everything(again) == {"theirs", "ours"}
