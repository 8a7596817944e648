"""What the Vectors and the Documents API do in the same way."""

from __future__ import annotations

from pyroaring import BitMap

from llamaindex_vecx.pinecone_local.data.filters import Filter
from llamaindex_vecx.pinecone_local.data.index import Index

__all__ = ["page_of", "remove"]


def remove(index: Index, name: str, ids: list[str] | None, node: Filter | None) -> None:
    """Delete by ids or by filter; without either the whole namespace goes."""
    if not ids and node is None:
        index.drop(name)
        return
    namespace = index.namespace(name)
    if namespace is not None:
        namespace.remove(namespace.rows(ids) if ids else namespace.select(node))


def page_of(rows: BitMap, after: int, limit: int) -> BitMap:
    """The first ``limit`` rows behind ``after``."""
    start = rows.rank(after) if after >= 0 else 0
    return BitMap(rows[start : start + limit])
