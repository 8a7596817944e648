"""Every fusion by name, each as the parts that runs give and what is done with their sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion.borda import borda_points
from llamaindex_vecx.fusion.combsum import found_scores
from llamaindex_vecx.fusion.isr import inverse_square_ranks
from llamaindex_vecx.fusion.rrf import check_k, reciprocal_ranks
from llamaindex_vecx.fusion.scales import SCALES
from llamaindex_vecx.fusion.sums import Fused, Part, Run, weighted_sum
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["DEFAULT_K", "METHODS", "Method", "are_complete", "check_method", "fuse"]

K = TypeVar("K", bound=Hashable)

DEFAULT_K = 60.0
"""Of RRF, as in its paper."""


@dataclass(frozen=True)
class Method:
    """One way to fuse.

    Attributes
    ----------
    parts : callable of (runs, k, complete)
        What each run gives; ``complete`` says of each whether what it lacks scored nothing.
    times_hits : bool
        Whether a sum is multiplied by the number of runs that hold the key.
    needs_scores : bool
        False: it looks at places only, and scores may be missing.
    whole : callable of (sum of weights, k), optional
        What sums are divided by, so that weights of any sum give the same scores.
    largest : float
        The largest score there is after that: rounding must not exceed it.
    """

    parts: Callable[[Sequence[Run[Any]], float, Sequence[bool]], list[Part[Any]]]
    times_hits: bool = False
    needs_scores: bool = False
    whole: Callable[[float, float], float] | None = None
    largest: float = math.inf


def _keys(run: Run[K]) -> list[K]:
    return [key for key, _ in run]


def _convex(scale: str) -> Method:
    return Method(
        parts=lambda runs, _, complete: list(map(SCALES[scale], runs, complete)),
        needs_scores=True,
        whole=lambda total, _: total,
        largest=1.0 if scale == "min_max" else math.inf,
    )


METHODS: Mapping[str, Method] = {
    "rrf": Method(
        parts=lambda runs, k, _: [reciprocal_ranks(_keys(run), k) for run in runs],
        whole=lambda total, k: total / (k + 1),
        largest=1.0,
    ),
    "isr": Method(
        parts=lambda runs, *_: [inverse_square_ranks(_keys(run)) for run in runs], times_hits=True
    ),
    "borda": Method(parts=lambda runs, *_: borda_points([_keys(run) for run in runs])),
    "combsum": Method(
        parts=lambda runs, *_: [found_scores(run, "min_max") for run in runs], needs_scores=True
    ),
    "combmnz": Method(
        parts=lambda runs, *_: [found_scores(run, "min_max") for run in runs],
        needs_scores=True,
        times_hits=True,
    ),
    **{scale: _convex(scale) for scale in SCALES},
}
"""By the name that retrievers and :func:`fuse` take. A scale's name is the convex combination on it."""


def check_method(method: str, k: float | None) -> float:
    """Refuse an unknown method, or a ``k`` for one that has none; return the ``k`` to use.

    Raises
    ------
    InvalidInputError
    """
    if method not in METHODS:
        raise InvalidInputError(f"method={method!r} must be one of {', '.join(map(repr, METHODS))}")
    if k is None:
        return DEFAULT_K
    if method != "rrf":
        raise InvalidInputError(f"k={k!r} belongs to method 'rrf', and method is {method!r}")
    check_k(k)
    return k


def fuse(
    runs: Sequence[Run[K]],
    method: str = "rrf",
    *,
    weights: Sequence[float] | None = None,
    k: float | None = None,
    depths: Sequence[int | None] | None = None,
) -> Fused[K]:
    """Fuse scored runs by the method of that name.

    Parameters
    ----------
    runs : sequence of runs
        Pairs of key and score, best first. Methods that look at places only don't look at scores.
    method : str
        One of ``METHODS``.
    weights : sequence of float, optional
        One a run, at least 0; None is 1 for each. A run of weight 0 is left out, keys and all.
    k : float, optional
        Of RRF; None is 60.
    depths : sequence of int or None, optional
        How many hits were asked of each run. A run that is shorter is complete: for ``max`` and
        ``z_score`` what it lacks scored nothing, and not just less than what it holds.

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance. RRF and the convex combinations divide by the sum
        of weights (RRF also by its largest value), so that RRF's scores lie in (0, 1] and
        ``min_max``'s in [0, 1].

    Raises
    ------
    InvalidInputError
    """
    k = check_method(method, k)
    chosen = METHODS[method]
    weights = check_weights(weights, len(runs))
    counted = [run for run, weight in zip(runs, weights, strict=True) if weight]
    complete = [
        whole for whole, weight in zip(are_complete(runs, depths), weights, strict=True) if weight
    ]
    weights = [weight for weight in weights if weight]
    parts = chosen.parts(counted, k, complete)
    fused = weighted_sum(parts, weights, times_hits=chosen.times_hits)
    if chosen.whole is None:
        return fused
    whole = chosen.whole(sum(weights), k)
    return [(key, min(score / whole, chosen.largest)) for key, score in fused]


def are_complete(runs: Sequence[Run[K]], depths: Sequence[int | None] | None) -> list[bool]:
    """Of each run whether it is shorter than was asked for.

    Raises
    ------
    InvalidInputError
        There are more or fewer depths than runs.
    """
    if depths is None:
        return [False] * len(runs)
    if len(depths) != len(runs):
        raise InvalidInputError(f"{len(depths)} depths were given for {len(runs)} runs")
    return [depth is not None and len(run) < depth for run, depth in zip(runs, depths, strict=True)]
