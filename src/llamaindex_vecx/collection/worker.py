"""The background thread of a collection."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

__all__ = ["Worker"]

_log = logging.getLogger(__name__)
_PAUSE = 1.0


class Worker:
    """Calls ``step`` again and again while that returns True, and then after every :meth:`wake`.

    The thread is a daemon and starts with the first :meth:`wake`. An exception ends the round and is
    handed to the next :meth:`wake`, which tries again, at most once a second.
    """

    def __init__(self, step: Callable[[], bool], name: str) -> None:
        self._step = step
        self._name = name
        self._changed = threading.Condition()
        self._stepping = threading.Lock()
        self._thread: threading.Thread | None = None
        self._work = False
        self._busy = False
        self._stopping = False
        self._error: Exception | None = None
        self._retry_at = 0.0

    def wake(self) -> Exception | None:
        """Say that there is something to do. Returns what ended the last round, if that was an error."""
        if self._work:
            return None
        with self._changed:
            if self._stopping or monotonic() < self._retry_at:
                return None
            error, self._error = self._error, None
            self._begin()
            return error

    def wait(self) -> Exception | None:
        """Wake it and block until nothing is left to do, or it has failed or was stopped."""
        with self._changed:
            self._error = None
            self._begin()
            self._changed.wait_for(lambda: not (self._work or self._busy) or self._stopping)
            error, self._error = self._error, None
            return error

    def _begin(self) -> None:
        self._work = True
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def pause(self) -> None:
        """Wait for the step under way and begin no other until :meth:`resume`."""
        self._stepping.acquire()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        self._stepping.release()

    def stop(self) -> None:
        """End the thread after the step under way. It can't be started again."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._stopping)
                if self._stopping:
                    return
                # lowered before looking: a wake during the step is then not lost
                self._work, self._busy = False, True
            more = False
            try:
                with self._stepping:
                    more = self._step()
            except Exception as error:
                _log.exception("%s failed", self._name)
                self._error = error
                self._retry_at = monotonic() + _PAUSE
            with self._changed:
                self._work, self._busy = self._work or more, False
                if not self._work:
                    self._changed.notify_all()
