"""Large arrays straight from the operating system.

Such memory costs nothing until it is touched, so an array can be made far larger than what is in it and
need not be copied to grow; and all of it goes back as soon as the array is gone, where a heap would keep
the holes.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["LINE", "give_back", "roomy", "zeros"]

LINE = 64
_HUGE_PAGE = 1 << 21
_LARGE = 1 << 20
_ROOM = 1 << 30  # bytes of vectors that get room at once
_MOST = 1 << 20  # vectors: a search's marks of visits, sized by the room, must not outgrow the rest
_LAZY = hasattr(mmap, "MAP_ANONYMOUS")  # elsewhere memory counts when it is asked for
_FLAGS = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)}
    if _LAZY
    else {}
)


def zeros(
    shape: tuple[int, ...], dtype: DTypeLike, *, huge_pages: bool = False, whole: bool = False
) -> NDArray[Any]:
    """A zeroed array that begins on a cache line.

    Parameters
    ----------
    huge_pages : bool
        Ask for pages of 2 MB: for what is read at random, where the look-up of 4 KB pages would cost
        more than the reading. Taken where the array is that large and the system has them.
    whole : bool
        Take a last huge page too, where a quarter of it is used: to touch as many small ones one by one
        takes as long as to touch it, a quarter of a millisecond on a virtual machine.

    Raises
    ------
    MemoryError
        The system has no such room.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape)) * dtype.itemsize
    used = size
    if whole and size % _HUGE_PAGE >= _HUGE_PAGE // 4:
        size += -size % _HUGE_PAGE
    boundary = _HUGE_PAGE if huge_pages and size >= _HUGE_PAGE else LINE
    if size >= _LARGE:
        try:
            memory = mmap.mmap(-1, size + boundary, **_FLAGS)
        except (OSError, OverflowError) as error:
            raise MemoryError(f"no room for an array of {size} bytes: {error}") from error
        if boundary == _HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        raw = np.frombuffer(memory, np.uint8)
    else:
        raw = np.zeros(size + boundary, np.uint8)
    start = -raw.ctypes.data % boundary
    return raw[start : start + used].view(dtype).reshape(shape)


def roomy(size: int, capacity: int, vector_bytes: int) -> int:
    """How many vectors to make room for when ``size`` no longer fit into ``capacity``.

    Twice as many as before; once that is large, a gigabyte's or a million at once, since room counts only
    as it fills.
    """
    wanted = max(size, 2 * capacity, 64)
    if _LAZY and wanted * vector_bytes >= _HUGE_PAGE:
        return max(wanted, min(_MOST, _ROOM // vector_bytes))
    return wanted


def give_back() -> None:
    """Return to the system what the heap keeps of freed memory, where its allocator can: glibc's.

    Bulk work leaves holes that later work doesn't fit into, some 300 bytes for each node of a large add.
    Takes milliseconds, in which other threads may wait for memory.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or none to be had this way
        return None
    return trim
