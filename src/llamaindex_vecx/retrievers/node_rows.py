"""Nodes by row, each as the JSON it would be stored as: a third of a node object's memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from llama_index.core.schema import BaseNode
from numpy.typing import NDArray

from llamaindex_vecx.collection import Record
from llamaindex_vecx.collection.record import encode_metadata
from llamaindex_vecx.stores.nodes import record_to_node

__all__ = ["NodeRows"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class NodeRows:
    """Records under rows that are numbered upwards and never used again."""

    def __init__(self) -> None:
        self._packed: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
        self._offsets: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self._later: list[bytes] = []
        self._row_of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def next_row(self) -> int:
        """What the next record's row will be."""
        return len(self._offsets) - 1 + len(self._later)

    def encode(self, record: Record) -> bytes:
        """A record as it is kept.

        Raises
        ------
        SerializationError
            Its metadata is no JSON.
        """
        encode_metadata(record)
        fields = [record.id, record.text, record.metadata, record.content, record.ref_doc_id]
        # A lone surrogate is legal in a Python string and has no UTF-8 of its own.
        return _encode(fields).encode("utf-8", "surrogatepass")

    def append(self, ids: Iterable[str], encoded: Sequence[bytes]) -> None:
        """Keep records; an id that is there already moves to its new row."""
        first = self.next_row
        self._later.extend(encoded)
        self._row_of.update((id_, first + place) for place, id_ in enumerate(ids))

    def cut(self, row: int, replaced: Mapping[str, int]) -> None:
        """Undo what was appended from ``row`` on; ``replaced`` says where ids were before."""
        for held in self._later[row - (len(self._offsets) - 1) :]:
            self._row_of.pop(json.loads(held)[0], None)
        del self._later[row - (len(self._offsets) - 1) :]
        self._row_of.update(replaced)

    def remove(self, ids: Iterable[str]) -> None:
        """Forget ids."""
        for id_ in ids:
            self._row_of.pop(id_, None)

    def rows_of(self, ids: Iterable[str]) -> dict[str, int]:
        """The rows of those ids that are there."""
        return {id_: self._row_of[id_] for id_ in ids if id_ in self._row_of}

    def record(self, row: int) -> Record:
        """The record of a row."""
        base = len(self._offsets) - 1
        if row < base:
            held = self._packed[self._offsets[row] : self._offsets[row + 1]].tobytes()
        else:
            held = self._later[row - base]
        id_, text, metadata, content, ref = json.loads(held.decode("utf-8", "surrogatepass"))
        return Record(
            id=id_, vector=None, text=text, metadata=metadata, content=content, ref_doc_id=ref
        )

    def node(self, row: int) -> BaseNode:
        """The node of a row, a new object each time."""
        return record_to_node(self.record(row))

    def live(self) -> list[int]:
        """The rows that are there, ascending."""
        return sorted(self._row_of.values())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a snapshot."""
        lengths = np.diff(self._offsets, append=self._offsets[-1:])[:-1]
        sizes = np.concatenate([lengths, [len(held) for held in self._later]]).astype(np.int64)
        offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
        np.cumsum(sizes, out=offsets[1:])
        later = np.frombuffer(b"".join(self._later), dtype=np.uint8)
        ids = [id_.encode("utf-8", "surrogatepass") for id_ in self._row_of]
        ends = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum([len(id_) for id_ in ids], out=ends[1:])
        return {
            "nodes": np.concatenate([self._packed, later]),
            "offsets": offsets,
            "ids": np.frombuffer(b"".join(ids), dtype=np.uint8),
            "id_offsets": ends,
            "id_rows": np.fromiter(self._row_of.values(), np.int64, len(ids)),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> NodeRows:
        """What :meth:`arrays` gave. The nodes stay memory-mapped.

        Raises
        ------
        KeyError, ValueError
        """
        nodes = cls()
        nodes._packed, nodes._offsets = arrays["nodes"], np.array(arrays["offsets"])
        body, bounds = arrays["ids"].tobytes(), arrays["id_offsets"].tolist()
        ids = (body[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise(bounds))
        nodes._row_of = dict(zip(ids, arrays["id_rows"].tolist(), strict=True))
        return nodes
