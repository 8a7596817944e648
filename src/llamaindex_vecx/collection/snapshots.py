"""Views on disk: which snapshot may be believed, when one is written, and what to say when it is lost.

Each snapshot is stamped with the collection's *generation* (renewed by ``clear``), the *session* that was
writing, and the ``seq`` it holds. The database remembers at which ``seq`` each session began. So a
snapshot is one of this database's own past states exactly if its session is known and its ``seq`` lies
within it; after the database alone was restored from a backup, it is not.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llamaindex_vecx.collection.views import View
from llamaindex_vecx.errors import DamagedSnapshotError

__all__ = ["MOST_SESSIONS", "History", "Snapshots", "warn"]

_log = logging.getLogger(__name__)
MOST_SESSIONS = 256
_REBUILT = "it is rebuilt from the rows"


def warn(message: str) -> None:
    """A warning to the user, never an exception in the background."""
    _log.warning(message)
    try:
        warnings.warn(message, UserWarning, stacklevel=2)
    except UserWarning:
        _log.debug("warnings are errors here; the message above is all there is")


class History:
    """The sessions that wrote a collection, and the ``seq`` at which each began."""

    def __init__(self, generation: str, sessions: Iterable[tuple[str, int]]) -> None:
        self.generation = generation
        self.sessions = [(token, since) for token, since in sessions]

    def begin(self, token: str, seq: int) -> None:
        """Note a new session. The oldest are forgotten; their snapshots are then rebuilt."""
        self.sessions = [*self.sessions, (token, seq)][-MOST_SESSIONS:]

    def stamp(self) -> dict[str, Any]:
        """What a snapshot of now carries, beside its ``seq``."""
        return {"generation": self.generation, "session": self.sessions[-1][0]}

    def objection(self, stamp: dict[str, Any], seq: int, floor: int) -> str | None:
        """Why a snapshot with this stamp is not a past state of a database at ``seq``; None if it is."""
        at = stamp.get("seq")
        if not isinstance(at, int):
            return "carries no seq"
        if stamp.get("generation") != self.generation:
            return "is of another collection, or from before it was cleared"
        begins = [since for _, since in self.sessions]
        names = [token for token, _ in self.sessions]
        if stamp.get("session") not in names:
            return "was written in a session that the database doesn't know"
        place = names.index(str(stamp["session"]))
        ends = begins[place + 1] if place + 1 < len(begins) else seq
        if not begins[place] <= at <= ends:
            return (
                f"is ahead of the database (seq {at} after {ends}), perhaps restored from a backup"
            )
        if at < floor:
            return "is older than the last compaction"
        return None


class Snapshots:
    """The folder ``views/`` of one collection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def restore(
        self, view: View, history: History, seq: int, floor: int, *, expected: bool
    ) -> None:
        """Load a view's snapshot if there is one that can be believed, else say why not.

        ``expected`` says that the database knows of one: a collection that was never flushed has none.
        """
        if not expected:
            return
        folder = self.folder / view.name
        if not folder.exists():
            warn(f"{folder} is missing; {_REBUILT}")
            return
        try:
            state, stamp = view.read(folder)
        except DamagedSnapshotError as error:
            warn(f"{error}; {_REBUILT}")
            return
        objection = history.objection(stamp, seq, floor)
        if objection is not None:
            warn(f"{folder} {objection}; {_REBUILT}")
            return
        view.adopt(state, int(stamp["seq"]))

    def save(self, view: View, history: History) -> bool:
        """Write a view down. A failure warns: a snapshot is only a cache."""
        try:
            view.save(self.folder / view.name, history.stamp())
        except OSError as error:
            warn(
                f"the snapshot of the view {view.name!r} could not be written ({error}); "
                "nothing is lost, the next opening takes longer"
            )
            return False
        return True
