"""One faiss index and the rows in it. faiss numbers vectors by *labels*; which row a label is, we say.

A removed row is a label without a row. It is left out of every answer at once and taken out of faiss later,
many together: :meth:`Core.purge` where faiss can, a new core where it can't.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.base import Allowed, Mask, Rows
from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.index.checks import mask_of
from llamaindex_vecx.index.faiss.anatomy import Anatomy, parameters
from llamaindex_vecx.index.faiss.runtime import Gate, library, openmp
from llamaindex_vecx.index.rows import RowTable

__all__ = ["Core"]

_GRAPH_SLICE, _SLICE = 32, 1024  # rows that enter at a time; searches wait for that long


class Core:
    """A trained faiss index with its labels.

    Parameters
    ----------
    index : faiss.Index
        Trained, and empty but for the rows of ``row_of``.
    trained_on : int
        Rows there were when it was trained; 0 where nothing had to be.
    row_of : int32, shape (n,), optional
        The row of each label, -1 where there is none.

    Attributes
    ----------
    honours : bool or None
        Whether the index honours a selector; None: not tried yet.
    """

    def __init__(
        self, index: Any, trained_on: int, row_of: NDArray[np.int32] | None = None
    ) -> None:
        self.index = index
        self.anatomy: Anatomy = Anatomy(index)
        self.trained_on = trained_on
        self.honours: bool | None = None
        # Of FastScan, codes added after a remove_ids are mixed with what was removed (FAISS 1.15.1): three
        # in ten were found no more.
        self._removes: bool | None = False if self.anatomy.packed else None
        self._gate = Gate()
        self._table = RowTable()
        self._rows = np.zeros(0, np.int32) if row_of is None else row_of
        self._size = len(self._rows)
        labels = np.flatnonzero(self._rows >= 0)
        self._table.place(self._rows[labels].astype(np.int64), labels)
        self.dead: int = int(index.ntotal) - len(labels)

    def __len__(self) -> int:
        return int(self.index.ntotal) - self.dead

    @property
    def row_of(self) -> NDArray[np.int32]:
        """The row of each label, -1 where there is none."""
        return self._rows[: self._size]

    def lacks(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of ``rows`` are not in it."""
        return self._table.find(rows) < 0

    def serialized(self) -> NDArray[np.uint8]:
        """The faiss index as bytes."""
        with self._gate.shared:
            data: NDArray[np.uint8] = library().serialize_index(self.index)
        return data

    # -- changes ---------------------------------------------------------------------------------

    def add(self, rows: NDArray[np.int64], prepared: NDArray[np.float32], threads: int) -> None:
        """Add rows that are not in it. Searches wait for a slice of them at most."""
        size = _GRAPH_SLICE * threads if self.anatomy.graph else _SLICE
        for at in range(0, len(rows), size):
            self._add(rows[at : at + size], np.ascontiguousarray(prepared[at : at + size]), threads)

    def _add(self, rows: NDArray[np.int64], prepared: NDArray[np.float32], threads: int) -> None:
        first = self._size
        if first + len(rows) > len(self._rows):
            grown = np.full(max(first + len(rows), 2 * first, 64), -1, np.int32)
            grown[:first] = self._rows[:first]
            self._rows = grown
        with self._gate.alone, openmp(threads):
            self._rows[first : first + len(rows)] = rows
            if self.anatomy.numbers_rows:
                self.index.add_with_ids(prepared, np.arange(first, first + len(rows)))
            else:
                self.index.add(prepared)
            self._size = first + len(rows)
        self._table.assign(rows, first)

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Remove rows; those that aren't there are ignored."""
        labels = self._table.find(rows)
        there = labels >= 0
        self._rows[labels[there]] = -1
        self._table.clear(rows[there])
        self.dead += int(there.sum())

    def purge(self) -> bool:
        """Take removed rows out of faiss. False where that type of index can't."""
        if self._removes is False:
            return False
        with self._gate.alone, openmp(1):
            row_of = self.row_of
            gone = np.flatnonzero(row_of < 0)
            try:
                before, removed = self.index.ntotal, self.index.remove_ids(gone)
            except RuntimeError:  # "not implemented for this type of index"
                self._removes = False
                return False
            # Only then are the labels what they must be; anything else is built anew.
            self._removes = removed == self.dead and self.index.ntotal == before - removed
            if not self._removes:
                return False
            self.dead = 0
            if not self.anatomy.numbers_rows:  # positions have moved up
                kept = row_of[row_of >= 0].copy()
                table = RowTable()
                table.assign(kept.astype(np.int64), 0)
                self._rows, self._size, self._table = kept, len(kept), table
        return True

    # -- the answer ------------------------------------------------------------------------------

    def search(
        self,
        queries: NDArray[np.float32],
        count: int,
        allowed: Allowed | None,
        threads: int,
        nprobe: int | None,
        ef_search: int | None,
        k_factor: float | None,
    ) -> Rows:
        """Candidates for each query: rows, in the index's own order, -1 where there is none.

        With ``allowed`` the selector is pushed down. An index that refuses or ignores it is noted in
        :attr:`honours`; what comes back then is still only what is allowed.

        Returns
        -------
        int64, shape (q, count)
        """
        found = np.full((len(queries), count), -1, np.int64)
        with self._gate.shared:
            count = min(count, int(self.index.ntotal))
            if not count:
                return found
            row_of = self.row_of
            chosen = None if allowed is None else _chosen(allowed, row_of)
            asked = chosen is not None or not (nprobe is ef_search is k_factor is None)

            def work(start: int, stop: int) -> None:
                params = None
                with openmp(1):
                    if asked:
                        selector = None
                        if chosen is not None:
                            bits = np.packbits(chosen, bitorder="little")
                            selector = library().IDSelectorBitmap(bits)
                        params = parameters(self.index, selector, nprobe, ef_search, k_factor)
                    labels = self.index.search(queries[start:stop], count, params=params)[1]
                rows = np.where(labels >= 0, row_of[labels], -1)
                if chosen is not None:
                    wrong = (labels >= 0) & ~chosen[labels]
                    if wrong.any():
                        self.honours = False
                        rows[wrong] = -1
                found[start:stop, :count] = rows

            try:
                each_range(work, len(queries), threads)
            except RuntimeError:
                if chosen is None:
                    raise
                self.honours = False  # "search params not supported for this index"
                return found
            if chosen is not None and self.honours is None:
                self.honours = True
        return found


def _chosen(allowed: Allowed, row_of: NDArray[np.int32]) -> Mask:
    """``allowed`` by label. A label without a row, and a row beyond the mask, are not."""
    most = int(row_of.max(initial=-1)) + 1
    padded = np.zeros(most + 1, np.bool_)  # the last stands for -1
    mask = mask_of(allowed)
    known = min(most, len(mask))
    padded[:known] = mask[:known]
    return padded[row_of]
