"""Which past states a database has had, so that a snapshot can be recognised as one of them.

Each snapshot is stamped with the collection's *generation* (renewed by ``clear``), the *session* that was
writing, and the ``seq`` it holds. The database remembers at which ``seq`` each session began. So a
snapshot is one of this database's own past states exactly if its session is known and its ``seq`` lies
within it. After the database alone was restored from a backup, a later snapshot does not, and not either
when the restored database has since grown past its ``seq`` on another way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llamaindex_vecx.collection import rows as sql

__all__ = ["History"]

_MOST_SESSIONS = 256  # the snapshots of older ones are rebuilt


@dataclass(slots=True)
class History:
    """A generation, and its sessions with the ``seq`` at which each began."""

    generation: str
    sessions: list[tuple[str, int]]

    def write(self, connection: sqlite3.Connection) -> None:
        """Store it, in the caller's transaction."""
        sql.set_meta(connection, history=self.sessions[-_MOST_SESSIONS:])

    def begin(self, session: str, seq: int) -> None:
        """Note a new session."""
        self.sessions.append((session, seq))

    def stamp(self, seq: int, row: int) -> dict[str, Any]:
        """What a snapshot carries that holds all changes up to ``seq``, and rows up to ``row`` already."""
        session = max((begin, token) for token, begin in self.sessions if begin <= row)[1]
        return {"generation": self.generation, "session": session, "seq": seq, "row": row}

    def objection(self, stamp: Mapping[str, Any], seq: int, floor: int) -> str | None:
        """Why a snapshot with this stamp is no past state of a database at ``seq``; None if it is one."""
        at, row = stamp.get("seq"), stamp.get("row")
        if not isinstance(at, int) or not isinstance(row, int) or not 0 <= at <= row:
            return "carries no seq"
        if stamp.get("generation") != self.generation:
            return (
                "is of another collection, or from before this one was cleared or numbered "
                "anew by a compaction"
            )
        begins = dict(self.sessions)
        if stamp.get("session") not in begins:
            return "was written in a session that the database doesn't know"
        begin = begins[stamp["session"]]
        end = min((other for other in begins.values() if other > begin), default=seq)
        if not begin <= row <= end:
            return (
                f"is ahead of the database (seq {row}, not {end}), perhaps restored from a backup"
            )
        if at < floor:
            return "is older than the last compaction"
        return None
