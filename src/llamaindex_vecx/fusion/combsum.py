"""CombSUM.

References
----------
Fox & Shaw, Combination of Multiple Searches, TREC-2, 1994.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from llamaindex_vecx.fusion.scales import scaled
from llamaindex_vecx.fusion.sums import Fused, Part, Run, best_scores, weighted_sum
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["comb_sum", "found_scores"]

K = TypeVar("K", bound=Hashable)


def found_scores(run: Run[K], scale: str | None) -> Part[K]:
    """The run's scores on a scale (None: as they are); a key that is absent adds nothing."""
    return Part(best_scores(run) if scale is None else scaled(run, scale).given)


def comb_sum(
    runs: Sequence[Run[K]],
    *,
    weights: Sequence[float] | None = None,
    scale: str | None = "min_max",
) -> Fused[K]:
    """Fuse scored runs by the sum of the scores that each key was found with.

    Parameters
    ----------
    runs : sequence of runs
        Pairs of key and score in any order, higher is better.
    weights : sequence of float, optional
        One a run, at least 0; None is 1 for each. A run of weight 0 is left out, keys and all.
    scale : {"min_max", "max", "z_score", "dbsf"} or None
        None takes the scores as they are, which fits runs of one kind only. What a key gets from a run
        that lacks it is 0 on every scale: so the paper has it.

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance.

    Raises
    ------
    InvalidInputError
    """
    weights = check_weights(weights, len(runs))
    return weighted_sum([found_scores(run, scale) for run in runs], weights)
