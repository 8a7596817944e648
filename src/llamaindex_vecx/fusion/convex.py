"""Convex combination of min-max scaled scores.

References
----------
Bruch, Gai & Ingber, An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS 2023, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import TypeVar

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["convex_combination"]

K = TypeVar("K", bound=Hashable)


def convex_combination(
    runs: Sequence[Sequence[tuple[K, float]]], *, weights: Sequence[float]
) -> list[tuple[K, float]]:
    """Fuse scored runs by the weighted sum of their scores, each run scaled to [0, 1].

    Parameters
    ----------
    runs : sequence of runs
        Pairs of key and score in any order, higher is better. A key that comes twice counts once, with
        its best score. Where all scores of a run are equal they scale to 1.
    weights : sequence of float
        One a run, at least 0. They are not scaled: with a sum of 1 results lie in [0, 1].

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance. A key that a run lacks gets 0 there.

    Raises
    ------
    InvalidInputError
        Also when a score is NaN or infinite.
    """
    weights = check_weights(weights, len(runs))
    fused: dict[K, float] = {}
    for run, weight in zip(runs, weights, strict=True):
        for key, score in _min_max(run).items():
            fused[key] = fused.get(key, 0.0) + weight * score
    return sorted(fused.items(), key=lambda item: -item[1])


def _min_max(run: Sequence[tuple[K, float]]) -> dict[K, float]:
    best: dict[K, float] = {}
    for key, score in run:
        if not math.isfinite(score):
            raise InvalidInputError(f"the score of {key!r} is {score}; scores must be finite")
        best[key] = max(score, best.get(key, score))
    if not best:
        return best
    lowest, highest = min(best.values()), max(best.values())
    spread = highest - lowest
    if spread == 0:
        return dict.fromkeys(best, 1.0)
    return {key: (score - lowest) / spread for key, score in best.items()}
