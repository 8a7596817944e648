"""Retrievers over any LlamaIndex vector store or retriever, not only ours."""

from llamaindex_vecx.retrievers.bm25 import BM25Retriever
from llamaindex_vecx.retrievers.engine import hybrid_query_engine
from llamaindex_vecx.retrievers.hybrid import HybridRetriever
from llamaindex_vecx.retrievers.nodes import FusedNode, SourceHit
from llamaindex_vecx.retrievers.store import StoreRetriever
from llamaindex_vecx.retrievers.variants import HyDE, MultiQuery, QueryVariants

__all__ = [
    "BM25Retriever",
    "FusedNode",
    "HyDE",
    "HybridRetriever",
    "MultiQuery",
    "QueryVariants",
    "SourceHit",
    "StoreRetriever",
    "hybrid_query_engine",
]
