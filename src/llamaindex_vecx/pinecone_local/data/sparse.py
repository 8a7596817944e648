"""Exact search by sparse vectors: an inverted index from dimension to rows and weights."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection.masks import as_mask
from llamaindex_vecx.pinecone_local.data.values import Sparse

__all__ = ["SparseIndex"]


class SparseIndex:
    """Rows with sparse vectors, scored by inner product. One caller at a time.

    Attributes
    ----------
    rows : BitMap
        Rows that have a sparse vector.
    """

    def __init__(self) -> None:
        self.rows: BitMap = BitMap()
        self._postings: dict[int, tuple[array[int], array[float]]] = {}
        self._gone = 0

    def add(self, row: int, vector: Sparse) -> None:
        """Add a row that was never there before."""
        for index, value in zip(vector.indices.tolist(), vector.values.tolist(), strict=True):
            held = self._postings.get(index)
            if held is None:
                held = self._postings[index] = (array("q"), array("f"))
            held[0].append(row)
            held[1].append(value)
        self.rows.add(row)

    def remove(self, rows: Iterable[int]) -> None:
        """Remove rows; those that aren't there are ignored."""
        gone = BitMap(rows) & self.rows
        self.rows -= gone
        self._gone += len(gone)
        if self._gone > 1000 + len(self.rows):
            self._compact()

    def _compact(self) -> None:
        alive = as_mask(self.rows)
        kept: dict[int, tuple[array[int], array[float]]] = {}
        for index, (rows, values) in self._postings.items():
            found = np.array(rows)
            keep = _inside(alive, found)
            if keep.any():
                kept[index] = (
                    array("q", found[keep].tobytes()),
                    array("f", np.array(values, np.float32)[keep].tobytes()),
                )
        self._postings = kept
        self._gone = 0

    def scores(
        self, query: Sparse, allowed: BitMap | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The inner product with every row that shares a dimension with the query.

        Returns
        -------
        rows : int64, shape (m,)
            Ascending.
        scores : float32, shape (m,)
        """
        parts = [
            (np.array(held[0], np.int64), np.array(held[1], np.float64) * weight)
            for index, weight in zip(
                query.indices.tolist(), query.values.astype(np.float64).tolist(), strict=True
            )
            if (held := self._postings.get(index)) is not None
        ]
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows = np.concatenate([part[0] for part in parts])
        products = np.concatenate([part[1] for part in parts])
        keep = _inside(as_mask(self.rows if allowed is None else self.rows & allowed), rows)
        found, at = np.unique(rows[keep], return_inverse=True)
        return found, np.bincount(at, products[keep], len(found)).astype(np.float32)


def _inside(mask: NDArray[np.bool_], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rows a mask allows; it ends with the last row it allows."""
    if not len(mask):
        return np.zeros(len(rows), np.bool_)
    return (rows < len(mask)) & mask[np.minimum(rows, len(mask) - 1)]
