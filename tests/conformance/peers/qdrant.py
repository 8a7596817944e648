"""QdrantVectorStore over the client's local mode."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from llama_index.vector_stores.qdrant import QdrantVectorStore
from pydantic import PrivateAttr
from qdrant_client import QdrantClient

from ..faults import Fault, Peer


class Renamed(QdrantVectorStore):
    """Translates the suite's ids to the UUIDs that Qdrant wants, and back."""

    _names: dict[str, str] = PrivateAttr(default_factory=dict)

    def _uuid(self, id_: str) -> str:
        made = str(uuid.uuid5(uuid.NAMESPACE_OID, id_))
        self._names[made] = id_
        return made

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        renamed = [node.model_copy(update={"id_": self._uuid(node.node_id)}) for node in nodes]
        return [self._names[id_] for id_ in super().add(renamed, **kwargs)]

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        shard_identifier: Any = None,
        **delete_kwargs: Any,
    ) -> None:
        ids = None if node_ids is None else [self._uuid(id_) for id_ in node_ids]
        super().delete_nodes(ids, filters, shard_identifier, **delete_kwargs)

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        result = super().query(query, **kwargs)
        result.ids = [self._names[id_] for id_ in result.ids or []]
        return result


def make(folder: Path, **settings: object) -> QdrantVectorStore:
    return Renamed(collection_name="books", client=QdrantClient(path=str(folder / "qdrant")))


def by_itself(folder: Path, **settings: object) -> QdrantVectorStore:
    return QdrantVectorStore(
        collection_name="books", client=QdrantClient(path=str(folder / "qdrant"))
    )


WRITES, FILTERS, MODES = "test_write_and_read.py", "test_filters.py", "test_modes.py"
PEER = Peer(
    "QdrantVectorStore",
    make,
    (
        Fault(
            "ids must be UUIDs",
            f"{WRITES}::test_add_returns_the_ids_in_order",
            "b0 is not a valid UUID",
            by_itself,
        ),
        Fault("no any", f"{FILTERS}::test_operator[tags any ['sea', 'walk']]", "ANY is not supp"),
        Fault("no all", f"{FILTERS}::test_operator[tags all ['sea', 'whale']]", "ALL is not supp"),
        Fault(
            "no contains", f"{FILTERS}::test_operator[tags contains walk]", "CONTAINS is not supp"
        ),
        Fault(
            "!= drops nodes without the key",
            f"{FILTERS}::test_operator[year != 1851]",
            "Right contains one more item: 'b9'",
        ),
        Fault(
            "nin drops nodes without the key",
            f"{FILTERS}::test_operator[year nin [1980, 1985]]",
            "Right contains one more item: 'b9'",
        ),
        Fault(
            "delete_nodes() without arguments wipes all",
            f"{WRITES}::test_delete_nodes_of_nothing_in_particular_raises",
            "DID NOT RAISE",
        ),
        Fault(
            "mmr is silently dense",
            f"{MODES}::test_mmr_picks_by_the_threshold_of_the_query",
            r"\['a', 'twin of a'\] == \['a', 'other'\]",
        ),
        Fault(
            "text_search and sparse are silently dense",
            f"{MODES}::test_text_search_returns_only_what_matches",
            r"assert \['b0', 'b1'.* == \['b5', 'b6'\]",
        ),
        Fault(
            "a pickled store comes back without its client",
            f"{WRITES}::test_a_copy_has_the_nodes_or_is_refused[pickle]",
            "no attribute '_client'",
        ),
    ),
    "llama-index-vector-stores-qdrant",
)
