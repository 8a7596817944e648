"""What every fusion comes down to: each run gives each key a part, and weighted parts are summed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["Fused", "Part", "Ranking", "Run", "best_scores", "places", "weighted_sum"]

K = TypeVar("K", bound=Hashable)

Ranking: TypeAlias = Sequence[K]
"""Keys, best first."""

Run: TypeAlias = Sequence[tuple[K, float]]
"""Keys with scores, best first, higher is better."""

Fused: TypeAlias = list[tuple[K, float]]
"""Keys with fused scores, best first; ties in order of first appearance."""


if TYPE_CHECKING:

    class Part(NamedTuple, Generic[K]):
        """What one run gives: to each of its keys, and to a key that it lacks."""

        given: dict[K, float]
        absent: float = 0.0

else:  # Python 3.10 knows no generic NamedTuple

    class Part(NamedTuple):
        """What one run gives: to each of its keys, and to a key that it lacks."""

        given: dict
        absent: float = 0.0


def weighted_sum(
    parts: Sequence[Part[K]], weights: Sequence[float], *, times_hits: bool = False
) -> Fused[K]:
    """Sum each key's parts, weighted. A part of weight 0 is left out, keys and all.

    Parameters
    ----------
    parts : sequence of Part
    weights : sequence of float
        One a part.
    times_hits : bool
        Multiply each sum by the number of runs that hold the key.
    """
    counted = [(part, weight) for part, weight in zip(parts, weights, strict=True) if weight != 0.0]
    fused: dict[K, float] = {}
    for part, weight in counted:
        for key, value in part.given.items():
            fused[key] = fused.get(key, 0.0) + weight * value
    for part, weight in counted:
        if part.absent != 0.0:
            for key in fused.keys() - part.given.keys():
                fused[key] += weight * part.absent
    if times_hits:
        hits = Counter(key for part, _ in counted for key in part.given)
        fused = {key: score * hits[key] for key, score in fused.items()}
    return sorted(fused.items(), key=lambda item: -item[1])


def places(ranking: Ranking[K]) -> dict[K, int]:
    """Rank of each key, from 1. One that comes twice counts where it comes first."""
    return {key: rank for rank, key in enumerate(dict.fromkeys(ranking), start=1)}


def best_scores(run: Run[K]) -> dict[K, float]:
    """Score of each key; one that comes twice counts with its best.

    Raises
    ------
    InvalidInputError
        A score is None, NaN or infinite.
    """
    best: dict[K, float] = {}
    for key, score in run:
        if score is None or not math.isfinite(score):
            raise InvalidInputError(f"the score of {key!r} is {score}; scores must be finite")
        best[key] = max(score, best.get(key, score))
    return best
