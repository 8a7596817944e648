"""Codes for the distinct pairs of term frequency and document length.

There are few of them (4,171 over SciFact's 5,183 abstracts), a document's length never changes, and a
change of the average length alters only what a pair is worth: a table of that size, not the postings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.text.kernels import encode_pairs

__all__ = ["Pairs"]

_SMALLEST = 1024


class Pairs:
    """Numbers pairs from 1 in order of first use; code 0 stands for no occurrence at all.

    Parameters
    ----------
    known : int64, shape (n,), optional
        Pairs as :attr:`view` gave them.
    """

    def __init__(self, known: NDArray[Any] | None = None) -> None:
        count = 0 if known is None else len(known)
        capacity = _SMALLEST
        while capacity < 4 * count:
            capacity *= 2
        self._keys = np.full(capacity, -1, dtype=np.int64)
        self._values = np.zeros(capacity, dtype=np.uint32)
        self._pairs = np.zeros(capacity // 2, dtype=np.int64)
        self._count = 0
        if known is None or not count:
            known = np.zeros(1, dtype=np.int64)
        self._encode(known & 0xFFFFFFFF, known >> 32, np.arange(len(known)))

    def __len__(self) -> int:
        return self._count

    @property
    def view(self) -> NDArray[np.int64]:
        """``length << 32 | tf`` by code."""
        pairs: NDArray[np.int64] = self._pairs[: self._count]
        return pairs

    @property
    def tfs(self) -> NDArray[np.float64]:
        """Term frequency by code."""
        return (self.view & 0xFFFFFFFF).astype(np.float64)

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Document length by code."""
        return (self.view >> 32).astype(np.float64)

    def encode(
        self, tfs: NDArray[np.int32], lengths: NDArray[np.int32], slots: NDArray[np.int32]
    ) -> NDArray[np.uint32]:
        """The codes of postings.

        Parameters
        ----------
        tfs, slots : int32, shape (n,)
        lengths : int32, by slot

        Returns
        -------
        uint32, shape (n,)
        """
        return self._encode(tfs, lengths, slots)

    def _encode(
        self, tfs: NDArray[Any], lengths: NDArray[Any], slots: NDArray[Any]
    ) -> NDArray[np.uint32]:
        tfs = np.ascontiguousarray(tfs, dtype=np.int32)
        lengths = np.ascontiguousarray(lengths, dtype=np.int32)
        slots = np.ascontiguousarray(slots, dtype=np.int32)
        codes = np.empty(len(tfs), dtype=np.uint32)
        start = 0
        while True:
            done, self._count = encode_pairs(
                tfs[start:],
                lengths,
                slots[start:],
                self._keys,
                self._values,
                self._pairs,
                self._count,
                codes[start:],
            )
            start += done
            if start == len(tfs):
                return codes
            self._grow()

    def code_of(self, tfs: NDArray[Any], lengths: NDArray[Any]) -> NDArray[np.uint32]:
        """The codes of pairs, new ones where they are not known. As :meth:`encode`, pair by pair."""
        return self._encode(tfs, lengths, np.arange(len(tfs)))

    def _grow(self) -> None:
        bigger = Pairs(self.view)
        self._keys, self._values, self._pairs = bigger._keys, bigger._values, bigger._pairs
