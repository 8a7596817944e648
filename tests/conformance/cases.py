"""The stores that the suite runs against, and what each claims to do.

To join, append a :class:`StoreCase`. A test names the claims it needs and runs against every case that
makes them: nothing is skipped silently, and a claim that doesn't hold fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore, PineconeVectorStore

from .faiss_stores import trained, untrained, wide
from .pinecone import ThroughAsync, opener

CLAIMS = {
    "async": "async methods do not block the event loop",
    "clear": "clear() empties the store",
    "declared": "the import needs only what the package declares",
    "delete_nodes": "delete_nodes(node_ids) deletes",
    "delete_by_filter": "delete_nodes(filters=…) deletes",
    "doc_ids": "query.doc_ids restricts",
    "durable": "a store opened at the same place again has the nodes",
    "filters": "a flat list of filters, all operators, and / or / not",
    "get_nodes": "get_nodes by id and filter, with embeddings",
    "hybrid": "mode hybrid",
    "learners": "modes svm, logistic_regression, linear_regression",
    "metrics": "ip and l2 beside cosine",
    "mixed_types": "a filter on a key of mixed types matches or not, never raises",
    "mmr": "mode mmr, with query.mmr_threshold",
    "nested_filters": "filters nest",
    "node_ids": "query.node_ids restricts",
    "nodes": "results hold the nodes, not their ids alone",
    "semantic_hybrid": "mode semantic_hybrid with the store's reranker",
    "strict": "wrong input raises and changes nothing",
    "text_search": "modes text_search and sparse",
    "zero_vectors": "a vector of zeros is stored, and similar to nothing",
}


@dataclass(frozen=True)
class StoreCase:
    """One store: its name, how to make one at a folder, and its claims."""

    name: str
    make: Callable[..., BasePydanticVectorStore]
    """Called as ``make(folder, **settings)``; settings only where ``metrics`` is claimed."""
    claims: frozenset[str]
    distribution: str = "llamaindex-vecx"
    """What the store was installed by."""

    def __str__(self) -> str:
        return self.name


def _durable(cls: type[BasePydanticVectorStore]) -> Callable[..., BasePydanticVectorStore]:
    return lambda folder, **settings: cls(path=folder / "kb", **settings)


def _in_memory(cls: type[BasePydanticVectorStore]) -> Callable[..., BasePydanticVectorStore]:
    return lambda folder, **settings: cls(**settings)


def _simple(folder: Path) -> BasePydanticVectorStore:
    return SimpleVectorStore()


ALL = frozenset(CLAIMS)
PINECONE = ALL - {"zero_vectors"}
WITHOUT_TEXT = {"text_search", "hybrid", "semantic_hybrid"}

CASES = [
    StoreCase("hnsw", _durable(HNSWVectorStore), ALL),
    StoreCase("hnsw-memory", _in_memory(HNSWVectorStore), ALL - {"durable"}),
    StoreCase("flat", _durable(FlatVectorStore), ALL),
    StoreCase("flat-memory", _in_memory(FlatVectorStore), ALL - {"durable"}),
    StoreCase("faiss-Flat", untrained("Flat"), ALL),
    StoreCase("faiss-HNSW32", untrained("HNSW32"), ALL),
    StoreCase("faiss-IVF256,Flat", trained("IVF256,Flat", 4), ALL),
    StoreCase("faiss-IVF256,PQ48", wide(trained("IVF256,PQ48", 48)), ALL),
    StoreCase("faiss-SQ8", trained("SQ8", 4), ALL),
    StoreCase("faiss-PQ4x4fs,RFlat", trained("PQ4x4fs,RFlat", 4), ALL),
    StoreCase(
        "SimpleVectorStore",
        _simple,
        frozenset({"clear", "delete_nodes", "delete_by_filter", "filters", "node_ids"}),
    ),
]

PINECONE_CASES = [
    StoreCase(
        "pinecone-hybrid",
        opener(PineconeVectorStore, "vectors", sparse=True),
        PINECONE - {"metrics"},
    ),
    StoreCase(
        "pinecone-documents-async",
        opener(ThroughAsync, "documents", sparse=True),
        PINECONE - {"declared"},
    ),
    StoreCase(
        "pinecone-vectors",
        opener(PineconeVectorStore, "vectors", sparse=False),
        PINECONE - WITHOUT_TEXT,
    ),
    StoreCase(
        "pinecone-documents", opener(PineconeVectorStore, "documents", sparse=True), PINECONE
    ),
    StoreCase(
        "pinecone-hybrid-async",
        opener(ThroughAsync, "vectors", sparse=True),
        PINECONE - {"metrics", "declared"},
    ),
]
"""Both data APIs, sync and async. ``make test`` runs two, ``make conformance-pinecone`` all."""

CASES += PINECONE_CASES if os.environ.get("VECX_PINECONE") == "all" else PINECONE_CASES[:2]
