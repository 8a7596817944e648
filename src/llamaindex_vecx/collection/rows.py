"""The statements over the tables: rows in, rows out, and what changed since a ``seq``.

Every function takes a connection and leaves transactions to its caller. Values are always bound; only
question marks are ever put into a statement.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from json.scanner import make_scanner
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.collection.record import Record, encode_metadata
from llamaindex_vecx.errors import FormatError, SerializationError

__all__ = [
    "added",
    "as_records",
    "clear",
    "current",
    "decode",
    "decode_metadata",
    "decode_vectors",
    "delete",
    "existing",
    "fetch",
    "fetch_columns",
    "fetch_vectors",
    "get_meta",
    "ids",
    "insert",
    "lookup",
    "of_documents",
    "prune_tombstones",
    "removed",
    "set_meta",
]

_scan: Callable[[str, int], tuple[Any, int]] = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]
# `decode` would look for white space around, which we never write
# Question marks in one statement. Few sizes, so that each statement is compiled once a connection.
_SIZES = (1, 4, 16, 64, 256, 1024)
_MARKS = {size: ",".join("?" * size) for size in _SIZES}


def _chunks(values: Sequence[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    """Marks and values to bind, the last chunk filled up with its last value again."""
    at = 0
    while at < len(values):
        left = len(values) - at
        size = next((size for size in _SIZES if size >= left), _SIZES[-1])
        chunk = list(values[at : at + size])
        chunk += chunk[-1:] * (size - len(chunk))
        yield _MARKS[size], chunk
        at += size


def decode(text: str, what: str) -> Any:
    """What the JSON in a column says.

    Raises
    ------
    FormatError
    """
    try:
        value, end = _scan(text, 0)
        if end != len(text):
            raise ValueError(f"something follows at character {end}")
        return value
    except (ValueError, StopIteration) as error:
        raise FormatError(
            f"{what} is damaged in the database ({error}); restore a backup of collection.sqlite3"
        ) from error


def decode_metadata(text: str) -> dict[str, Any]:
    """A row's metadata.

    Raises
    ------
    FormatError
    """
    return decode(text, "a row's metadata")  # type: ignore[no-any-return]


def get_meta(connection: sqlite3.Connection, *keys: str) -> dict[str, Any]:
    """Values by key; a key that isn't there is left out.

    Raises
    ------
    FormatError
        A value is no JSON.
    """
    found: dict[str, Any] = {}
    for marks, chunk in _chunks(keys):
        for key, value in connection.execute(
            f"SELECT key, value FROM meta WHERE key IN ({marks})", chunk
        ):
            found[key] = decode(value, f"meta {key!r}")
    return found


def current(connection: sqlite3.Connection) -> tuple[str, int, int]:
    """Generation, ``seq`` and floor of what this connection sees."""
    state = get_meta(connection, "state")["state"]
    return state["generation"], state["seq"], state["floor"]


def set_meta(connection: sqlite3.Connection, **values: Any) -> None:
    """Store JSON values by key."""
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [(key, json.dumps(value)) for key, value in values.items()],
    )


def _storable(texts: Sequence[str]) -> Sequence[str]:
    """Those that UTF-8 can hold. The others can't be in the database."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return [
            text
            for text in texts
            if text.isascii() or text.encode("utf-8", "ignore").decode() == text
        ]
    return texts


