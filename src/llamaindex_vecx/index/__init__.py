"""Vector indexes over rows and numbers, usable without LlamaIndex."""

from llamaindex_vecx.index.base import VectorIndex
from llamaindex_vecx.index.faiss import FAISS
from llamaindex_vecx.index.flat import Flat
from llamaindex_vecx.index.hnsw import HNSW

__all__ = ["FAISS", "HNSW", "Flat", "VectorIndex"]
