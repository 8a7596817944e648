"""A vector of the Vectors API as JSON, to and from what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.pinecone_local.body import take, take_dict, take_text
from llamaindex_vecx.pinecone_local.data.item import Item
from llamaindex_vecx.pinecone_local.data.querying import Query
from llamaindex_vecx.pinecone_local.data.shape import Shape
from llamaindex_vecx.pinecone_local.data.values import (
    as_json,
    check_id,
    check_metadata,
    read_dense,
    read_sparse,
)
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["check_not_zero", "read_item", "read_query", "read_vectors", "write_vector"]


def read_item(vector: Any, shape: Shape) -> Item:
    """One of an upsert's vectors.

    Raises
    ------
    ApiError
        400, naming the vector.
    """
    if not isinstance(vector, dict):
        raise invalid("each of 'vectors' must be an object")
    id_ = check_id(vector.get("id"))
    metadata = take_dict(vector, "metadata") or {}
    check_metadata(metadata, id_)
    dense, sparse = read_vectors(vector, shape)
    if dense is None and shape.dense:
        raise invalid(
            f"Vector dimension 0 does not match the dimension of the index {shape.dimension}"
        )
    if dense is None and sparse is None:
        raise invalid(f"Sparse vector '{id_}' must contain at least one value")
    check_not_zero(dense, id_)
    return Item(id_, dense, sparse, metadata)


def check_not_zero(dense: NDArray[np.float32] | None, id_: str) -> None:
    """Refuse to store a dense vector of nothing but zeros."""
    if dense is not None and not dense.any():
        raise invalid(
            "Dense vectors must contain at least one non-zero value. Vector ID "
            f"{id_} contains only zeros."
        )


def read_vectors(body: Mapping[str, Any], shape: Shape, dense_name: str = "values") -> Query:
    """The dense and the sparse vector, as far as they are given and the index has such."""
    values, sparse_values = take(body, dense_name), take(body, "sparseValues")
    dense = sparse = None
    if values:
        if shape.dimension is None:
            raise invalid("Index configuration does not support dense values: it is a sparse index")
        dense = read_dense(values, shape.dimension)
    elif values is not None and not isinstance(values, list):
        raise invalid(f"{dense_name} must be an array of numbers")
    if sparse_values is not None:
        if not shape.sparse:
            raise invalid(
                "Index configuration does not support sparse values - only indexes that are sparse or "
                "using dotproduct are supported"
            )
        sparse = read_sparse(sparse_values)
    return dense, sparse


def read_query(body: Mapping[str, Any], shape: Shape) -> tuple[Query, str | None]:
    """What a query asks by: its vectors, or the id of a record."""
    id_ = take_text(body, "id") or None
    dense, sparse = read_vectors(
        {"vector": take(body, "vector"), "sparseValues": take(body, "sparseVector")},
        shape,
        "vector",
    )
    if id_ is not None:
        check_id(id_)
        if dense is not None or sparse is not None:
            raise invalid("Cannot specify both 'id' and 'vector' in the same request")
    elif dense is None and sparse is None:
        raise invalid("Must specify one of 'id', 'vector' and 'sparseVector'")
    elif dense is None and shape.dense:
        raise invalid(
            f"Query vector dimension 0 does not match the dimension of the index {shape.dimension}"
        )
    return (dense, sparse), id_


def write_vector(item: Item, *, values: bool, metadata: bool) -> dict[str, Any]:
    """A record as the API writes it: what it hasn't is left out."""
    answer: dict[str, Any] = {"id": item.id}
    if values:
        answer["values"] = [] if item.dense is None else as_json(item.dense)
        if item.sparse is not None:
            answer["sparseValues"] = item.sparse.json()
    if metadata and item.fields:
        answer["metadata"] = item.fields
    return answer
