"""What a process that is nothing but this server asks of its operating system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["prepare"]

_FILES = 8192
_M_ARENA_MAX = -8  # glibc's malloc.h


def prepare() -> None:
    """Allow many open files, and keep one heap for all threads. Where that can't be done, nothing happens."""
    _allow_many_files()
    _keep_one_heap()


def _allow_many_files() -> None:
    """Each open namespace holds some files, of which a shell allows 1,024 by default."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _keep_one_heap() -> None:
    """glibc gives threads heaps of their own, and each keeps what its requests once needed.

    Under 32 clients that grew by 1 MB a second without end, and with one heap it comes to rest. The
    interpreter's lock lets one thread run at a time anyway.
    """
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
    except (AttributeError, OSError):  # another libc
        return
