"""``writer.lock``: one process at a time writes to a collection.

``flock`` rather than ``lockf``: ``lockf`` quietly allows a second lock in the same process and drops
the first when any handle to the file is closed. ``flock`` belongs to the open file, which a forked child
shares, so the child must close its copy (:meth:`WriterLock.forget`) or the lock outlives the parent.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from llamaindex_vecx.errors import LockedError, ReadOnlyError, StorageError

__all__ = ["WriterLock"]

if sys.platform == "win32":
    import msvcrt

    _FAR = 1 << 30  # a locked byte can't be read on Windows, so not where the pid stands

    def _lock(handle: int) -> None:
        os.lseek(handle, _FAR, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """Held from construction to :meth:`release`, or to the end of the process.

    Raises
    ------
    LockedError
        Another process holds it; the message names its pid.
    ReadOnlyError
        The file can't be created or written.
    """

    def __init__(self, file: Path) -> None:
        try:
            handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if isinstance(error, PermissionError) or error.errno == errno.EROFS:
                raise ReadOnlyError(
                    f"{file} can't be written: {error.strerror}; "
                    "make the folder writable, or open with read_only=True"
                ) from error
            raise StorageError(f"{file} can't be opened: {error}") from error
        try:
            _lock(handle)
        except OSError as error:
            os.lseek(handle, 0, os.SEEK_SET)  # no pread on Windows
            owner = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise LockedError(
                f"{file.parent} is open for writing in the process with pid {owner}; "
                "close it there, or open with read_only=True here"
            ) from error
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, str(os.getpid()).encode())
        self._handle: int | None = handle

    def release(self) -> None:
        """Let another process write. The file stays: removing it would race with the next owner."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def forget(self) -> None:
        """In a forked child: close the inherited handle; the parent keeps the lock."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
