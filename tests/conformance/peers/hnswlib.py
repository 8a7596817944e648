"""HnswlibVectorStore, as its documentation makes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llama_index.vector_stores.hnswlib import HnswlibVectorStore

from ..faults import Fault, Peer
from .adapters import by_name


def make(folder: Path, metric: Any = "cosine") -> HnswlibVectorStore:
    return by_name(HnswlibVectorStore).from_params(metric, 4, 1000)


WRITES, FILTERS = "test_write_and_read.py", "test_filters.py"
PEER = Peer(
    "HnswlibVectorStore",
    make,
    (
        Fault("filters raise", f"{FILTERS}::test_condition[and]", "filters not implemented"),
        Fault(
            "nothing can be deleted: delete",
            f"{WRITES}::test_delete_takes_the_whole_document_and_no_other",
            "Delete not yet implemented",
        ),
        Fault(
            "nothing can be deleted: delete_nodes",
            f"{WRITES}::test_delete_nodes_by_id",
            "delete_nodes not implemented",
        ),
        Fault(
            "distance stands as similarity: the best is the lowest",
            f"{WRITES}::test_nearest_come_first_and_higher_is_better",
            r"assert \[0\.00\d+",
        ),
        Fault(
            "distance stands as similarity: of a vector to itself it is 0",
            f"{WRITES}::test_cosine_similarity_is_the_cosine",
            r"ACTUAL: array\((0\.|-?[1-9.]+e-\d+)\)",
        ),
        Fault(
            "a query of an empty store raises",
            f"{WRITES}::test_an_empty_store_answers_with_nothing",
            "RuntimeError: Cannot return the results",
        ),
        Fault(
            "asking for more than there is raises",
            f"{WRITES}::test_asking_for_more_than_there_is_gives_all",
            "RuntimeError: Cannot return the results",
        ),
        Fault(
            "it can't grow over the size it was made with",
            f"{WRITES}::test_a_store_grows_as_far_as_is_asked",
            "RuntimeError: The number of elements exceeds the specified limit",
        ),
    ),
    "llama-index-vector-stores-hnswlib",
)
