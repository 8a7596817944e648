"""Arguments that mean the same in collections, stores and retrievers, checked the same way."""

from __future__ import annotations

from typing import Any

import numpy as np

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["check_count"]


def check_count(value: Any, argument: str) -> None:
    """Refuse what is no whole number of at least 1; a bool is none.

    Raises
    ------
    InvalidInputError
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InvalidInputError(f"{argument}={value!r} must be a whole number of at least 1")
