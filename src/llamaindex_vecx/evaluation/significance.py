"""Whether a difference between two configurations is more than chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["bootstrap_interval", "permutation_test"]

_BLOCK = 1_000


def bootstrap_interval(
    differences: Sequence[float] | NDArray[np.float64],
    *,
    level: float = 0.95,
    samples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Confidence interval of a mean, by the percentile bootstrap (Efron & Tibshirani 1993, chapter 13).

    Parameters
    ----------
    differences : float, shape (queries,)
        For a paired comparison: the value of one configuration minus that of the other, query by query.
    level : float
        In (0, 1).
    samples : int
        How often the queries are drawn anew.
    seed : int

    Returns
    -------
    (low, high) : float
        Where it holds 0 on the inside, the difference may be chance.

    Raises
    ------
    InvalidInputError
    """
    values = _checked(differences)
    if not 0 < level < 1:
        raise InvalidInputError(f"level={level!r} must lie between 0 and 1")
    draw = np.random.default_rng(seed)
    means = np.concatenate(
        [
            values[draw.integers(0, len(values), (min(_BLOCK, samples - done), len(values)))].mean(
                axis=1
            )
            for done in range(0, samples, _BLOCK)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def permutation_test(
    differences: Sequence[float] | NDArray[np.float64], *, samples: int = 10_000, seed: int = 0
) -> float:
    """Two-sided p-value of a paired difference, by Fisher's randomization test.

    Under the null hypothesis the two values of a query could as well be exchanged: the signs of the
    differences are drawn anew, and p is the share of draws whose mean lies as far from 0. Smucker, Allan &
    Carterette (CIKM 2007) found it to be the test to take for retrieval measures.

    Parameters
    ----------
    differences : float, shape (queries,)
    samples : int
        Draws. Where there are no more than that many ways to draw, each is taken once and p is exact.
    seed : int

    Returns
    -------
    float
        In (0, 1]; 1 where no query differs.

    Raises
    ------
    InvalidInputError
    """
    values = _checked(differences)
    values = values[values != 0]  # their signs change nothing
    if not len(values):
        return 1.0
    reached = abs(values.sum()) * (1 - 1e-12)  # sums of the same numbers in another order are equal
    if len(values) < 63 and 2 ** len(values) <= samples:
        patterns = np.arange(2 ** len(values))[:, None] >> np.arange(len(values))
        return float((np.abs((1 - 2 * (patterns & 1)) @ values) >= reached).mean())
    draw = np.random.default_rng(seed)
    extreme = sum(
        int((np.abs(draw.choice((-1.0, 1.0), (part, len(values))) @ values) >= reached).sum())
        for done in range(0, samples, _BLOCK)
        for part in [min(_BLOCK, samples - done)]
    )
    return (1 + extreme) / (1 + samples)


def _checked(differences: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InvalidInputError(
            f"differences must be finite numbers of shape (queries,), not {values.shape}"
        )
    return values
