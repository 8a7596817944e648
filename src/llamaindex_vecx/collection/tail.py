"""Vectors that are committed and not yet in the graph: blocks that are scanned exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index import Flat
from llamaindex_vecx.index.base import Allowed, Rows, Scores
from llamaindex_vecx.metrics import MetricName

__all__ = ["BLOCK", "Block", "merge"]

BLOCK = 4096


class Block:
    """A few thousand ascending rows, numbered inside from the first one.

    Attributes
    ----------
    last : int
        The largest row.
    size : int
        How many rows were ever added.
    """

    __slots__ = ("_base", "_index", "last", "size")

    def __init__(self, dim: int, metric: MetricName, base: int) -> None:
        self._index = Flat(dim, metric)
        self._base = base
        self.last: int = -1
        self.size: int = 0

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add ascending rows, beyond those that are there."""
        self._index.add(rows - self._base, vectors)
        self.last = int(rows[-1])
        self.size += len(rows)

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Remove rows; those of other blocks are ignored."""
        self._index.remove(rows[rows >= self._base] - self._base)

    def search(
        self, query: NDArray[np.float32], k: int, allowed: Allowed | None
    ) -> tuple[Rows, Scores]:
        """The nearest rows, at most ``k``, not padded."""
        if allowed is not None:
            if allowed.dtype == np.bool_:
                allowed = allowed[self._base :]
            else:
                allowed = allowed[np.searchsorted(allowed, self._base) :] - self._base
        rows, scores = self._index.search(query, k, allowed=allowed)
        n = int(np.count_nonzero(rows[0] >= 0))
        return rows[0, :n] + self._base, scores[0, :n]


def merge(hits: list[tuple[Rows, Scores]], dead: frozenset[int]) -> tuple[Rows, Scores]:
    """All hits of several searches, best first, ties by row, each row once and no dead ones."""
    rows = np.concatenate([some for some, _ in hits])
    scores = np.concatenate([some for _, some in hits])
    rows, first = np.unique(rows, return_index=True)
    scores = scores[first]
    if dead:
        alive = ~np.isin(rows, list(dead))
        rows, scores = rows[alive], scores[alive]
    order = np.lexsort((rows, -scores))
    return rows[order], scores[order]
