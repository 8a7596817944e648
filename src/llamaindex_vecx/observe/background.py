"""Work that must not be done in a query's thread: a bounded queue, and a thread that empties it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Background"]

_log = logging.getLogger(__name__)
Item = TypeVar("Item")


class Background(Generic[Item]):
    """Hands what is put to ``work`` in batches, on a daemon thread that begins with the first item.

    ``put`` never blocks and never raises. Where items come faster than they are worked off, the newest are
    dropped and counted. In a forked child the thread begins anew, with an empty queue.

    Parameters
    ----------
    work : callable
        Given a list of items. What it raises is logged, once for each kind of error; the items are lost.
    name : str
        Of the thread.
    interval : float
        Seconds between batches.
    most : int
        Items that may wait.
    """

    def __init__(
        self, work: Callable[[list[Item]], None], *, name: str, interval: float, most: int
    ) -> None:
        self._work = work
        self._name = name
        self._interval = interval
        self._most = most
        self.dropped: int = 0
        self._start_over()
        _living.add(self)

    def _start_over(self) -> None:
        self._items: deque[Item] = deque()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._working = threading.Lock()
        self._closed = False
        self._told: set[str] = set()

    def put(self, item: Item) -> None:
        """Take ``item`` if there is room."""
        if self._pid != os.getpid():
            self._start_over()
        if self._closed:
            return
        if len(self._items) >= self._most:
            self.dropped += 1
            return
        self._items.append(item)
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._closed:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(self._interval)
            self._wake.clear()
            self.work_off()

    def work_off(self) -> None:
        """Work off what is there, in this thread; two threads take turns."""
        with self._working:
            batch: list[Item] = []
            while self._items:
                batch.append(self._items.popleft())
            if not batch:
                return
            try:
                self._work(batch)
            except Exception as error:  # a handler's trouble must not end its thread
                kind = f"{type(error).__name__}: {error}"
                if kind not in self._told:
                    self._told.add(kind)
                    _log.warning("%s lost %d traces: %s", self._name, len(batch), kind)

    def flush(self, timeout: float | None = None) -> bool:
        """Have everything that was put until now worked off. False if that takes longer than ``timeout``.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits as long as it takes.
        """
        if self._thread is None or not self._thread.is_alive():
            self.work_off()
            return True
        until = None if timeout is None else time.monotonic() + timeout
        self._wake.set()
        while self._items or self._working.locked():
            if until is not None and time.monotonic() >= until:
                return False
            self._wake.set()
            time.sleep(0.005)
        return True

    def close(self, timeout: float | None = None) -> bool:
        """Flush, and end the thread. False if not all was worked off within ``timeout``."""
        done = self.flush(timeout)
        self._closed = True
        self._wake.set()
        _living.discard(self)
        return done


_living: weakref.WeakSet[Background[Any]] = weakref.WeakSet()
_AT_EXIT = 10.0


@atexit.register
def _flush_all() -> None:
    for background in list(_living):
        background.close(_AT_EXIT)
