"""Transactions: what a change does to the tables, and the state it leaves behind."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.database import Database
from llamaindex_vecx.collection.history import History
from llamaindex_vecx.collection.record import Record, check_ids, stack_vectors
from llamaindex_vecx.collection.schema import renumber_rows
from llamaindex_vecx.collection.state import State, read_state
from llamaindex_vecx.errors import StorageError
from llamaindex_vecx.index.checks import MAX_ROW

__all__ = ["Commit", "Writer"]

_PART = 4096


@dataclass(slots=True)
class Commit:
    """A change that is through.

    Attributes
    ----------
    since : int
        The ``seq`` before it.
    state : State
        The state after it.
    removed : list of int
        Rows that are gone.
    first : int
        The first new row; the others follow on it.
    parts : list of float32, shape (n, dim)
        The vectors of the new rows, in blocks.
    """

    since: int
    state: State
    removed: list[int]
    first: int
    parts: list[NDArray[np.float32]]


class Writer:
    """The one writer of a database. Its owner locks.

    Every transaction reads the state from the database first, so an interrupt between a commit and the
    moment its caller hears of it leaves nothing wrong.
    """

    def __init__(self, database: Database, dim: int | None) -> None:
        self._database = database
        self._dim = dim  # the one setting that a clear() returns to
        self._session = uuid.uuid4().hex
        self._noted = False

    def add(self, records: Sequence[Record]) -> Commit:
        """Add or replace records."""
        ids = check_ids(records)
        parts: list[NDArray[np.float32]] = []
        with self._database.transaction() as connection:
            state, history = read_state(connection)
            replaced = sorted(sql.lookup(connection, ids).values()) if state.count else []
            sql.delete(connection, replaced, state.seq + 1)
            first = state.seq + len(replaced) + 1
            dim = state.dim or self._dim
            for at in range(0, len(records), _PART):
                some = records[at : at + _PART]
                vectors = stack_vectors(some, dim)
                dim = vectors.shape[1]
                sql.insert(connection, first + at, some, vectors)
                parts.append(vectors)
            new = replace(
                state,
                seq=first + len(records) - 1,
                count=state.count + len(records) - len(replaced),
                dim=dim,
            )
            self._store(connection, state, new, history)
        self._noted = True
        return Commit(state.seq, new, replaced, first, parts)

    def delete(self, rows: BitMap) -> Commit | None:
        """Remove those of ``rows`` that are there; None if none is."""
        with self._database.transaction() as connection:
            state, history = read_state(connection)
            gone = sql.existing(connection, rows.to_array().tolist())
            if not gone:
                return None
            sql.delete(connection, gone, state.seq + 1)
            new = replace(state, seq=state.seq + len(gone), count=state.count - len(gone))
            self._store(connection, state, new, history)
        self._noted = True
        return Commit(state.seq, new, gone, new.seq + 1, [])

    def clear(self) -> None:
        """Remove everything and begin a new generation, which no old snapshot fits."""
        with self._database.transaction() as connection:
            state, _ = read_state(connection)
            sql.clear(connection)
            seq = state.seq + 1
            new = State(seq, 0, self._dim, floor=seq, base=seq)
            new.write(connection)
            History(new.generation, [(self._session, seq)]).write(connection)
            sql.set_meta(connection, saved={})
        self._noted = True

    def renumber(self) -> NDArray[np.int64]:
        """Give the rows the numbers from ``seq + 1`` on, in their order. Returns those they had."""
        with self._database.transaction() as connection:
            state, _ = read_state(connection)
            rows = renumber_rows(connection, state.seq)
            seq = state.seq + len(rows)
            self._check_room(seq)
            new = State(seq, state.count, state.dim, floor=seq, base=state.seq)
            new.write(connection)
            History(new.generation, [(self._session, state.seq)]).write(connection)
            sql.set_meta(connection, saved={})
        self._noted = True
        return rows

    def set_meta(self, **values: Any) -> None:
        """Store JSON values that belong to no change of the rows."""
        with self._database.transaction() as connection:
            sql.set_meta(connection, **values)

    def forget_tombstones(self, upto: int) -> None:
        """Drop what every view has applied; a snapshot older than ``upto`` is void from now on."""
        with self._database.transaction() as connection:
            state, _ = read_state(connection)
            sql.prune_tombstones(connection, upto)
            replace(state, floor=max(state.floor, upto)).write(connection)

    def _store(self, connection: Any, old: State, new: State, history: History) -> None:
        self._check_room(new.seq)
        new.write(connection)
        if not self._noted:
            history.begin(self._session, old.seq)
            history.write(connection)

    def _check_room(self, seq: int) -> None:
        if seq > MAX_ROW:
            raise StorageError(
                f"{self._database.where} has used up its {MAX_ROW} row numbers; "
                "copy its records into a new collection"
            )
