"""Bitmaps as indexes take them: a few rows as they are, many as a boolean array, the last few kept."""

from __future__ import annotations

import numpy as np
from pyroaring import BitMap

from llamaindex_vecx.index.base import Allowed, Mask, Rows

__all__ = ["Masks", "as_mask", "as_rows"]

_FEW = 4096  # rows that cost less to list than to mark among all
_KEPT = 4


def as_rows(rows: BitMap, base: int = 0) -> Rows:
    """The rows of a bitmap counted from ``base``, ascending; those before it are left out."""
    numbers = np.array(rows.to_array(), np.int64)
    return numbers[np.searchsorted(numbers, base) :] - base if base else numbers


def as_mask(rows: BitMap, base: int = 0) -> Mask:
    """``mask[row - base]`` says whether a row is in the bitmap; it ends with the last one."""
    numbers = as_rows(rows, base)
    mask = np.zeros(numbers[-1] + 1 if len(numbers) else 0, dtype=np.bool_)
    mask[numbers] = True
    return mask


class Masks:
    """The last few masks. An application asks with the same filter again and again.

    Kept by the bitmap's content, not its identity: comparing two bitmaps costs a microsecond or two,
    building a mask up to fifty, and a caller may change a bitmap.
    """

    def __init__(self) -> None:
        self._kept: tuple[tuple[BitMap, int, Mask], ...] = ()

    def few_or_mask(self, rows: BitMap, base: int = 0) -> Allowed:
        """The rows where they are few, else their mask. Not to be written to."""
        if len(rows) <= _FEW:
            return as_rows(rows, base)
        return self.of(rows, base)

    def of(self, rows: BitMap, base: int = 0) -> Mask:
        """The mask of a bitmap. Not to be written to."""
        kept = self._kept
        for held, its, mask in kept:
            if its == base and held == rows:
                return mask
        mask = as_mask(rows, base)
        self._kept = ((rows.copy(), base, mask), *kept[: _KEPT - 1])
        return mask
