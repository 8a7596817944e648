"""Bitmaps as indexes take them: a few rows as they are, many as a boolean array, the last few kept."""

from __future__ import annotations

import numpy as np
from pyroaring import BitMap

from llamaindex_vecx.index.base import Allowed, Mask

__all__ = ["Masks", "as_mask"]

_FEW = 4096  # rows that cost less to list than to mark among all
_KEPT = 4


def as_mask(rows: BitMap) -> Mask:
    """``mask[row]`` says whether a row is in the bitmap; it ends with the last one."""
    mask = np.zeros(rows.max() + 1 if rows else 0, dtype=np.bool_)
    mask[np.frombuffer(rows.to_array(), np.uint32)] = True
    return mask


class Masks:
    """The last few masks. An application asks with the same filter again and again.

    Kept by the bitmap's content, not its identity: comparing two bitmaps costs a microsecond or two,
    building a mask up to fifty, and a caller may change a bitmap.
    """

    def __init__(self) -> None:
        self._kept: tuple[tuple[BitMap, Mask], ...] = ()

    def few_or_mask(self, rows: BitMap) -> Allowed:
        """The rows where they are few, else their mask. Not to be written to."""
        if len(rows) <= _FEW:
            return np.array(rows.to_array(), np.int64)
        return self.of(rows)

    def of(self, rows: BitMap) -> Mask:
        """The mask of a bitmap. Not to be written to."""
        kept = self._kept
        for held, mask in kept:
            if held == rows:
                return mask
        mask = as_mask(rows)
        self._kept = ((rows.copy(), mask), *kept[: _KEPT - 1])
        return mask
