"""Sortable keys, and ascending buffers of them that take the place of heaps.

A key is one int64: the distance above, a number below 2³² in the lower half (a slot and a flag, or a
row). A buffer is an int64 array whose first eight places hold a sentinel; keys begin behind them, empty
places hold :data:`NO_KEY`.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, bits_of_float32, float32_of_bits
from llamaindex_vecx.index.simd import LANES, insert_key
from llamaindex_vecx.jit import inline

__all__ = [
    "NO_KEY",
    "START",
    "begin",
    "buffer",
    "clear",
    "close",
    "insert",
    "insert_within",
    "key_distance",
    "key_slot",
    "pack",
    "within",
]

NO_KEY = np.iinfo(np.int64).max
START = LANES
"""Where in a buffer the keys begin."""

_LEAST = np.iinfo(np.int64).min
_HEAD = START * 8


def buffer(size: int) -> NDArray[np.int64]:
    """Room for ``size`` keys, rounded up to what :func:`insert` needs."""
    return np.empty(START + -(-size // LANES) * LANES, np.int64)


@inline
def clear(keys: NDArray[np.int64]) -> None:
    """Empty a buffer."""
    keys[START - 1] = _LEAST
    for i in range(START, keys.shape[0]):
        keys[i] = NO_KEY


@inline
def insert(keys: NDArray[np.int64], key: int) -> int:
    """Insert a key; the last falls out. Returns its place, from 0."""
    return insert_key(address(keys) + _HEAD, keys.shape[0] - START, key)


@inline
def begin(keys: NDArray[np.int64]) -> None:
    """Empty a buffer that is filled by :func:`insert_within` alone, however large it is."""
    keys[START - 1] = _LEAST


@inline
def insert_within(keys: NDArray[np.int64], used: int, key: int) -> int:
    """Like :func:`insert`, where only the first ``used`` places, with the new one, are in use."""
    if used & (LANES - 1) == 1:  # the first of a step: what lies behind it is old
        for i in range(START + used - 1, START + used - 1 + LANES):
            keys[i] = NO_KEY
    return insert_key(address(keys) + _HEAD, (used + LANES - 1) // LANES * LANES, key)


@inline
def close(keys: NDArray[np.int64], used: int) -> None:
    """Mark the end of a buffer that was filled by :func:`insert_within`."""
    if START + used < keys.shape[0]:
        keys[START + used] = NO_KEY


@inline
def flip(bits: int) -> int:
    """From a float32's bits to an int32 that sorts the same way, and back: negatives run backwards."""
    return np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF))


@inline
def sortable(value: float) -> int:
    """A float32 as an int32 that sorts the same way; NaN last."""
    if value != value:
        return np.int32(0x7FFFFFFF)
    return flip(bits_of_float32(np.float32(value)))


@inline
def pack(distance: float, low: int) -> int:
    """One key that sorts by distance, then by ``low``."""
    return (np.int64(sortable(distance)) << np.int64(32)) | np.int64(low)


@inline
def key_distance(key: int) -> float:
    """The distance in a key."""
    return float32_of_bits(flip(np.int32(key >> np.int64(32))))


@inline
def within(keys: NDArray[np.int64], size: int) -> float:
    """The distance of the last of ``size`` keys, up to which others are taken in; infinity while it lacks."""
    last = keys[START + size - 1]
    return key_distance(last) if last != NO_KEY else np.float32(np.inf)


@inline
def key_low(key: int) -> int:
    """The lower half of a key: a row."""
    return key & np.int64(0xFFFFFFFF)


@inline
def key_slot(key: int) -> int:
    """The slot in a traversal's key, whose lowest bit says that it was expanded."""
    return (key & np.int64(0xFFFFFFFF)) >> np.int64(1)
