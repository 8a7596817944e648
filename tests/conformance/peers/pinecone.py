"""LlamaIndex's own PineconeVectorStore, over SDK 9.1 and the local server."""

from __future__ import annotations

from hashlib import blake2s
from pathlib import Path
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.vector_stores.pinecone import PineconeVectorStore

from llamaindex_vecx import PineconeVectorStore as Ours

from ..faults import Fault, Peer
from ..pinecone import DIM, server_url


class WithoutNothing(PineconeVectorStore):
    """Is given the suite's books without the values that Pinecone refuses: None and empty lists."""

    def add(self, nodes: list[BaseNode], **kwargs: Any) -> list[str]:
        kept = [
            {key: value for key, value in node.metadata.items() if value not in (None, [])}
            for node in nodes
        ]
        given = [
            node.model_copy(update={"metadata": metadata})
            for node, metadata in zip(nodes, kept, strict=True)
        ]
        return super().add(given, **kwargs)


def opened(cls: type[PineconeVectorStore], folder: Path) -> PineconeVectorStore:
    index = Ours.create_if_missing("theirs", dimension=DIM, host=server_url(), api_key="local")
    namespace = blake2s(str(folder).encode(), digest_size=8).hexdigest()
    return cls(pinecone_index=index.client, namespace=namespace)


def make(folder: Path, **settings: object) -> PineconeVectorStore:
    return opened(WithoutNothing, folder)


def by_itself(folder: Path, **settings: object) -> PineconeVectorStore:
    return opened(PineconeVectorStore, folder)


WRITES, FILTERS, MODES = "test_write_and_read.py", "test_filters.py", "test_modes.py"
PEER = Peer(
    "LlamaIndex's PineconeVectorStore",
    make,
    (
        Fault(
            "add returns ids that no node has",
            f"{WRITES}::test_add_returns_the_ids_in_order",
            r"assert \['doc1#b0'",
        ),
        Fault(
            "a node with an empty metadata value can't be added",
            f"{WRITES}::test_every_node_added_is_found",
            "RuntimeError: Pinecone upsert failed",
            by_itself,
        ),
        Fault(
            "no get_nodes by id",
            f"{WRITES}::test_get_nodes_keeps_the_order_asked_and_leaves_out_the_unknown",
            "Getting nodes by node id not supported",
        ),
        Fault("no any", f"{FILTERS}::test_operator[tags any ['sea', 'walk']]", "ANY not supp"),
        Fault("no all", f"{FILTERS}::test_operator[tags all ['sea', 'whale']]", "ALL not supp"),
        Fault("no contains", f"{FILTERS}::test_operator[tags contains walk]", "CONTAINS not supp"),
        Fault("no text_match", f"{FILTERS}::test_operator[lang text_match e]", "TEXT_MATCH not"),
        Fault("no is_empty", f"{FILTERS}::test_operator[lang is_empty None]", "IS_EMPTY not supp"),
        Fault("no not", f"{FILTERS}::test_condition[not]", "NOT not supported"),
        Fault(
            "no comparison of strings",
            f"{FILTERS}::test_operator[lang > en]",
            "must be followed by a number",
        ),
        Fault(
            "node_ids are ignored",
            f"{FILTERS}::test_node_ids_restrict",
            "doc1#b0",
        ),
        Fault(
            "doc_ids are ignored",
            f"{FILTERS}::test_doc_ids_restrict",
            "doc2#b3",
        ),
        Fault(
            "delete_nodes() without arguments does nothing and says so to nobody",
            f"{WRITES}::test_delete_nodes_of_nothing_in_particular_raises",
            "DID NOT RAISE",
        ),
        Fault(
            "text_search and sparse ask with a zero vector, to which all are alike",
            f"{MODES}::test_text_search_returns_only_what_matches",
            r"assert \['doc1#b0'",
        ),
        Fault(
            "async methods block the event loop",
            "test_async.py::test_the_event_loop_runs_while_a_query_waits",
            "in the event loop's thread",
        ),
    ),
    "llama-index-vector-stores-pinecone",
)
