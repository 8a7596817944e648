"""Rows of numbers in a file, read through a map, for what is large and seldom read.

The file has no name, so nothing is left of it however the process ends. It is written by write calls, not
through the map: a full disk is then an exception and no signal that ends the process, and what was
written is in no process' memory, only in the system's cache.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from llamaindex_vecx.errors import DiskFullError, StorageError

__all__ = ["MappedRows", "is_mapped", "let_go", "read_at_random"]

_BLOCK = 8192  # rows copied at a time
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_RANDOM = getattr(mmap, "MADV_RANDOM", None)
_DROP = getattr(mmap, "MADV_DONTNEED", None)


class MappedRows:
    """A file of rows of one width, and the map of it.

    One thread writes; whoever took :attr:`array` may go on reading it, whatever happens here. Rows that
    others read must not be written again.

    Parameters
    ----------
    width : int
        Numbers of a row.
    dtype : dtype
    folder : Path or None
        Where the file lies; None is the system's folder for temporary files.

    Attributes
    ----------
    array : ndarray, shape (room, width)
        To be read.

    Raises
    ------
    StorageError
        The folder can't be written.
    """

    def __init__(self, width: int, dtype: DTypeLike, folder: Path | None) -> None:
        self.array: NDArray[Any] = np.zeros((0, width), dtype)
        self._folder = folder
        self._process = os.getpid()
        with self._explained():
            # Unbuffered, so that a fork leaves nothing that both processes would write.
            self._file: Any = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115

    @classmethod
    def copied(cls, rows: NDArray[Any], folder: Path | None) -> MappedRows:
        """The same rows in a file of their own."""
        copy = cls(rows.shape[1], rows.dtype, folder)
        copy.reserve(len(rows))
        for low in range(0, len(rows), _BLOCK):
            copy.write(low, rows[low : low + _BLOCK])
            let_go(rows)
        return copy

    def holds(self, array: NDArray[Any]) -> bool:
        """Whether ``array`` is the map of this file, and the file this process' own.

        After a fork it is the parent's, which would write to the same places.
        """
        return array is self.array and self._process == os.getpid()

    def reserve(self, count: int) -> NDArray[Any]:
        """The map, of ``count`` rows at least. Room takes no place on the disk until it is written."""
        room, width = self.array.shape
        if count > room:
            size = count * width * self.array.itemsize
            with self._explained():
                self._file.truncate(size)
                array = np.memmap(self._file, self.array.dtype, "r+", shape=(count, width))
            read_at_random(array)
            self.array = np.asarray(array)  # kernels take an ndarray in a tenth of the time
        return self.array

    def write(self, start: int, rows: NDArray[Any]) -> None:
        """Write rows from number ``start`` on, within the room there is.

        Raises
        ------
        DiskFullError, StorageError
            Some of them may be written.
        """
        left = np.ascontiguousarray(rows).data.cast("B")
        with self._explained():
            self._file.seek(start * rows.shape[1] * rows.itemsize)
            while left:
                left = left[self._file.write(left) :]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        where = self._folder or "the system's folder for temporary files"
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise DiskFullError(
                    f"no room for vectors in {where}: {error.strerror}; nothing was added. Make room, or "
                    "name another folder"
                ) from error
            raise StorageError(
                f"vectors can't be kept on disk in {where}: {error.strerror or error}; name a folder that "
                "can be written, or set on_disk=False"
            ) from error


def read_at_random(array: NDArray[Any]) -> None:
    """Tell the system not to read ahead in a mapped array."""
    _advise(array, _RANDOM)


def let_go(array: NDArray[Any]) -> None:
    """Drop the pages of a mapped array that are resident; any other array stays as it is.

    They stay in the system's cache, from where the next reader has them in microseconds. The array must
    not have been written to.
    """
    _advise(array, _DROP)


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether an array, or what it is a view of, is mapped from a file."""
    return _map_of(array) is not None


def _advise(array: NDArray[Any], advice: int | None) -> None:
    mapped = _map_of(array)
    if mapped is not None and advice is not None:
        with suppress(
            OSError
        ):  # refused where a process has locked its memory, and no more than advice
            mapped.madvise(advice)


def _map_of(array: Any) -> mmap.mmap | None:
    """What a :class:`numpy.memmap` lies over. Memory from :func:`zeros` is a map too, but of no file."""
    of_a_file = False
    while isinstance(array, np.ndarray):
        of_a_file |= isinstance(array, np.memmap)
        array = array.base
    return array if of_a_file and isinstance(array, mmap.mmap) else None
