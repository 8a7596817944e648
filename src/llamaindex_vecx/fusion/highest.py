"""Scores as a share of the highest.

References
----------
Bruch, Gai & Ingber, An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS 2023, section 4 (their
"theoretical" scaling, with 0 as the lowest score there could be).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from llamaindex_vecx.fusion.sums import Part, Run, best_scores

__all__ = ["share_of_highest"]

K = TypeVar("K", bound=Hashable)


def share_of_highest(run: Run[K], *, complete: bool = False) -> Part[K]:
    """``score / highest``: unlike in ``min_max``, the lowest score found keeps its distance from nothing.

    For scores of which 0 says "nothing in common", as BM25's and a cosine do. A key that is absent gets
    the lowest of the run's values (where all are equal, 1 less); from a run that is ``complete``, which
    would have held it had it scored anything, it gets 0. Where the highest is negative, scores are divided
    by its size, which keeps their order; where it is 0, they are left as they are.

    Raises
    ------
    InvalidInputError
        A score is NaN or infinite.
    """
    best = best_scores(run)
    if not best:
        return Part({})
    size = abs(max(best.values())) or 1.0
    scaled = {key: score / size for key, score in best.items()}
    lowest = min(scaled.values())
    if complete and lowest > 0:
        return Part(scaled, absent=0.0)
    # Where all are equal, absence must still cost something.
    return Part(scaled, absent=lowest if lowest < max(scaled.values()) else lowest - 1.0)
