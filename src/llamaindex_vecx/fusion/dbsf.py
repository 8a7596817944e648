"""Distribution-based score fusion.

References
----------
Mazzeschi, Distribution-Based Score Fusion (DBSF), a new approach to Vector Search Ranking, 2023
(Plain Simple Software); the fusion that Qdrant offers under this name.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from llamaindex_vecx.fusion.sums import Part, Run, best_scores
from llamaindex_vecx.fusion.z_score import mean_and_deviation

__all__ = ["distribution_based"]

K = TypeVar("K", bound=Hashable)


def distribution_based(run: Run[K]) -> Part[K]:
    """Scores scaled so that ``mean - 3 × deviation`` becomes 0 and ``mean + 3 × deviation`` becomes 1.

    Unlike the lowest and the highest score, these ends don't hang on a single outlier; a score beyond them
    is left beyond [0, 1]. Equal scores become 0.5. A key that is absent gets 0.

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
        return Part(dict.fromkeys(best, 0.5))
    return Part({key: 0.5 + (score - mean) / (6 * deviation) for key, score in best.items()})
