"""ChromaVectorStore over a persistent client."""

from __future__ import annotations

from pathlib import Path

import chromadb
from llama_index.vector_stores.chroma import ChromaVectorStore

from ..faults import Fault, Peer
from .adapters import without_lists


class Plain(without_lists(ChromaVectorStore)):  # type: ignore[misc]
    """Stands in the module, so that it can be pickled."""


def _collection(folder: Path) -> chromadb.Collection:
    client = chromadb.PersistentClient(str(folder / "chroma"))
    return client.get_or_create_collection("books", configuration={"hnsw": {"space": "cosine"}})


def make(folder: Path, **settings: object) -> ChromaVectorStore:
    return Plain(chroma_collection=_collection(folder))


def by_itself(folder: Path, **settings: object) -> ChromaVectorStore:
    return ChromaVectorStore(chroma_collection=_collection(folder))


WRITES, FILTERS, MODES = "test_write_and_read.py", "test_filters.py", "test_modes.py"
PEER = Peer(
    "ChromaVectorStore",
    make,
    (
        Fault(
            "lists in metadata are refused",
            f"{WRITES}::test_every_node_added_is_found",
            "metadata tags must be one of",
            by_itself,
        ),
        Fault(
            "add silently keeps the old node of an id",
            f"{WRITES}::test_adding_an_id_again_replaces_the_node",
            r"assert \{'b8', 'b9'\} == \{'b0', 'b9'\}",
        ),
        Fault(
            "delete_nodes(filters) raises",
            f"{WRITES}::test_delete_nodes_by_filter",
            "Expected IDs to be a non-empty list",
        ),
        Fault("no not", f"{FILTERS}::test_condition[not]", "FilterCondition.NOT not supported"),
        Fault(
            "hybrid is silently dense",
            f"{MODES}::test_hybrid_is_reciprocal_rank_fusion_over_its_largest_value",
            "'b0' == 'b7'",
        ),
        Fault(
            "text_search and sparse are silently dense",
            f"{MODES}::test_text_search_returns_only_what_matches",
            r"assert \['b0', 'b1'.* == \['b5', 'b6'\]",
        ),
        Fault(
            "node_ids are ignored", f"{FILTERS}::test_node_ids_restrict", "Extra items in the left"
        ),
        Fault(
            "doc_ids are ignored", f"{FILTERS}::test_doc_ids_restrict", "Extra items in the left"
        ),
        Fault(
            "a pickled store comes back without its collection",
            f"{WRITES}::test_a_copy_has_the_nodes_or_is_refused[pickle]",
            "no attribute '_collection'",
        ),
    ),
    "llama-index-vector-stores-chroma",
)
