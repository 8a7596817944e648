"""HNSW in numba: ``index.py`` is the class, ``layout.py`` the arrays, every other file a few kernels."""

from llamaindex_vecx.index.hnsw.index import HNSW

__all__ = ["HNSW"]
