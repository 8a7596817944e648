"""Rows that are the truth, and views over them that are only ever a faster way to ask."""

from llamaindex_vecx.collection.collection import Collection
from llamaindex_vecx.collection.record import Record

__all__ = ["Collection", "Record"]
