"""Convex combination of scaled scores.

References
----------
Bruch, Gai & Ingber, An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS 2023, section 3.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion.scales import scaled
from llamaindex_vecx.fusion.sums import Fused, Run, weighted_sum
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["convex_combination"]

K = TypeVar("K", bound=Hashable)


def convex_combination(
    runs: Sequence[Run[K]],
    *,
    weights: Sequence[float] | None = None,
    alpha: float | None = None,
    scale: str = "min_max",
) -> Fused[K]:
    """Fuse scored runs by the weighted sum of their scores, each run scaled first.

    Parameters
    ----------
    runs : sequence of runs
        Pairs of key and score in any order, higher is better. A key that comes twice counts once, with
        its best score.
    weights : sequence of float, optional
        One a run, at least 0; None is 1 for each. They are not scaled: with a sum of 1 and ``min_max``
        results lie in [0, 1]. A run of weight 0 is left out, keys and all.
    alpha : float, optional
        For two runs instead of weights: ``alpha`` for the first, ``1 - alpha`` for the second.
    scale : {"min_max", "max", "z_score", "dbsf"}
        How scores are scaled, and what a key gets from a run that lacks it: see
        :func:`~llamaindex_vecx.fusion.min_max`, :func:`~llamaindex_vecx.fusion.share_of_highest`,
        :func:`~llamaindex_vecx.fusion.z_score`, :func:`~llamaindex_vecx.fusion.distribution_based`.

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance.

    Raises
    ------
    InvalidInputError
        Also when a score is NaN or infinite.
    """
    if alpha is not None:
        weights = _of_alpha(alpha, len(runs), weights)
    weights = check_weights(weights, len(runs))
    return weighted_sum([scaled(run, scale) for run in runs], weights)


def _of_alpha(alpha: float, runs: int, weights: Sequence[float] | None) -> list[float]:
    if weights is not None:
        raise InvalidInputError("give weights or alpha, not both")
    if runs != 2:
        raise InvalidInputError(f"alpha weighs two runs and {runs} were given; give weights")
    if not 0.0 <= alpha <= 1.0:
        raise InvalidInputError(f"alpha={alpha!r} must lie in [0, 1]")
    return [alpha, 1.0 - alpha]
