"""faiss itself: imported when it is first needed, and kept to the threads it is given.

GNU OpenMP hangs in a forked child whose parent had used more than one thread. The number of threads belongs
to the calling thread, so it is set around every call, and is one in a forked child.
"""

from __future__ import annotations

import os
import threading
from functools import cache
from types import TracebackType
from typing import Any

from llamaindex_vecx.errors import MissingExtraError

__all__ = ["Gate", "library", "openmp"]

_forked = False


def _after_fork_in_child() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@cache
def library() -> Any:
    """The module ``faiss``.

    Raises
    ------
    MissingExtraError
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss", "faiss") from error
    return faiss


class openmp:  # noqa: N801 - used like a function: ``with openmp(2):``
    """Run a block of faiss calls with this many threads, and leave the caller's number as it was."""

    __slots__ = ("_before", "_threads")

    def __init__(self, threads: int) -> None:
        self._threads = 1 if _forked else threads

    def __enter__(self) -> None:
        faiss = library()
        self._before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(self._threads)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        library().omp_set_num_threads(self._before)


class _Side:
    """One way through a gate, as a context manager."""

    __slots__ = ("_enter", "_leave")

    def __init__(self, enter: Any, leave: Any) -> None:
        self._enter = enter
        self._leave = leave

    def __enter__(self) -> None:
        self._enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()


class Gate:
    """Many readers or one writer. A waiting writer goes before new readers.

    A faiss index may be searched from many threads, but not while rows enter it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._writers = 0  # that write or wait
        self._writing = False
        self.shared: _Side = _Side(self._enter, self._leave)
        self.alone: _Side = _Side(self._enter_alone, self._leave_alone)

    def _enter(self) -> None:
        with self._changed:
            while self._writers:
                self._changed.wait()
            self._readers += 1

    def _leave(self) -> None:
        with self._changed:
            self._readers -= 1
            if self._writers and not self._readers:
                self._changed.notify_all()

    def _enter_alone(self) -> None:
        with self._changed:
            self._writers += 1
            while self._writing or self._readers:
                self._changed.wait()
            self._writing = True

    def _leave_alone(self) -> None:
        with self._changed:
            self._writing = False
            self._writers -= 1
            self._changed.notify_all()
