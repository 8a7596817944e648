"""Which rows hold a value: a row number while it is one, a bitmap from the second on.

Most metadata keys are either nearly constant or nearly unique; for the unique ones a bitmap a value would
cost more than all the rest of the collection.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable
from typing import Union

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

__all__ = ["Posting", "Postings", "bitmap", "extend", "rows_in", "subtract", "union"]

Posting = Union[int, BitMap]  # noqa: UP007 - BitMap has no `|` for types
Postings = dict[Hashable, Posting]


def bitmap(rows: NDArray[np.uint32]) -> BitMap:
    """A bitmap of an array. Sorted first and by way of ``array``, the one fast path of pyroaring."""
    buffer = array("I")
    buffer.frombytes(np.sort(rows).tobytes())
    return BitMap(buffer)


def extend(postings: Postings, value: Hashable, rows: list[int]) -> None:
    """Add rows under a value."""
    held = postings.get(value)
    if held is None:
        postings[value] = rows[0] if len(rows) == 1 else BitMap(rows)
    elif isinstance(held, int):
        postings[value] = BitMap([held, *rows])
    else:
        held.update(rows)


def union(held: Iterable[Posting]) -> BitMap:
    """All rows of some values."""
    single: list[int] = []
    several: list[BitMap] = []
    for posting in held:
        if isinstance(posting, int):
            single.append(posting)
        else:
            several.append(posting)
    if single:
        several.append(BitMap(single))
    return BitMap.union(*several) if several else BitMap()


def rows_in(posting: Posting) -> list[int]:
    """The rows of one value, ascending."""
    return [posting] if isinstance(posting, int) else posting.to_array().tolist()


def subtract(postings: Postings, gone: BitMap) -> None:
    """Take rows away from all values, and values away that have none left."""
    empty = []
    for value, posting in postings.items():
        if isinstance(posting, int):
            if posting in gone:
                empty.append(value)
        else:
            posting -= gone
            if not posting:
                empty.append(value)
    for value in empty:
        del postings[value]
