"""Maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998, equation 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.metrics import Metric

__all__ = ["maximal_marginal_relevance"]


def maximal_marginal_relevance(
    relevance: NDArray[np.float32],
    vectors: NDArray[np.float32],
    k: int,
    *,
    metric: Metric,
    threshold: float,
) -> NDArray[np.int64]:
    """Pick ``k`` candidates that are near the query and far from each other.

    Each step takes the candidate with the largest
    ``threshold * relevance - (1 - threshold) * (largest similarity to one already picked)``.

    Parameters
    ----------
    relevance : float32, shape (n,)
        Similarity of each candidate to the query.
    vectors : float32, shape (n, dim)
        Their vectors, as stored.
    k : int
        How many to pick; fewer where there are fewer candidates.
    threshold : float
        The paper's lambda, in [0, 1]: 1 looks at the query alone, 0 at diversity alone.

    Returns
    -------
    int64, shape (min(k, n),)
        Positions among the candidates, in the order picked. Ties go to the earlier one.
    """
    prepared = metric.prepare(vectors)
    count = min(k, len(relevance))
    picked = np.empty(count, dtype=np.int64)
    redundancy = np.full(len(relevance), -np.inf, dtype=np.float32)
    free = np.ones(len(relevance), dtype=np.bool_)
    for step in range(count):
        penalty = redundancy if step else np.zeros_like(redundancy)
        marginal = threshold * relevance - (1.0 - threshold) * penalty
        best = int(np.argmax(np.where(free, marginal, -np.inf)))
        picked[step] = best
        free[best] = False
        distances = metric.distances(prepared[best : best + 1], prepared)[0]
        np.maximum(redundancy, metric.similarity(distances), out=redundancy)
    return picked
