"""What one search at a time writes in and leaves clean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.text.intrinsics import BLOCK
from llamaindex_vecx.text.search import PLAN_ROWS
from llamaindex_vecx.text.segments import LARGEST

__all__ = ["Scratch"]


class Scratch:
    """Arrays for :func:`~llamaindex_vecx.text.queries.answer`, for queries up to some size.

    Attributes
    ----------
    scores : float64
        Zeros, by place in a segment or in the tail.
    places : uint32, shape (2, …)
        Candidates, and touched documents.
    mask : uint8
    plan : int64
        By term of the query: where its postings are; the last row holds the terms.
    floats : float64
        By term: worth, worth in a segment, bounds; the last row holds the best of each block.
    best : float64, shape (at least k,)
    seen : int32, by term, zeros
    """

    def __init__(self, tokens: int, vocabulary: int, k: int) -> None:
        places = LARGEST + 64
        self.tokens, self.vocabulary, self.k = tokens, vocabulary, k
        self.scores: NDArray[Any] = np.zeros(places)
        self.places = np.empty((2, places + 1), dtype=np.uint32)
        self.mask = np.zeros(places, dtype=np.uint8)
        self.plan = np.empty((PLAN_ROWS, tokens + 1), dtype=np.int64)
        self.floats = np.empty((4, max(tokens + 1, LARGEST // BLOCK + 64)))
        self.best = np.empty(k)
        self.seen = np.zeros(vocabulary, dtype=np.int32)

    def fits(self, tokens: int, vocabulary: int, k: int) -> bool:
        """Whether these arrays are large enough."""
        return tokens <= self.tokens and vocabulary <= self.vocabulary and k <= self.k
