"""Nodes searched by keyword: tokens, BM25, metadata and the nodes themselves, in memory, as one."""

from __future__ import annotations

import shutil
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from llama_index.core.schema import BaseNode
from llama_index.core.utils import get_tqdm_iterable
from llama_index.core.vector_stores.types import MetadataFilters
from pyroaring import BitMap

from llamaindex_vecx.collection import Record
from llamaindex_vecx.collection.filters import evaluate
from llamaindex_vecx.collection.masks import Masks
from llamaindex_vecx.collection.metadata import MetadataIndex
from llamaindex_vecx.collection.record import check_ids
from llamaindex_vecx.errors import DamagedSnapshotError, InvalidInputError
from llamaindex_vecx.retrievers.node_rows import NodeRows
from llamaindex_vecx.snapshot import put_in_place, read_snapshot, write_snapshot
from llamaindex_vecx.stores.nodes import node_to_text_record
from llamaindex_vecx.text import BM25, Tokenizer, get_tokenizer

__all__ = ["KeywordIndex"]

_KIND = "keyword-index"
_SLICE = 2048
_LONG = 20_000
_MOST = 100


class KeywordIndex:
    """What a :class:`~llamaindex_vecx.retrievers.bm25.BM25Retriever` searches. Safe for threads.

    Parameters
    ----------
    bm25 : BM25
        Empty, or holding what ``append`` is about to be given.
    tokenizer : Tokenizer
    fields : mapping
        How many times the words of each field count.
    """

    def __init__(self, bm25: BM25, tokenizer: Tokenizer, fields: Mapping[str, int]) -> None:
        self.bm25: BM25 = bm25
        self.tokenizer = tokenizer
        self.fields: dict[str, int] = check_fields(fields)
        self.nodes: NodeRows = NodeRows()
        self.metadata: MetadataIndex = MetadataIndex()
        self._masks = Masks()
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self.nodes)

    def tokens(self, record: Record) -> list[str]:
        """The tokens of a record's fields, each field as often as it counts."""
        tokens: list[str] = []
        for field, times in self.fields.items():
            tokens += self.tokenizer(_field_text(record, field)) * times
        return tokens

    def add(
        self,
        nodes: Sequence[BaseNode],
        *,
        show_progress: bool | None = None,
        documents: Sequence[Sequence[str]] | None = None,
    ) -> list[str]:
        """Add nodes, or replace those whose id is there; all of them, or none if one is wrong.

        Parameters
        ----------
        show_progress : bool, optional
            None shows it from 20,000 nodes on.
        documents : sequence of sequences of tokens, optional
            Made already; None tokenizes the fields.

        Returns
        -------
        list of str
            Node ids in the order given.
        """
        records = [node_to_text_record(node) for node in nodes]
        ids = check_ids(records)
        encoded = [self.nodes.encode(record) for record in records]
        show = len(nodes) >= _LONG if show_progress is None else show_progress
        with self._lock:
            replaced, first = self.nodes.rows_of(ids), self.nodes.next_row
            starts = range(0, len(records), _SLICE)
            try:
                for start in get_tqdm_iterable(starts, show, "Indexing keywords"):
                    some = records[start : start + _SLICE]
                    tokens = (
                        [self.tokens(record) for record in some]
                        if documents is None
                        else documents[start : start + _SLICE]
                    )
                    rows = range(first + start, first + start + len(some))
                    self.bm25.add(np.array(rows, dtype=np.int64), tokens)
                    self.metadata.add(
                        list(rows),
                        [record.metadata for record in some],
                        [record.ref_doc_id for record in some],
                    )
                    self.nodes.append(ids[start : start + _SLICE], encoded[start : start + _SLICE])
            except BaseException:
                self._forget_rows(range(first, first + len(records)))
                self.nodes.cut(first, replaced)
                raise
            self._forget_rows(replaced.values())
        return ids

    def _forget_rows(self, rows: Iterable[int]) -> None:
        gone = list(rows)
        if gone:
            self.bm25.remove(gone)
            self.metadata.remove(gone)

    def delete_ids(self, ids: Iterable[str]) -> int:
        """Remove nodes by id; how many were there."""
        with self._lock:
            rows = self.nodes.rows_of(ids)
            self._forget_rows(rows.values())
            self.nodes.remove(rows)
            return len(rows)

    def delete_rows(self, rows: BitMap) -> int:
        """Remove nodes by row; how many there were."""
        with self._lock:
            return self.delete_ids([self.nodes.record(row).id for row in rows])

    def of_document(self, ref_doc_id: str) -> BitMap:
        """The rows of a source document."""
        with self._lock:
            return self.metadata.of_document(ref_doc_id)

    def matching(self, filters: MetadataFilters) -> BitMap:
        """The rows that meet a filter.

        Raises
        ------
        FilterError
        """
        with self._lock:
            return evaluate(filters, self.metadata)

    def search(
        self, query: str, k: int, filters: MetadataFilters | None
    ) -> list[tuple[BaseNode, float]]:
        """The ``k`` best nodes that match, with their scores, best first."""
        tokens = self.tokenizer(query)
        with self._lock:
            allowed = None
            if filters is not None and filters.filters:
                allowed = self._masks.of(evaluate(filters, self.metadata))
            rows, scores = self.bm25.search(tokens, min(k, max(len(self), 1)), allowed=allowed)
            return [
                (self.nodes.node(row), score)
                for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
                if row >= 0
            ]

    def save(self, folder: Path) -> None:
        """Write everything to a folder, in the place of what is there.

        Raises
        ------
        OSError
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            with self._lock:
                self.bm25.save(aside / "text")
                write_snapshot(
                    aside / "metadata", kind=_KIND, params={}, arrays=self.metadata.arrays()
                )
                write_snapshot(
                    aside / "nodes",
                    kind=_KIND,
                    params={
                        "tokenizer": [self.tokenizer.name, self.tokenizer.version],
                        "fields": self.fields,
                    },
                    arrays=self.nodes.arrays(),
                )
            put_in_place(aside, folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise

    @classmethod
    def load(
        cls, folder: Path, tokenizer: str | Callable[[str], Sequence[str]] | None = None
    ) -> KeywordIndex:
        """What :meth:`save` wrote. Tokens are made anew, with a warning, where the tokenizer is a later one.

        Raises
        ------
        DamagedSnapshotError
            A file is missing, cut or altered; the message names it.
        InvalidInputError
            The tokenizer that it was saved with is not known here.
        """
        nodes = read_snapshot(folder / "nodes", kind=_KIND)
        metadata = read_snapshot(folder / "metadata", kind=_KIND)
        bm25, _ = BM25.load(folder / "text")
        try:
            name, version = nodes.params["tokenizer"]
            fields = nodes.params["fields"]
            kept, known = (
                NodeRows.from_arrays(nodes.arrays),
                MetadataIndex.from_arrays(metadata.arrays),
            )
        except (KeyError, ValueError, TypeError, StopIteration) as error:
            raise DamagedSnapshotError(f"{folder} does not fit together: {error!r}") from error
        found = get_tokenizer(name if tokenizer is None else tokenizer)
        if found.name != name:
            raise InvalidInputError(
                f"tokenizer={found.name!r} contradicts {folder}, which was made with {name!r}; "
                "leave the argument out, or build the retriever anew"
            )
        index = cls(bm25, found, fields)
        index.nodes, index.metadata = kept, known
        if not len(kept) == len(known) == len(bm25):
            raise DamagedSnapshotError(
                f"{folder} does not fit together: {len(kept)} nodes, {len(bm25)} texts, "
                f"{len(known)} rows of metadata; build the retriever anew"
            )
        if found.version != version:
            warnings.warn(
                f"{folder} was made with version {version} of the tokenizer {name!r}, here it is "
                f"{found.version}: the texts are tokenized anew",
                RuntimeWarning,
                stacklevel=3,
            )
            index._tokenize_again()
        return index

    def _tokenize_again(self) -> None:
        self.bm25 = BM25(**self.bm25.params)
        rows = self.nodes.live()
        for start in get_tqdm_iterable(
            range(0, len(rows), _SLICE), len(rows) >= _LONG, "Tokenizing"
        ):
            some = rows[start : start + _SLICE]
            self.bm25.add(
                np.array(some, dtype=np.int64),
                [self.tokens(self.nodes.record(row)) for row in some],
            )


def check_fields(fields: Mapping[str, int]) -> dict[str, int]:
    """The fields and how many times each counts.

    Raises
    ------
    InvalidInputError
    """
    if not fields:
        raise InvalidInputError("fields={} leaves nothing to search; the default is {'text': 1}")
    for field, times in fields.items():
        whole = isinstance(times, int) and not isinstance(times, bool)
        if not isinstance(field, str) or not whole or not 1 <= times <= _MOST:
            raise InvalidInputError(
                f"fields[{field!r}]={times!r} must be a whole number from 1 to {_MOST}: how many times "
                "the words of that field count"
            )
    return dict(fields)


def _field_text(record: Record, field: str) -> str:
    """A field as text: the node's own, or what its metadata holds under that key."""
    if field == "text":
        return record.text
    value = record.metadata.get(field)
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "\n".join(str(item) for item in value)
    return str(value)
