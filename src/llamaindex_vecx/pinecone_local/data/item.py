"""One record or document as it is kept, and as JSON in a collection's row."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.collection.record import Record
from llamaindex_vecx.pinecone_local.data.facets import facets
from llamaindex_vecx.pinecone_local.data.values import Sparse

__all__ = ["Item", "from_record", "to_record"]


@dataclass(slots=True)
class Item:
    """A vector of the Vectors API or a document of the Documents API.

    Attributes
    ----------
    id : str
    dense : float32, shape (dimension,), or None
    sparse : Sparse or None
    fields : dict
        Metadata; of a document everything but its vectors.
    """

    id: str
    dense: NDArray[np.float32] | None
    sparse: Sparse | None
    fields: dict[str, Any]

    @property
    def has(self) -> list[str]:
        """Which vectors it has: "dense", "sparse"."""
        given = (("dense", self.dense), ("sparse", self.sparse))
        return [name for name, vector in given if vector is not None]


def to_record(item: Item, dimension: int, unfiltered: Collection[str]) -> Record:
    """The row for a collection.

    An item without a dense vector gets some other, since every row has one; a search leaves it out by
    :data:`~llamaindex_vecx.pinecone_local.data.facets.HAS`.

    Parameters
    ----------
    item : Item
    dimension : int
        Of the collection.
    unfiltered : collection of str
        Fields that no metadata filter reaches.
    """
    metadata = {key: value for key, value in item.fields.items() if key not in unfiltered}
    sparse = item.sparse
    content = {
        "fields": item.fields,
        "dense": item.dense is not None,
        "sparse": sparse and [sparse.indices.tolist(), sparse.values.tolist()],
    }
    vector = np.ones(dimension, np.float32) if item.dense is None else item.dense
    return Record(
        item.id, vector, "", facets(metadata, item.has), json.dumps(content, ensure_ascii=False)
    )


def from_record(record: Record) -> Item:
    """What :func:`to_record` was given; its dense vector only if the record came with its vector."""
    content: Mapping[str, Any] = json.loads(record.content)
    sparse = content["sparse"]
    return Item(
        record.id,
        record.vector if content["dense"] else None,
        sparse and Sparse(np.array(sparse[0], np.int64), np.array(sparse[1], np.float32)),
        content["fields"],
    )
