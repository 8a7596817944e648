"""One namespace: a collection of ours, and beside it the sparse vectors and texts of its rows.

The collection is the truth and outlives a kill. What stands beside it is made of its rows when it is first
asked for, and follows every write from then on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from llama_index.core.vector_stores.types import FilterOperator, MetadataFilter, MetadataFilters
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.pinecone_local.data.facets import HAS
from llamaindex_vecx.pinecone_local.data.filters import Filter, evaluate
from llamaindex_vecx.pinecone_local.data.fulltext import TextIndex
from llamaindex_vecx.pinecone_local.data.item import Item, from_record, to_record
from llamaindex_vecx.pinecone_local.data.shape import Shape
from llamaindex_vecx.pinecone_local.data.sparse import SparseIndex
from llamaindex_vecx.pinecone_local.data.textquery import Node
from llamaindex_vecx.pinecone_local.data.values import Sparse

__all__ = ["Namespace"]

_SLICE = 2_000
Hits = list[tuple[int, float]]
"""Rows and scores, best first."""


class Namespace:
    """The items of one namespace. Safe for threads: writes are one at a time.

    Parameters
    ----------
    collection : Collection
    shape : Shape
        Of the index.
    """

    def __init__(self, collection: Collection, shape: Shape) -> None:
        self._collection = collection
        self._shape = shape
        self._lock = threading.RLock()
        self._sparse: SparseIndex | None = None
        self._texts: dict[str, TextIndex] | None = None

    def __len__(self) -> int:
        return len(self._collection)

    def close(self) -> None:
        """Close the collection."""
        self._collection.close()

    def discard(self) -> None:
        """Close a collection whose folder is about to be removed."""
        self._collection.clear()  # or closing would write snapshots for the next opening
        self._collection.close()

    # -- writing ---------------------------------------------------------------------------------

    def put(self, items: Sequence[Item]) -> None:
        """Store items, each in the place of one with its id; of two with one id the last counts."""
        last = {item.id: item for item in items}
        dimension = self._shape.dimension or 1
        unfiltered = {*self._shape.texts, *self._shape.unstored}
        records = [to_record(item, dimension, unfiltered) for item in last.values()]
        with self._lock:
            before = self._rows_of(list(last)) if self._followed else []
            self._collection.add(records)
            if self._followed:
                self._forget(before)
                self._remember(list(last.values()))

    def change(self, rows: BitMap, how: Callable[[Item], Item | None]) -> int:
        """Replace each item of some rows by what ``how`` makes of it, None leaving it as it is."""
        with self._lock:
            found = [item for _, item in self.items(rows, vectors=True)]
            changed = [new for item in found if (new := how(item)) is not None]
            if changed:
                self.put(changed)
            return len(found)

    def remove(self, rows: BitMap) -> int:
        """Remove rows. Returns how many were there."""
        with self._lock:
            removed = self._collection.delete(rows)
            if self._followed:
                self._forget(rows)
            return removed

    # -- reading ---------------------------------------------------------------------------------

    def ids(self, prefix: str, after: str | None, limit: int) -> list[str]:
        """Ids in their order, from behind ``after`` on."""
        return self._collection.ids(prefix=prefix, after=after, limit=limit)

    def rows(self, ids: Sequence[str]) -> BitMap:
        """The rows of some ids."""
        return BitMap(self._rows_of(ids))

    def select(self, node: Filter | None) -> BitMap:
        """The rows that match a filter; every row for none."""
        return self._collection.all_rows() if node is None else evaluate(node, self)

    def items(self, rows: Sequence[int] | BitMap, *, vectors: bool) -> list[tuple[int, Item]]:
        """The items of some rows in their order, without those that are gone meanwhile."""
        records = self._collection.records(rows, vectors=vectors)
        return [
            (row, from_record(record))
            for row, record in zip(rows, records, strict=True)
            if record is not None
        ]

    def matching(self, filters: MetadataFilters) -> BitMap:
        """Rows whose metadata match."""
        return self._collection.select(filters=filters) or BitMap()

    def matching_text(self, field: str, operator: str, text: str) -> BitMap:
        """Rows whose text matches."""
        with self._text_indexes() as texts:
            return texts[field].matching(operator, text)

    # -- searching -------------------------------------------------------------------------------

    def nearest(self, query: NDArray[np.float32], k: int, allowed: BitMap | None) -> Hits:
        """By the dense vector, with the scores that Pinecone gives: a squared distance for euclidean."""
        rows, scores = self._dense(query, k, self._with_dense(allowed))
        return list(zip(rows.tolist(), scores.tolist(), strict=True))

    def by_sparse(self, query: Sparse, k: int, allowed: BitMap | None) -> Hits:
        """By the inner product of the sparse vectors. Rows that share no dimension are not found."""
        rows, scores = self._sparse_scores(query, allowed)
        return _best(rows, scores, k)

    def hybrid(
        self, query: NDArray[np.float32], sparse: Sparse, k: int, allowed: BitMap | None
    ) -> Hits:
        """By the sum of both inner products, exactly.

        A row that shares a dimension with the sparse query is scored by both, and of all others the ``k``
        nearest by the dense vector alone are enough.
        """
        allowed = self._with_dense(allowed)
        sharing, sums = self._sparse_scores(sparse, allowed)
        overlap = BitMap(sharing.tolist())
        others = (self._collection.all_rows() if allowed is None else allowed) - overlap
        rows, scores = self._dense(query, k, others)
        if overlap:
            again, dots = self._dense(query, len(overlap), overlap)
            sums = sums[np.searchsorted(sharing, again)]
            rows = np.concatenate([rows, again])
            scores = np.concatenate([scores, dots + sums])
        return _best(rows, scores, k)

    def by_text(self, query: Node, k: int, allowed: BitMap | None) -> Hits:
        """By BM25."""
        with self._text_indexes() as texts:
            found = query.scores(texts)
        if allowed is not None:
            found = {row: score for row, score in found.items() if row in allowed}
        return _best(np.array(list(found), np.int64), np.array(list(found.values())), k)

    # -- inside ----------------------------------------------------------------------------------

    def _dense(
        self, query: NDArray[np.float32], k: int, allowed: BitMap | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        k = min(k, len(self._collection if allowed is None else allowed))
        if not k:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows, scores = self._collection.search(query, k, allowed=allowed)
        if self._shape.metric == "euclidean":
            # from the vectors: the distance can't be had back exactly from our 1 / (1 + distance)
            difference = self._collection.vectors(rows) - query
            scores = np.einsum("ij,ij->i", difference, difference)
        return rows, scores

    def _with_dense(self, allowed: BitMap | None) -> BitMap | None:
        """Those rows that have a dense vector; only a document may have none."""
        if self._shape.kind != "documents":
            return allowed
        having = MetadataFilter(key=HAS, value="dense", operator=FilterOperator.CONTAINS)
        rows = self.matching(MetadataFilters(filters=[having]))
        return rows if allowed is None else rows & allowed

    def _sparse_scores(
        self, query: Sparse, allowed: BitMap | None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        with self._lock:
            if self._sparse is None:
                self._sparse = SparseIndex()
                for row, item in self._everything():
                    if item.sparse is not None:
                        self._sparse.add(row, item.sparse)
            return self._sparse.scores(query, allowed)

    @contextmanager
    def _text_indexes(self) -> Iterator[dict[str, TextIndex]]:
        with self._lock:
            if self._texts is None:
                self._texts = {
                    name: TextIndex(config) for name, config in self._shape.texts.items()
                }
                rows = self._collection.all_rows().to_array()
                for start in range(0, len(rows), _SLICE):
                    self._add_texts(self.items(list(rows[start : start + _SLICE]), vectors=False))
            yield self._texts

    def _everything(self) -> Iterator[tuple[int, Item]]:
        rows = list(self._collection.all_rows())
        for start in range(0, len(rows), _SLICE):
            yield from self.items(rows[start : start + _SLICE], vectors=False)

    @property
    def _followed(self) -> bool:
        return self._sparse is not None or self._texts is not None

    def _rows_of(self, ids: Sequence[str]) -> list[int]:
        return [row for row in self._collection.rows_of(ids) if row is not None]

    def _forget(self, rows: Sequence[int] | BitMap) -> None:
        if self._sparse is not None:
            self._sparse.remove(rows)
        for index in (self._texts or {}).values():
            index.remove(rows)

    def _remember(self, items: Sequence[Item]) -> None:
        rows = self._rows_of([item.id for item in items])
        placed = list(zip(rows, items, strict=True))
        if self._sparse is not None:
            for row, item in placed:
                if item.sparse is not None:
                    self._sparse.add(row, item.sparse)
        if self._texts is not None:
            self._add_texts(placed)

    def _add_texts(self, placed: Sequence[tuple[int, Item]]) -> None:
        for name, index in (self._texts or {}).items():
            having = [
                (row, item.fields[name])
                for row, item in placed
                if isinstance(item.fields.get(name), str)
            ]
            index.add([row for row, _ in having], [text for _, text in having])


def _best(rows: NDArray[np.int64], scores: NDArray[np.floating], k: int) -> Hits:
    """The ``k`` highest scores, ties by row."""
    order = np.lexsort((rows, -scores))[:k]
    return list(zip(rows[order].tolist(), scores[order].tolist(), strict=True))
