"""Vectors that come back: a removed node whose vector is added again needs no new one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.layout import Graph, names_of, stride

__all__ = ["Removed"]

_BLOCK = 1024  # slots looked at together, which are in memory twice meanwhile


class Removed:
    """Slots whose rows were removed, found by the vector in them, to the last of its bits.

    Not known is what was removed before a snapshot was loaded, or before other vectors came: these aren't
    linked to it, and in time nothing is (:mod:`llamaindex_vecx.index.hnsw.mend`).

    Parameters
    ----------
    dim, M : int
        Of the graph.
    """

    def __init__(self, dim: int, M: int) -> None:
        names = names_of(dim, M)
        self._names = slice(4 * names.start, 4 * names.stop)
        self._slots: dict[int, list[int]] = {}
        words = stride(dim, M) // 8
        self._factors = np.random.default_rng(0).integers(0, 2**64, words, np.uint64) | np.uint64(1)

    def __bool__(self) -> bool:
        return bool(self._slots)

    def forget(self) -> None:
        """Remember none, for others come."""
        self._slots.clear()

    def put(self, graph: Graph, slots: NDArray[np.int64]) -> None:
        """Remember slots whose rows are removed."""
        for start in range(0, len(slots), _BLOCK):
            some = slots[start : start + _BLOCK]
            hashes = self._hashes(self._codes(graph.blocks[some]))
            for slot, found in zip(some.tolist(), hashes, strict=True):
                self._slots.setdefault(found, []).append(slot)

    def take(
        self, graph: Graph, blocks: NDArray[np.uint8], residuals: NDArray[np.int16]
    ) -> NDArray[np.int64]:
        """For each of some encoded vectors (n,) a slot that holds it, no longer remembered; or -1."""
        codes = self._codes(blocks)
        slots = np.full(len(codes), -1, np.int64)
        for i, found in enumerate(self._hashes(codes)):
            if found in self._slots:
                slots[i] = self._take(graph, found, codes[i], residuals[i])
        return slots

    def _take(
        self, graph: Graph, found: int, code: NDArray[np.uint8], residual: NDArray[np.int16]
    ) -> int:
        slots = self._slots[found]
        for slot in reversed(slots):
            same = np.array_equal(self._codes(graph.blocks[slot][None])[0], code)
            if same and np.array_equal(graph.residuals[slot], residual):
                slots.remove(slot)
                if not slots:
                    del self._slots[found]
                return slot
        return -1

    def _codes(self, blocks: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Blocks without what isn't the vector."""
        codes = blocks.copy()
        codes[:, self._names] = 0
        return codes

    def _hashes(self, codes: NDArray[np.uint8]) -> list[int]:
        """Sums of the words times odd random numbers, modulo 2**64."""
        sums: list[int] = (codes.view(np.uint64) @ self._factors).tolist()
        return sums
