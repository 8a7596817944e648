"""The ways to bring scores of different sources onto one scale, by name."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion.dbsf import distribution_based
from llamaindex_vecx.fusion.highest import share_of_highest
from llamaindex_vecx.fusion.min_max import min_max
from llamaindex_vecx.fusion.sums import Part, Run
from llamaindex_vecx.fusion.z_score import z_score

__all__ = ["SCALES", "scaled"]

K = TypeVar("K", bound=Hashable)

SCALES: Mapping[str, Callable[[Run[Any], bool], Part[Any]]] = {
    "min_max": lambda run, _: min_max(run),
    "max": lambda run, complete: share_of_highest(run, complete=complete),
    "z_score": lambda run, complete: z_score(run, complete=complete),
    "dbsf": lambda run, _: distribution_based(run),
}
"""Each takes a run and whether it is complete: whether what it lacks scored nothing."""


def scaled(run: Run[K], scale: str, *, complete: bool = False) -> Part[K]:
    """One run on the scale of that name.

    Raises
    ------
    InvalidInputError
        There is no such scale, or a score is NaN or infinite.
    """
    if scale not in SCALES:
        raise InvalidInputError(f"scale={scale!r} must be one of {', '.join(map(repr, SCALES))}")
    return SCALES[scale](run, complete)
