"""Reciprocal Rank Fusion.

References
----------
Cormack, Clarke & Büttcher, Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods, SIGIR 2009.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["reciprocal_rank_fusion"]

K = TypeVar("K", bound=Hashable)


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[K]],
    *,
    k: float = 60,
    weights: Sequence[float] | None = None,
    normalize: bool = False,
) -> list[tuple[K, float]]:
    """Fuse rankings by the sum of ``weight / (k + rank)``, rank from 1.

    Parameters
    ----------
    rankings : sequence of rankings
        Keys, best first. A key that comes twice in a ranking counts where it comes first.
    k : float
        At least 0; the larger, the less the first ranks stand out.
    weights : sequence of float, optional
        One a ranking, at least 0; None is 1 for each. A ranking of weight 0 is left out, keys and all.
    normalize : bool
        Divide by the largest possible value, ``sum(weights) / (k + 1)``: scores lie in (0, 1], and 1 is
        the first of every ranking.

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance.

    Raises
    ------
    InvalidInputError
    """
    if not (0 <= k < math.inf):
        raise InvalidInputError(f"k={k!r} must be a finite number of at least 0")
    weights = check_weights(weights, len(rankings))
    scores: dict[K, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        if weight == 0:
            continue
        for rank, key in enumerate(dict.fromkeys(ranking), start=1):
            scores[key] = scores.get(key, 0.0) + weight / (k + rank)
    if normalize:
        largest = sum(weights) / (k + 1)
        scores = {key: min(score / largest, 1.0) for key, score in scores.items()}
    return sorted(scores.items(), key=lambda item: -item[1])
