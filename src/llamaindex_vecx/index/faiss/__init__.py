"""Any FAISS index behind the protocol of this package. Importing this imports no faiss."""

from llamaindex_vecx.index.faiss.index import FAISS

__all__ = ["FAISS"]
