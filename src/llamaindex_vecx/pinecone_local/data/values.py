"""Ids, vectors and metadata as the service takes them, with its limits."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.pinecone_local.errors import ApiError, invalid

__all__ = [
    "MAX_BATCH",
    "MAX_DIMENSION",
    "MAX_TOP_K",
    "Sparse",
    "as_json",
    "check_id",
    "check_metadata",
    "check_namespace",
    "check_request_size",
    "is_number",
    "read_dense",
    "read_sparse",
]

MAX_TOP_K = 10_000
MAX_BATCH = 1_000
MAX_DIMENSION = 20_000
MAX_ID = 512
MAX_METADATA = 40_960
MAX_NONZERO = 2_048
MAX_REQUEST = 2_000_000


class Sparse(NamedTuple):
    """A sparse vector.

    Attributes
    ----------
    indices : int64, shape (n,)
        Distinct, within uint32.
    values : float32, shape (n,)
    """

    indices: NDArray[np.int64]
    values: NDArray[np.float32]

    def json(self) -> dict[str, Any]:
        """As the API writes it."""
        return {"indices": self.indices.tolist(), "values": as_json(self.values)}


def as_json(vector: NDArray[np.float32]) -> list[float]:
    """float32 as the shortest decimals that read back equal: 0.1, not 0.10000000149011612."""
    return [float(text) for text in vector.astype("U")]


def check_id(value: Any, what: str = "Vector ID") -> str:
    """An id: a string of 1 to 512 ASCII characters."""
    if not isinstance(value, str) or not value:
        raise invalid(f"{what} must be a string of 1 to {MAX_ID} characters, got {value!r:.80}")
    if not value.isascii():
        raise invalid(f"{what} must be ASCII, but got '{value!r:.80}'")
    if len(value) > MAX_ID:
        raise invalid(f"{what} must not be longer than {MAX_ID} characters, but got {len(value)}")
    if "\x00" in value:
        raise invalid(f"{what} must not contain the NUL character")
    return value


def check_namespace(value: str) -> str:
    """A namespace: up to 512 ASCII characters. ``__default__`` is the empty one."""
    if value == "__default__":
        return ""
    if len(value) > MAX_ID or not value.isascii() or "\x00" in value:
        raise invalid(f"Namespace must be up to {MAX_ID} ASCII characters without NUL")
    return value


def read_dense(value: Any, dimension: int, what: str = "Vector") -> NDArray[np.float32]:
    """float32 of shape (dimension,) from a JSON array."""
    if not isinstance(value, list):
        raise invalid(f"{what} values must be an array of numbers")
    if len(value) != dimension:
        raise invalid(
            f"{what} dimension {len(value)} does not match the dimension of the index {dimension}"
        )
    return _floats(value, what)


def read_sparse(value: Any, what: str = "Sparse vector") -> Sparse:
    """A sparse vector from ``{"indices": […], "values": […]}``."""
    if not isinstance(value, dict):
        raise invalid(f"{what} must be an object with 'indices' and 'values'")
    indices, values = value.get("indices"), value.get("values")
    if not isinstance(indices, list) or not isinstance(values, list):
        raise invalid(f"{what} must have the arrays 'indices' and 'values'")
    if len(indices) != len(values):
        raise invalid(
            f"{what} must have as many indices as values, got {len(indices)} and {len(values)}"
        )
    if not indices:
        raise invalid(f"{what} must contain at least one value")
    if len(indices) > MAX_NONZERO:
        raise invalid(f"{what} must have at most {MAX_NONZERO} values, got {len(indices)}")
    for index in indices:
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < 2**32:
            raise invalid(f"{what} index {index!r:.40} is no integer from 0 to 4294967295")
    if len(set(indices)) != len(indices):
        raise invalid(f"{what} must not have duplicate indices")
    return Sparse(np.array(indices, np.int64), _floats(values, what))


def _floats(values: list[Any], what: str) -> NDArray[np.float32]:
    if not set(map(type, values)) <= {int, float}:  # JSON gives no other numbers; a bool is none
        wrong = next(value for value in values if type(value) not in (int, float))
        raise invalid(f"{what} values must be numbers, got {wrong!r:.40}")
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype=np.float64).astype(np.float32)
    except OverflowError:
        raise invalid(f"{what} values must be within the range of a 32-bit float") from None
    if not np.isfinite(array).all():
        raise invalid(f"{what} values must be within the range of a 32-bit float")
    return array


def check_metadata(metadata: Mapping[str, Any], id_: str) -> None:
    """Strings, numbers, booleans and lists of strings, at most 40 KB in all; no null."""
    for key, value in metadata.items():
        if not key or key.startswith("$"):
            raise invalid(
                f"Metadata key '{key}' of vector '{id_}' must not be empty or start with '$'"
            )
        if isinstance(value, (str, bool)) or is_number(value):
            continue
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            continue
        raise invalid(
            "Metadata value must be a string, number, boolean or list of strings, got "
            f"'{json.dumps(value)[:80]}' for field '{key}'"
        )
    size = _size(metadata)
    if size > MAX_METADATA:
        raise invalid(
            f"Metadata size is {size} bytes, which exceeds the limit of {MAX_METADATA} bytes per "
            f"vector (vector '{id_}')"
        )


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number that a 64-bit float holds. ``1e999`` reads as infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _size(metadata: Mapping[str, Any]) -> int:
    try:
        return len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode())
    except UnicodeEncodeError as error:
        raise invalid("Metadata holds a surrogate, which UTF-8 can't") from error


def check_request_size(
    parts: Sequence[tuple[NDArray[np.float32] | None, Sparse | None, Mapping[str, Any]]],
) -> None:
    """At most 2 MB a request, counted in bytes of vectors and metadata as the service's table does."""
    size = 0
    for dense, sparse, metadata in parts:
        size += 0 if dense is None else dense.nbytes
        size += 0 if sparse is None else 8 * len(sparse.values)
        size += _size(metadata) if metadata else 0
    if size > MAX_REQUEST:
        raise ApiError(
            400,
            "OUT_OF_RANGE",
            f"Error, message length too large: found {size} bytes, the limit is: {MAX_REQUEST} bytes",
        )
