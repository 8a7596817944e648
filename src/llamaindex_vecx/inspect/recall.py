"""How much of the exact answer the index found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llama_index.core.vector_stores.types import MetadataFilters

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.index import Flat
from llamaindex_vecx.metrics import as_metric

__all__ = ["MOST_ROWS", "Exact"]

MOST_ROWS = 200_000
"""Collections above this are not copied into memory for a comparison."""

_BLOCK = 8192


class Exact:
    """The vectors of a collection as they were at one moment, searched one by one.

    Parameters
    ----------
    collection : Collection

    Raises
    ------
    InvalidInputError
        It has more than :data:`MOST_ROWS` rows, or no vectors yet.
    """

    def __init__(self, collection: Collection) -> None:
        if not len(collection) or collection.dim is None:
            raise InvalidInputError(f"{collection!r} holds no vectors to compare with")
        if len(collection) > MOST_ROWS:
            raise InvalidInputError(
                f"{collection!r} has over {MOST_ROWS:,} rows; measure recall on a part of it"
            )
        self.seq: int = collection.seq
        self._collection = collection
        self._flat = Flat(dim=collection.dim, metric=as_metric(collection.metric))
        rows = np.array(list(collection.all_rows()), np.int64)
        self._base = int(rows[0])
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            self._flat.add(block - self._base, collection.vectors(block))

    def nearest(
        self, embedding: Sequence[float], k: int, filters: MetadataFilters | None = None
    ) -> list[str]:
        """Ids of the ``k`` nearest passages that match, nearest first."""
        allowed = None
        if filters is not None and filters.filters:
            chosen = self._collection.select(filters=filters)
            numbers = np.array(list(chosen or ()), np.int64) - self._base
            allowed = numbers[numbers >= 0]
        rows, _ = self._flat.search(np.asarray(embedding, np.float32), k, allowed=allowed)
        found = [int(row) + self._base for row in rows[0] if row >= 0]
        return [record.id for record in self._collection.records(found) if record is not None]

    def recall(
        self,
        ids: Sequence[str],
        embedding: Sequence[float],
        filters: MetadataFilters | None = None,
    ) -> float:
        """Share of the exact answer, as long as ``ids``, that ``ids`` holds; 1 for an empty answer."""
        truth = self.nearest(embedding, max(1, len(ids)), filters)
        return len(set(truth) & set(ids)) / len(truth) if truth else 1.0
