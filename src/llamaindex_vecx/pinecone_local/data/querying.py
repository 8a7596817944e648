"""Searching a namespace by whichever vectors a request brings, or by a stored record's."""

from __future__ import annotations

from numpy import float32
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.pinecone_local.data.namespace import Hits, Namespace
from llamaindex_vecx.pinecone_local.data.values import Sparse

__all__ = ["Query", "search", "vectors_of"]

Query = tuple[NDArray[float32] | None, Sparse | None]
"""A dense vector, a sparse vector, or both."""


def vectors_of(namespace: Namespace, id_: str) -> Query:
    """The vectors of a record; neither where it isn't there."""
    found = namespace.items(namespace.rows([id_]), vectors=True)
    return (found[0][1].dense, found[0][1].sparse) if found else (None, None)


def search(namespace: Namespace, query: Query, k: int, allowed: BitMap | None) -> Hits:
    """The ``k`` best rows; none for a query without vectors."""
    dense, sparse = query
    if dense is not None and sparse is not None:
        return namespace.hybrid(dense, sparse, k, allowed)
    if dense is not None:
        return namespace.nearest(dense, k, allowed)
    return [] if sparse is None else namespace.by_sparse(sparse, k, allowed)
