"""Vector stores for LlamaIndex."""

from llamaindex_vecx.stores.faiss import FaissVectorStore
from llamaindex_vecx.stores.flat import FlatVectorStore
from llamaindex_vecx.stores.hnsw import HNSWVectorStore
from llamaindex_vecx.stores.pinecone import PineconeVectorStore

__all__ = ["FaissVectorStore", "FlatVectorStore", "HNSWVectorStore", "PineconeVectorStore"]
