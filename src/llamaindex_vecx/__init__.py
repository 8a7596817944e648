"""The retrieval layer for LlamaIndex: durable, filterable, hybrid vector stores."""

from llamaindex_vecx.retrievers import HybridRetriever
from llamaindex_vecx.stores import FlatVectorStore, HNSWVectorStore

__version__ = "0.1.0"

__all__ = ["FlatVectorStore", "HNSWVectorStore", "HybridRetriever", "__version__"]
