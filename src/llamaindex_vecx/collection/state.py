"""The few numbers that describe a collection at one commit."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import asdict, dataclass, field

from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.history import History
from llamaindex_vecx.errors import FormatError

__all__ = ["State", "read_state"]


@dataclass(frozen=True, slots=True)
class State:
    """A collection at one commit.

    Attributes
    ----------
    seq : int
        Number of changes so far: rows added and rows removed. The newest row's number is at most this.
    count : int
        Rows there are.
    dim : int or None
        None before the first add.
    floor : int
        Tombstones up to this ``seq`` are forgotten: a view that has not reached it must begin again.
    base : int
        The rows of this generation are numbered from ``base + 1`` on.
    generation : str
        Renewed by ``clear`` and where ``compact`` renumbers: what a view of another one holds says nothing
        about this one.
    """

    seq: int = 0
    count: int = 0
    dim: int | None = None
    floor: int = 0
    base: int = 0
    generation: str = field(default_factory=lambda: uuid.uuid4().hex)

    def write(self, connection: sqlite3.Connection) -> None:
        """Store it, in the caller's transaction."""
        sql.set_meta(connection, state=asdict(self))


def read_state(connection: sqlite3.Connection) -> tuple[State, History]:
    """The state and the history, in the caller's transaction.

    Raises
    ------
    FormatError
        They are missing or damaged.
    """
    meta = sql.get_meta(connection, "state", "history")
    try:
        state = State(**meta["state"])
        return state, History(state.generation, [(token, seq) for token, seq in meta["history"]])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"the collection's state is damaged ({error!r}); restore a backup of collection.sqlite3"
        ) from error
