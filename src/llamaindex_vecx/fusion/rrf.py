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
from llamaindex_vecx.fusion.sums import Fused, Part, Ranking, places, weighted_sum
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["reciprocal_rank_fusion", "reciprocal_ranks"]

K = TypeVar("K", bound=Hashable)


def reciprocal_ranks(ranking: Ranking[K], k: float) -> Part[K]:
    """``1 / (k + rank)`` for each key of a ranking, rank from 1."""
    return Part({key: 1.0 / (k + rank) for key, rank in places(ranking).items()})


def reciprocal_rank_fusion(
    rankings: Sequence[Ranking[K]],
    *,
    k: float = 60,
    weights: Sequence[float] | None = None,
    normalize: bool = False,
) -> Fused[K]:
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
    check_k(k)
    weights = check_weights(weights, len(rankings))
    fused = weighted_sum([reciprocal_ranks(ranking, k) for ranking in rankings], weights)
    if not normalize:
        return fused
    largest = sum(weights) / (k + 1)
    return [(key, min(score / largest, 1.0)) for key, score in fused]


def check_k(k: float) -> None:
    """Refuse a ``k`` below 0 or not finite."""
    if isinstance(k, bool) or not isinstance(k, (int, float)) or not (0 <= k < math.inf):
        raise InvalidInputError(f"k={k!r} must be a finite number of at least 0")
