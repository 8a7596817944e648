"""Arguments of every index, checked before anything changes."""

from __future__ import annotations

import numbers
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamaindex_vecx.errors import DimensionError, DuplicateIdError, InvalidInputError
from llamaindex_vecx.index.base import Allowed, Mask
from llamaindex_vecx.metrics import check_vectors

__all__ = [
    "MAX_ROW",
    "as_allowed",
    "as_batch",
    "as_queries",
    "as_rows",
    "as_switch",
    "as_target",
    "count_allowed",
    "mask_of",
    "positive",
]

MAX_ROW = 2**31 - 2
_FLOAT32 = np.dtype(np.float32)
_NO_MASK = np.zeros(0, np.uint8)


def positive(value: Any, argument: str) -> int:
    """A whole number from 1 on."""
    if type(value) is int and value > 0:
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise InvalidInputError(
            f"{argument} must be a whole number of at least 1, not {value!r} "
            f"({type(value).__name__})"
        )
    if value < 1:
        raise InvalidInputError(f"{argument} must be at least 1, not {value}")
    return int(value)


def as_target(value: Any, argument: str = "target_recall") -> float | None:
    """A share of the nearest that should be found, or None."""
    if value is None:
        return None
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise InvalidInputError(
            f"{argument} must be a number such as 0.95, not {value!r} ({type(value).__name__})"
        )
    if not 0.5 <= float(value) <= 0.999:
        raise InvalidInputError(
            f"{argument} must lie between 0.5 and 0.999, not {value}; a flat index finds everything"
        )
    return float(value)


def as_switch(value: Any, argument: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise InvalidInputError(
            f"{argument} must be True or False, not {value!r} ({type(value).__name__})"
        )
    return bool(value)


def as_rows(rows: ArrayLike, argument: str = "rows") -> NDArray[np.int64]:
    """Row numbers as int64 of shape (n,), non-negative."""
    array = np.asarray(rows)
    if array.size == 0 and array.ndim == 1:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InvalidInputError(
            f"{argument} must be whole numbers of shape (n,), not {array.dtype} of shape "
            f"{array.shape}"
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > MAX_ROW:
        raise InvalidInputError(
            f"{argument} must lie between 0 and {MAX_ROW}, not {low if low < 0 else high}; "
            "number rows from 0 on without large gaps"
        )
    return array.astype(np.int64, copy=False)


def as_batch(
    rows: ArrayLike, vectors: ArrayLike, dim: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and vectors of an ``add``: as many of the one as of the other, no row twice."""
    numbers_ = as_rows(rows)
    if len(numbers_) == 0 and np.shape(vectors)[:1] == (0,):
        return numbers_, np.zeros((0, dim), np.float32)
    checked = check_vectors(vectors, dim=dim)
    if len(numbers_) != len(checked):
        raise InvalidInputError(
            f"rows and vectors must be of equal length, not {len(numbers_)} and {len(checked)}"
        )
    ordered = np.sort(numbers_)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if twice.size:
        raise DuplicateIdError(f"rows holds {twice[0]} twice; each row takes one vector")
    return numbers_, checked


def as_queries(queries: ArrayLike, dim: int) -> NDArray[np.float32]:
    """Queries as float32 of shape (q, dim). That they are finite is left to the kernel."""
    # `is` is quicker than ==, and right for nearly every array
    if type(queries) is np.ndarray and queries.dtype is _FLOAT32 and queries.flags.c_contiguous:
        shape = queries.shape
        if shape == (dim,):
            return queries[None]
        if len(shape) == 2 and shape[1] == dim:
            return queries
    try:
        array = np.asarray(queries)
    except ValueError as error:
        raise InvalidInputError(f"queries must have shape (q, dim) or (dim,): {error}") from error
    if array.ndim == 2 and array.shape == (0, dim):
        return np.zeros((0, dim), np.float32)
    if array.ndim == 1 and array.size and array.dtype.kind in "fiu":
        if len(array) != dim:
            raise DimensionError(
                f"queries has dimension {len(array)}, the index has {dim}; "
                "embed with the model that the index was built with"
            )
        array = array[None]
    return check_vectors(array, dim=dim, argument="queries")


def as_allowed(allowed: Allowed | None) -> Allowed | None:
    """What may be returned: a bool mask over rows, or ascending rows as int64."""
    if allowed is None:
        return None
    if isinstance(allowed, np.ndarray) and allowed.ndim == 1:
        if allowed.dtype == np.bool_:
            return cast(Mask, np.ascontiguousarray(allowed))
        if allowed.dtype.kind in "iu":
            if np.any(allowed[1:] <= allowed[:-1]):
                raise InvalidInputError(
                    "allowed holds rows that do not ascend; sort them, each once"
                )
            as_rows(allowed[:: max(1, len(allowed) - 1)], "allowed")  # the least and the greatest
            return allowed.astype(np.int64, copy=False)
    what = (
        f"{allowed.dtype} of shape {allowed.shape}"
        if isinstance(allowed, np.ndarray)
        else type(allowed).__name__
    )
    raise InvalidInputError(
        f"allowed must be a bool array of shape (m,) over rows, or rows as integers, not {what}; "
        "mask = np.zeros(m, bool); mask[rows] = True makes one"
    )


def count_allowed(allowed: Allowed) -> int:
    """How many rows a checked ``allowed`` names, there or not."""
    return int(np.count_nonzero(allowed)) if allowed.dtype == np.bool_ else len(allowed)


def mask_of(allowed: Allowed | None) -> NDArray[np.uint8]:
    """A checked ``allowed`` as kernels take it; empty for None."""
    if allowed is None:
        return _NO_MASK
    if allowed.dtype == np.bool_:
        return allowed.view(np.uint8)
    mask = np.zeros(int(allowed[-1]) + 1 if len(allowed) else 0, np.uint8)
    mask[allowed] = 1
    return mask
