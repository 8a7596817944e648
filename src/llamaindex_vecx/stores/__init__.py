"""Vector stores for LlamaIndex."""

from llamaindex_vecx.stores.faiss import FaissVectorStore
from llamaindex_vecx.stores.flat import FlatVectorStore
from llamaindex_vecx.stores.hnsw import HNSWVectorStore

__all__ = ["FaissVectorStore", "FlatVectorStore", "HNSWVectorStore"]
