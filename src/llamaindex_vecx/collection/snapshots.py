"""Views on disk: a cache, so nothing that happens to it may fail what the user asked for."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llamaindex_vecx.collection.history import History
from llamaindex_vecx.collection.state import State
from llamaindex_vecx.collection.views import View
from llamaindex_vecx.errors import DamagedSnapshotError

__all__ = ["Snapshots", "warn"]

_log = logging.getLogger(__name__)
_REBUILT = "it is rebuilt from the rows"


def warn(message: str) -> None:
    """A warning that stays one: where warnings are errors it would fail a query that has an answer."""
    _log.warning(message)
    try:
        warnings.warn(message, UserWarning, stacklevel=2)
    except UserWarning:
        _log.debug("warnings are errors here, so the message above is all there is")


class Snapshots:
    """The folder ``views/`` of one collection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def restore(self, view: View, state: State, history: History) -> None:
        """Load a view's snapshot, or say why it can't be believed. The database knows that there is one."""
        folder = self._folder / view.name
        if not folder.exists():
            warn(f"{folder} is missing; {_REBUILT}")
            return
        try:
            loaded, stamp = view.read(folder)
        except DamagedSnapshotError as error:
            warn(f"{error}; {_REBUILT}")
            return
        objection = history.objection(stamp, state.seq, state.floor)
        if objection is not None:
            warn(f"{folder} {objection}; {_REBUILT}")
            return
        view.adopt(loaded, stamp)

    def newer(
        self, view: View, state: State, history: History
    ) -> tuple[Any, dict[str, Any]] | None:
        """What another process has written down since, and its stamp; None where it can't be believed.

        It may be replaced while it is read: then there will be another.
        """
        try:
            loaded, stamp = view.read(self._folder / view.name)
        except DamagedSnapshotError:
            return None
        if history.objection(stamp, state.seq, state.floor) is not None:
            return None
        return loaded, stamp

    def save(self, view: View, stamp: Callable[[int, int], dict[str, Any]]) -> bool:
        """Write a view down. Returns whether that went well; a failure warns."""
        try:
            view.save(self._folder / view.name, stamp)
        except OSError as error:
            warn(
                f"the snapshot of the view {view.name!r} could not be written ({error}); "
                "nothing is lost, the next opening takes longer"
            )
            return False
        return True

    def tidy(self) -> None:
        """Remove what a writer that was killed had begun."""
        for unfinished in self._folder.glob(".*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def drop(self) -> None:
        """Remove all snapshots, as far as that goes."""
        shutil.rmtree(self._folder, ignore_errors=True)
