"""Borda count.

References
----------
Aslam & Montague, Models for Metasearch, SIGIR 2001, section 2.1 (weighted: section 2.2).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from llamaindex_vecx.fusion.sums import Fused, Part, Ranking, places, weighted_sum
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["borda_count", "borda_points"]

K = TypeVar("K", bound=Hashable)


def borda_points(rankings: Sequence[Ranking[K]]) -> list[Part[K]]:
    """Points that each ranking gives, as a voter does.

    Of ``c`` keys in all rankings together the first gets ``c`` points, the second ``c - 1``, and so on;
    those that a ranking lacks share evenly what is left.
    """
    ranked = [places(ranking) for ranking in rankings]
    count = len({key for ranks in ranked for key in ranks})
    return [
        Part(
            {key: float(count + 1 - rank) for key, rank in ranks.items()},
            absent=(count - len(ranks) + 1) / 2,
        )
        for ranks in ranked
    ]


def borda_count(
    rankings: Sequence[Ranking[K]], *, weights: Sequence[float] | None = None
) -> Fused[K]:
    """Fuse rankings as an election: each is a voter that spreads the same number of points.

    Parameters
    ----------
    rankings : sequence of rankings
        Keys, best first. A key that comes twice in a ranking counts where it comes first.
    weights : sequence of float, optional
        One a ranking, at least 0; None is 1 for each. A ranking of weight 0 is left out, keys and all.

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance.

    Raises
    ------
    InvalidInputError
    """
    weights = check_weights(weights, len(rankings))
    counted = [ranking for ranking, weight in zip(rankings, weights, strict=True) if weight]
    return weighted_sum(borda_points(counted), [weight for weight in weights if weight])
