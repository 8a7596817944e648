"""Scores scaled to [0, 1].

References
----------
Lee, Analyses of Multiple Evidence Combination, SIGIR 1997, section 3.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from llamaindex_vecx.fusion.sums import Part, Run, best_scores

__all__ = ["min_max"]

K = TypeVar("K", bound=Hashable)


def min_max(run: Run[K]) -> Part[K]:
    """``(score - lowest) / (highest - lowest)``; equal scores become 1. A key that is absent gets 0.

    Raises
    ------
    InvalidInputError
        A score is NaN or infinite.
    """
    best = best_scores(run)
    if not best:
        return Part({})
    lowest = min(best.values())
    spread = max(best.values()) - lowest
    if spread == 0:
        return Part(dict.fromkeys(best, 1.0))
    return Part({key: (score - lowest) / spread for key, score in best.items()})
