"""What a fit chooses among: methods, values of k, and weights on a grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

from llamaindex_vecx.fusion.methods import METHODS

__all__ = ["RRF_KS", "Candidate", "candidates", "weight_grid"]

RRF_KS = (60.0, 5.0, 20.0, 100.0)
"""Values of RRF's k that are tried; the first is the usual one."""

_STEPS = (20, 10, 5, 4, 3, 2)
_MOST_WEIGHTS = 100


class Candidate(NamedTuple):
    """One way to fuse; ``k`` is None but for RRF."""

    method: str
    k: float | None
    weights: tuple[float, ...]


def weight_grid(sources: int) -> list[tuple[float, ...]]:
    """Weights that sum to 1, evenly spaced, the most even first.

    Steps are 1/20 for two sources, 1/10 for three, and larger for more, so that there are never many more
    than 100. Each source alone is among them.
    """
    steps = next(
        (steps for steps in _STEPS if comb(steps + sources - 1, sources - 1) <= _MOST_WEIGHTS),
        1,
    )
    grid = {tuple(part / steps for part in parts) for parts in _compositions(steps, sources)}
    grid.add((1 / sources,) * sources)
    return sorted(grid, key=lambda weights: (sum(weight**2 for weight in weights), weights))


def _compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write ``total`` as an ordered sum of ``parts`` numbers of at least 0."""
    for bars in combinations(range(total + parts - 1), parts - 1):
        ends = (-1, *bars, total + parts - 1)
        yield tuple(ends[i + 1] - ends[i] - 1 for i in range(parts))


def candidates(sources: int, methods: Sequence[str]) -> list[Candidate]:
    """Every candidate, in the order in which equals are preferred: plain RRF first."""
    return [
        Candidate(method, k, weights)
        for weights in weight_grid(sources)
        for method in sorted(methods, key=list(METHODS).index)
        for k in (RRF_KS if method == "rrf" else (None,))
    ]
