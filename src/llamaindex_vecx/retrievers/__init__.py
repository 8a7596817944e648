"""Retrievers over any LlamaIndex vector store or retriever, not only ours."""

from llamaindex_vecx.retrievers.bm25 import BM25Retriever
from llamaindex_vecx.retrievers.hybrid import HybridRetriever
from llamaindex_vecx.retrievers.nodes import FusedNode, SourceHit
from llamaindex_vecx.retrievers.store import StoreRetriever

__all__ = ["BM25Retriever", "FusedNode", "HybridRetriever", "SourceHit", "StoreRetriever"]