def lookup(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    """Row by id, for those ids that are there."""
    found: dict[str, int] = {}
    for marks, chunk in _chunks(_storable(ids)):
        found.update(
            connection.execute(f"SELECT id, row FROM nodes WHERE id IN ({marks})", chunk).fetchall()
        )
    return found


def ids(
    connection: sqlite3.Connection, prefix: str, after: str | None, limit: int | None
) -> list[str]:
    """Ids that begin with ``prefix`` and stand behind ``after``, ascending, at most ``limit``."""
    bounds = [prefix, after or ""]
    if _storable(bounds) != bounds:
        return []
    # from one bound on, not LIKE, which is blind to case and reads % and _ as patterns
    found = connection.execute(
        "SELECT id FROM nodes WHERE id >= ? AND id > ? AND substr(id, 1, ?) = ? ORDER BY id LIMIT ?",
        (*bounds, len(prefix), prefix, -1 if limit is None else limit),
    )
    return [id_ for (id_,) in found]


def of_documents(connection: sqlite3.Connection, ref_doc_ids: Sequence[str]) -> list[int]:
    """Rows of some source documents."""
    rows: list[int] = []
    for marks, chunk in _chunks(_storable(list(dict.fromkeys(ref_doc_ids)))):
        rows += [
            row
            for (row,) in connection.execute(
                f"SELECT row FROM nodes WHERE ref_doc_id IN ({marks})", chunk
            )
        ]
    return rows


def existing(connection: sqlite3.Connection, rows: Sequence[int]) -> list[int]:
    """Those of ``rows`` that are there, ascending."""
    found: set[int] = set()
    for marks, chunk in _chunks(rows):
        found.update(
            row
            for (row,) in connection.execute(f"SELECT row FROM nodes WHERE row IN ({marks})", chunk)
        )
    return sorted(found)


def insert(
    connection: sqlite3.Connection,
    first: int,
    records: Sequence[Record],
    vectors: NDArray[np.float32],
) -> None:
    """Write records as rows ``first``, ``first + 1``, …

    Raises
    ------
    SerializationError
        Metadata that JSON can't hold, or text that UTF-8 can't.
    """
    try:
        connection.executemany(
            "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?)",
            [
                (row, r.id, r.ref_doc_id, r.text, encode_metadata(r), r.content)
                for row, r in enumerate(records, first)
            ],
        )
    except UnicodeEncodeError:
        raise _explain(records) from None
    connection.executemany(
        "INSERT INTO vectors VALUES (?, ?)",
        [(row, vector.data) for row, vector in enumerate(vectors, first)],
    )


def _explain(records: Sequence[Record]) -> SerializationError:
    for record in records:
        for name in ("id", "ref_doc_id", "text", "metadata", "content"):
            value = getattr(record, name)
            written = encode_metadata(record) if name == "metadata" else value or ""
            try:
                written.encode()
            except UnicodeEncodeError as error:
                return SerializationError(
                    f"the {name} of record {record.id!r} can't be written as UTF-8 ({error.reason} at "
                    f"character {error.start}); clean it: s.encode('utf-8', 'replace').decode()"
                )
    return SerializationError("a record can't be written as UTF-8")


def delete(connection: sqlite3.Connection, rows: Sequence[int], first: int) -> None:
    """Remove rows that are there and note their removal under the seqs ``first``, ``first + 1``, …"""
    connection.executemany("INSERT INTO tombstones VALUES (?, ?)", enumerate(rows, first))
    single = [(row,) for row in rows]
    connection.executemany("DELETE FROM nodes WHERE row = ?", single)
    connection.executemany("DELETE FROM vectors WHERE row = ?", single)


def clear(connection: sqlite3.Connection) -> None:
    """Remove every row and every tombstone."""
    for table in ("nodes", "vectors", "tombstones"):
        connection.execute(f"DELETE FROM {table}")


def prune_tombstones(connection: sqlite3.Connection, upto: int) -> None:
    """Forget removals that every snapshot has seen."""
    connection.execute("DELETE FROM tombstones WHERE seq <= ?", (upto,))


_COLUMNS = "row, id, text, metadata, content, ref_doc_id"


def fetch(
    connection: sqlite3.Connection, rows: Sequence[int], *, vectors: bool
) -> list[Record | None]:
    """Records in the order of ``rows``, None for a row that isn't there."""
    if not vectors:
        return as_records(rows, fetch_columns(connection, rows))
    found: dict[int, Record] = {}
    for marks, chunk in _chunks(rows):
        for row, id_, text, metadata, content, ref, vector in connection.execute(
            f"SELECT {_COLUMNS}, vector FROM nodes JOIN vectors USING (row) WHERE row IN ({marks})",
            chunk,
        ):
            values = np.frombuffer(vector, np.float32).copy()
            found[row] = Record(id_, values, text, decode_metadata(metadata), content, ref)
    return [found.get(row) for row in rows]


def fetch_columns(
    connection: sqlite3.Connection, rows: Sequence[int]
) -> dict[int, tuple[Any, ...]]:
    """All columns but the vector, by row, as they stand; :func:`as_records` makes records of them."""
    found: dict[int, tuple[Any, ...]] = {}
    for marks, chunk in _chunks(rows):
        for columns in connection.execute(
            f"SELECT {_COLUMNS} FROM nodes WHERE row IN ({marks})", chunk
        ):
            found[columns[0]] = columns
    return found


def as_records(rows: Sequence[int], found: Mapping[int, tuple[Any, ...]]) -> list[Record | None]:
    """Records in the order of ``rows``, None for a row that was not found.

    Raises
    ------
    FormatError
    """
    records: list[Record | None] = []
    for row in rows:
        columns = found.get(row)
        if columns is None:
            records.append(None)
        else:
            _, id_, text, metadata, content, ref = columns
            records.append(Record(id_, None, text, decode_metadata(metadata), content, ref))
    return records


def fetch_vectors(connection: sqlite3.Connection, rows: Sequence[int], dim: int) -> NDArray[Any]:
    """Vectors in the order of ``rows``, zeros for a row that isn't there."""
    found: dict[int, bytes] = {}
    for marks, chunk in _chunks(rows):
        found.update(
            connection.execute(
                f"SELECT row, vector FROM vectors WHERE row IN ({marks})", chunk
            ).fetchall()
        )
    gone = bytes(4 * dim)
    blob = b"".join([found.get(row, gone) for row in rows])
    return np.frombuffer(blob, np.float32).reshape(len(rows), dim).copy()


_ADDED = {
    "vector": "SELECT row, vector FROM vectors WHERE row > ? AND row <= ? ORDER BY row LIMIT ?",
    "text": "SELECT row, text FROM nodes WHERE row > ? AND row <= ? ORDER BY row LIMIT ?",
    "metadata": (
        "SELECT row, metadata, ref_doc_id FROM nodes WHERE row > ? AND row <= ? ORDER BY row LIMIT ?"
    ),
}


def added(
    connection: sqlite3.Connection, what: str, since: int, upto: int, limit: int
) -> tuple[list[int], list[Any]]:
    """The first rows of those added after ``since`` and up to ``upto`` that are still there.

    Parameters
    ----------
    what : "vector", "text" or "metadata"
        The latter comes with the source document's id.
    since, upto, limit : int

    Returns
    -------
    rows : list of int
        Ascending.
    values : list
        Per row what was asked for.
    """
    found = connection.execute(_ADDED[what], (since, upto, limit)).fetchall()
    values = [row[1:] for row in found] if what == "metadata" else [row[1] for row in found]
    return [row[0] for row in found], values


def removed(connection: sqlite3.Connection, since: int, upto: int, last: int) -> list[int]:
    """The rows up to ``last`` that were removed after ``since`` and up to ``upto``."""
    return [
        row
        for (row,) in connection.execute(
            "SELECT row FROM tombstones WHERE seq > ? AND seq <= ? AND row <= ? ORDER BY seq",
            (since, upto, last),
        )
    ]


def decode_vectors(blobs: Iterable[bytes], dim: int) -> NDArray[np.float32]:
    """Vectors as stored, one block.

    Returns
    -------
    float32, shape (n, dim)

    Raises
    ------
    FormatError
        A vector has another length than the collection's.
    """
    blob = b"".join(blobs)
    if len(blob) % (4 * dim):
        raise FormatError(
            "a stored vector has another dimension than the collection; restore a backup"
        )
    return np.frombuffer(blob, np.float32).reshape(-1, dim)
