"""Whether a difference between two configurations is more than chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["bootstrap_interval"]

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
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InvalidInputError(
            f"differences must be finite numbers of shape (queries,), not {values.shape}"
        )
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
