"""Metadata of all rows, by key and value: any filter becomes a few bitmap operations."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import FilterOperator as Op
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection.column import Column, canonical
from llamaindex_vecx.collection.postings import Posting, Postings, bitmap
from llamaindex_vecx.groups import DOCUMENT_KEYS

__all__ = ["DOCUMENT_KEYS", "MetadataIndex"]

_NO_COLUMN = Column()


class MetadataIndex:
    """Columns by key, and which rows there are. Not safe for threads: its owner locks.

    A row that is removed leaves only ``alive``; the columns drop it when enough have gone, because
    nobody knows any more which values it had.
    """

    def __init__(self) -> None:
        self.alive: BitMap = BitMap()
        self._columns: dict[str, Column] = {}
        self._documents = Column()
        self._own = {key: BitMap() for key in DOCUMENT_KEYS}
        self._gone = BitMap()

    def __len__(self) -> int:
        return len(self.alive)

    def add(
        self,
        rows: Sequence[int],
        metadata: Sequence[Mapping[str, Any]],
        ref_doc_ids: Sequence[str | None],
    ) -> None:
        """Add rows that were never there before."""
        by_key: defaultdict[str, tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
        for row, values in zip(rows, metadata, strict=True):
            for key, value in values.items():
                if value is not None:
                    held = by_key[key]
                    held[0].append(row)
                    held[1].append(value)
        for key in DOCUMENT_KEYS:
            self._own[key].update(
                [row for row, values in zip(rows, metadata, strict=True) if key in values]
            )
        for key, (some, held_values) in by_key.items():
            self._columns.setdefault(key, Column()).add(some, held_values)
        known = [(row, ref) for row, ref in zip(rows, ref_doc_ids, strict=True) if ref is not None]
        self._documents.add([row for row, _ in known], [ref for _, ref in known])
        self.alive.update(rows)

    def remove(self, rows: Sequence[int]) -> None:
        """Remove rows; those that aren't there are ignored."""
        gone = BitMap(rows) & self.alive
        self.alive -= gone
        self._gone |= gone
        if len(self._gone) > 1000 + len(self.alive) // 4:
            self._sweep()

    def _sweep(self) -> None:
        for column in (*self._columns.values(), self._documents):
            column.sweep(self._gone)
        for own in self._own.values():
            own -= self._gone
        self._columns = {key: column for key, column in self._columns.items() if column.present}
        self._gone = BitMap()

    def match(self, operator: Op, key: str, value: Any) -> BitMap:
        """Rows that match one filter, and perhaps rows that are gone. The filter was checked."""
        found = self._match(operator, self._columns.get(key, _NO_COLUMN), value)
        if key in self._own:
            own = self._own[key]
            found = (found & own) | (self._match(operator, self._documents, value) - own)
        return found

    def of_document(self, ref_doc_id: str) -> BitMap:
        """Rows of a source document."""
        return self._documents.equal(ref_doc_id) & self.alive

    def _match(self, operator: Op, column: Column, value: Any) -> BitMap:
        if operator == Op.EQ:
            return column.equal(value)
        if operator == Op.NE:
            return self.alive - column.equal(value)
        if operator == Op.IN:
            return column.one_of(value)
        if operator == Op.NIN:
            return self.alive - column.one_of(value)
        if operator in (Op.GT, Op.GTE, Op.LT, Op.LTE):
            return column.compare(operator.value, value)
        if operator == Op.CONTAINS:
            return column.contains(value)
        if operator == Op.ANY:
            return BitMap.union(BitMap(), *(column.contains(item) for item in value))
        if operator == Op.ALL:
            return BitMap.intersection(column.present, *(column.contains(item) for item in value))
        if operator == Op.TEXT_MATCH:
            return column.text(lambda held: value in held)
        if operator == Op.TEXT_MATCH_INSENSITIVE:
            lowered = value.lower()
            return column.text(lambda held: lowered in held.lower())
        return (self.alive - column.present) | column.equal("") | column.equal([])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays, for a snapshot: rows of all values end to end, and a table of values."""
        self._sweep()
        rows: list[NDArray[np.uint32]] = []
        lengths: list[int] = []

        def put(posting: Posting) -> None:
            part = [posting] if isinstance(posting, int) else posting.to_array()
            rows.append(np.array(part, dtype=np.uint32))
            lengths.append(len(part))

        def put_all(postings: Postings) -> list[Any]:
            for posting in postings.values():
                put(posting)
            return list(postings)

        def put_column(column: Column) -> list[list[Any]]:
            put(column.present)
            return [put_all(column.scalars), put_all(column.elements), put_all(column.lists)]

        put(self.alive)
        for own in self._own.values():
            put(own)
        table = [
            [None, put_column(self._documents)],
            *([key, put_column(column)] for key, column in self._columns.items()),
        ]
        return {
            "table": np.frombuffer(json.dumps(table).encode(), np.uint8),
            "rows": np.concatenate(rows) if rows else np.empty(0, np.uint32),
            "offsets": np.cumsum([0, *lengths], dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> MetadataIndex:
        """What :meth:`arrays` wrote."""
        rows = np.array(arrays["rows"], dtype=np.uint32)
        plain: list[int] = rows.tolist()
        spans = iter(pairwise(arrays["offsets"].tolist()))

        def take() -> BitMap:
            start, stop = next(spans)
            return bitmap(rows[start:stop])

        def take_all(values: list[Any]) -> Postings:
            postings: Postings = {}
            for value in values:
                start, stop = next(spans)
                key = tuple(map(canonical, value)) if isinstance(value, list) else canonical(value)
                postings[key] = plain[start] if stop - start == 1 else bitmap(rows[start:stop])
            return postings

        def take_column(values: list[list[Any]]) -> Column:
            column = Column()
            column.present = take()
            column.scalars, column.elements, column.lists = map(take_all, values)
            return column

        index = cls()
        index.alive = take()
        index._own = {key: take() for key in DOCUMENT_KEYS}
        (_, documents), *columns = json.loads(arrays["table"].tobytes())
        index._documents = take_column(documents)
        index._columns = {key: take_column(values) for key, values in columns}
        return index
