"""The background thread of a collection."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

__all__ = ["Worker"]

_log = logging.getLogger(__name__)


class Worker:
    """Calls ``step`` again and again while that returns True, and then after every :meth:`wake`.

    The thread is a daemon and starts with the first :meth:`wake`. An exception ends the round: it is
    kept for :meth:`take_error`, and the next :meth:`wake` tries again.
    """

    def __init__(self, step: Callable[[], bool], name: str) -> None:
        self._step = step
        self._name = name
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._work = False
        self._busy = False
        self._stopping = False
        self._error: BaseException | None = None

    def wake(self) -> None:
        """Say that there is something to do."""
        with self._changed:
            if self._stopping:
                return
            self._work = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def wait(self) -> None:
        """Wake it and block until nothing is left to do, or it has failed or was stopped."""
        self.wake()
        with self._changed:
            self._changed.wait_for(lambda: not (self._work or self._busy) or self._stopping)

    def take_error(self) -> BaseException | None:
        """What ended the last round, once."""
        error = self._error
        if error is not None:
            self._error = None
        return error

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
                more = self._step()
            except Exception as error:
                _log.exception("%s failed; queries scan what it has not reached", self._name)
                self._error = error
            with self._changed:
                self._work, self._busy = self._work or more, False
                if not self._work:
                    self._changed.notify_all()
