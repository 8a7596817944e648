"""LanceDBVectorStore."""

from __future__ import annotations

from pathlib import Path

from llama_index.vector_stores.lancedb import LanceDBVectorStore

from ..faults import Fault, Peer
from .adapters import without_lists


def make(folder: Path, **settings: object) -> LanceDBVectorStore:
    return without_lists(LanceDBVectorStore)(uri=str(folder / "lance"), mode="create")


def by_itself(folder: Path, **settings: object) -> LanceDBVectorStore:
    return LanceDBVectorStore(uri=str(folder / "lance"), mode="create")


WRITES, FILTERS = "test_write_and_read.py", "test_filters.py"
PEER = Peer(
    "LanceDBVectorStore",
    make,
    (
        Fault(
            "the import needs pandas, which it does not declare",
            "test_imports.py::test_the_import_needs_only_what_is_declared",
            "pandas is imported and not declared",
            by_itself,
        ),
        Fault(
            "delete(ref_doc_id) always fails",
            f"{WRITES}::test_delete_takes_the_whole_document_and_no_other",
            "No field named doc1",
        ),
        Fault(
            "delete_nodes always fails", f"{WRITES}::test_delete_nodes_by_id", "No field named b3"
        ),
        Fault(
            "get_nodes(ids) always fails",
            f"{WRITES}::test_get_nodes_keeps_the_order_asked_and_leaves_out_the_unknown",
            "No field named b7",
        ),
        Fault(
            "not silently runs as and",
            f"{FILTERS}::test_condition[not of one]",
            r"assert \['b0', 'b1', 'b2', 'b5', 'b7'\] == ",
        ),
        Fault(
            "!= is a substring match",
            f"{FILTERS}::test_operator[lang != e]",
            "Right contains 6 more items",
        ),
        Fault(
            "a quote in a value is SQL injection",
            f"{FILTERS}::test_a_value_is_never_taken_for_code[x' OR '1'='1-==]",
            "Left contains 10 more items",
        ),
        Fault(
            "adding an id again duplicates it",
            f"{WRITES}::test_adding_an_id_again_replaces_the_node",
            r"assert \['b0'\] == \['b1'\]",
        ),
        Fault(
            "a metadata key first seen in a later batch raises",
            f"{WRITES}::test_metadata_may_have_keys_that_earlier_batches_had_not",
            "field 'b' does not exist",
        ),
        Fault(
            "an empty result raises",
            f"{FILTERS}::test_operator[lang == nobody]",
            "Warning: query results are empty",
        ),
        Fault(
            "lists in metadata are refused",
            f"{WRITES}::test_every_node_added_is_found",
            "metadata tags must be one of",
            by_itself,
        ),
    ),
    "llama-index-vector-stores-lancedb",
)
