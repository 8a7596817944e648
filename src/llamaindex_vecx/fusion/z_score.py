"""Scores with mean 0 and variance 1.

References
----------
Montague & Aslam, Relevance Score Normalization for Metasearch, CIKM 2001, section 3 ("ZMUV").
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from statistics import fmean
from typing import TypeVar

from llamaindex_vecx.fusion.sums import Part, Run, best_scores

__all__ = ["mean_and_deviation", "z_score"]

K = TypeVar("K", bound=Hashable)


def z_score(run: Run[K], *, complete: bool = False) -> Part[K]:
    """``(score - mean) / deviation`` over the run's scores; equal scores become 0.

    A key that is absent was ranked below all that were found, so it gets the lowest of their values
    (where all are equal, -1), and not 0, which is the mean. From a run that is ``complete``, which would
    have held it had it scored anything, it gets what a score of 0 becomes, if that is less.

    Raises
    ------
    InvalidInputError
        A score is NaN or infinite.
    """
    best = best_scores(run)
    if not best:
        return Part({})
    mean, deviation = mean_and_deviation(best.values())
    if deviation == 0:
        return Part(dict.fromkeys(best, 0.0), absent=-1.0)
    scaled = {key: (score - mean) / deviation for key, score in best.items()}
    floor = -mean / deviation if complete else math.inf
    return Part(scaled, absent=min(floor, *scaled.values()))


def mean_and_deviation(scores: Iterable[float]) -> tuple[float, float]:
    """Mean and population standard deviation; the deviation of equal scores is exactly 0."""
    values = list(scores)
    mean = fmean(values)
    if min(values) == max(values):
        return mean, 0.0
    return mean, math.sqrt(fmean([(value - mean) ** 2 for value in values]))
