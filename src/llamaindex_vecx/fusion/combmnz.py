"""CombMNZ.

References
----------
Fox & Shaw, Combination of Multiple Searches, TREC-2, 1994.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from llamaindex_vecx.fusion.combsum import found_scores
from llamaindex_vecx.fusion.sums import Fused, Run, weighted_sum
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["comb_mnz"]

K = TypeVar("K", bound=Hashable)


def comb_mnz(
    runs: Sequence[Run[K]],
    *,
    weights: Sequence[float] | None = None,
    scale: str | None = "min_max",
) -> Fused[K]:
    """Fuse scored runs by CombSUM times the number of runs that hold the key.

    Parameters
    ----------
    runs, weights, scale
        As for :func:`~llamaindex_vecx.fusion.combsum.comb_sum`. With ``z_score`` a key below the mean
        sinks with every run that holds it: ``min_max`` is what the method was meant for.

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance.

    Raises
    ------
    InvalidInputError
    """
    weights = check_weights(weights, len(runs))
    return weighted_sum([found_scores(run, scale) for run in runs], weights, times_hits=True)
