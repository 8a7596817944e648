"""The check that every fusion makes of its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["check_weights"]


def check_weights(weights: Sequence[float] | None, count: int) -> list[float]:
    """``count`` finite weights of at least 0, not all 0; None is 1 for each.

    Raises
    ------
    InvalidInputError
    """
    if weights is None:
        return [1.0] * count
    checked = [float(weight) for weight in weights]
    if len(checked) != count:
        raise InvalidInputError(f"{len(checked)} weights were given for {count} rankings")
    if not all(0.0 <= weight < math.inf for weight in checked) or (count and not any(checked)):
        raise InvalidInputError(f"weights={checked} must be finite, at least 0 and not all 0")
    return checked
