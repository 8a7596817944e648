"""Vector indexes over rows and numbers, usable without LlamaIndex."""

from llamaindex_vecx.index.base import VectorIndex

__all__ = ["VectorIndex"]
