"""SimpleVectorStore, which comes with LlamaIndex: its faults are part of every test run."""

from __future__ import annotations

from pathlib import Path

from llama_index.core.vector_stores import SimpleVectorStore

from ..faults import Fault, Peer


def make(folder: Path, **settings: object) -> SimpleVectorStore:
    return SimpleVectorStore()


PEER = Peer(
    "SimpleVectorStore",
    make,
    (
        Fault(
            "nested filters raise",
            "test_filters.py::test_nesting",
            "Nested MetadataFilters are not supported",
        ),
        Fault(
            "get_nodes is missing",
            "test_write_and_read.py::test_get_nodes_keeps_the_order_asked_and_leaves_out_the_unknown",
            "NotImplementedError",
        ),
        Fault(
            "delete_nodes() without arguments wipes all",
            "test_write_and_read.py::test_delete_nodes_of_nothing_in_particular_raises",
            "DID NOT RAISE",
        ),
        Fault(
            "mmr ignores query.mmr_threshold",
            "test_modes.py::test_mmr_picks_by_the_threshold_of_the_query",
            r"\['a', 'other'\] == \['a', 'twin of a'\]",
        ),
        Fault(
            "hybrid raises",
            "test_modes.py::test_pools_and_sizes_of_hybrid",
            "Invalid query mode",
        ),
        Fault(
            "doc_ids are ignored",
            "test_filters.py::test_doc_ids_restrict",
            "Extra items in the left",
        ),
        Fault(
            "> on a string is a TypeError",
            "test_filters.py::test_types_that_cannot_be_compared_do_not_match",
            "TypeError",
        ),
        Fault(
            "node_ids=[] finds nothing",
            "test_filters.py::test_an_empty_list_of_node_ids_means_unrestricted",
            "assert 0 == 10",
        ),
        Fault(
            "mode logistic_regression is svm",
            "test_modes.py::test_learners_rank_as_llama_index_does[logistic_regression]",
            r"\['b3', 'b4', 'b2'\] == \['b4', 'b3', 'b5'\]",
        ),
        Fault(
            "aquery blocks the event loop",
            "test_async.py::test_the_event_loop_runs_while_a_query_waits",
            "event loop",
        ),
    ),
)
