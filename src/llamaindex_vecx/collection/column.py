"""One metadata key: every value it has, and the rows that hold it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection.postings import (
    Posting,
    Postings,
    bitmap,
    extend,
    rows_in,
    subtract,
    union,
)

__all__ = ["Column", "canonical"]

_NAN = float("nan")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
}


def canonical(value: Any) -> Any:
    """NaN equals nothing, so as a key each would be one of its own: all share one."""
    return _NAN if value != value else value


class _Order:
    """The rows of one type's values in the order of the values, for ranges by binary search."""

    __slots__ = ("offsets", "recent", "rows", "values")

    def __init__(self, postings: Iterable[tuple[Any, Posting]]) -> None:
        ordered = sorted(postings, key=lambda item: item[0])
        self.values: list[Any] = [value for value, _ in ordered]
        rows: list[int] = []
        offsets = [0]
        for _, posting in ordered:
            rows += rows_in(posting)
            offsets.append(len(rows))
        self.rows: NDArray[np.uint32] = np.array(rows, dtype=np.uint32)
        self.offsets = offsets
        self.recent: list[tuple[Any, list[int]]] = []

    def outgrown(self) -> bool:
        """Whether so much came later that sorting again is the cheaper way."""
        return len(self.recent) > 256 + len(self.rows) // 32

    def span(self, operator: str, bound: Any) -> tuple[int, int]:
        """First and last + 1 of the distinct values that match."""
        if operator == ">":
            return bisect_right(self.values, bound), len(self.values)
        if operator == ">=":
            return bisect_left(self.values, bound), len(self.values)
        return 0, (bisect_left if operator == "<" else bisect_right)(self.values, bound)


class Column:
    """The values of one key. Rows that are gone stay in the answers until :meth:`sweep`.

    Attributes
    ----------
    present : BitMap
        Rows that have the key with a value other than None.
    scalars : dict
        Strings, numbers and booleans; Python's own equality makes 1, 1.0 and True one value.
    elements : dict
        Strings, numbers, booleans and None inside a list, and the keys of a dict.
    lists : dict
        Whole lists of scalars, as tuples.
    """

    __slots__ = ("_orders", "elements", "lists", "present", "scalars")

    def __init__(self) -> None:
        self.present: BitMap = BitMap()
        self.scalars: Postings = {}
        self.elements: Postings = {}
        self.lists: Postings = {}
        self._orders: dict[bool, _Order] = {}

    def add(self, rows: list[int], values: list[Any]) -> None:
        """Add rows with their values, none of them None."""
        scalars: defaultdict[Hashable, list[int]] = defaultdict(list)
        elements: defaultdict[Hashable, list[int]] = defaultdict(list)
        lists: defaultdict[Hashable, list[int]] = defaultdict(list)
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, (str, int, float)):
                scalars[canonical(value)].append(row)
                continue
            plain = [
                canonical(item)
                for item in value  # a dict's keys, as `in` sees them
                if item is None or isinstance(item, (str, int, float))
            ]
            for item in set(plain):
                elements[item].append(row)
            if isinstance(value, list) and len(plain) == len(value):
                lists[tuple(plain)].append(row)
        self.present.update(rows)
        for grouped, postings in (
            (scalars, self.scalars),
            (elements, self.elements),
            (lists, self.lists),
        ):
            for value, held in grouped.items():
                extend(postings, value, held)
        for value, held in scalars.items():
            order = self._orders.get(isinstance(value, str))
            if order is not None:
                order.recent.append((value, held))

    def sweep(self, gone: BitMap) -> None:
        """Drop rows that are gone."""
        self.present -= gone
        for postings in (self.scalars, self.elements, self.lists):
            subtract(postings, gone)
        self._orders.clear()

    def equal(self, value: Any) -> BitMap:
        """``metadata == value``."""
        if isinstance(value, list):
            return _get(self.lists, tuple(value) if _hashable(value) else None)
        return _get(self.scalars, value) if _hashable([value]) else BitMap()

    def one_of(self, values: Iterable[Any]) -> BitMap:
        """``metadata in values``."""
        return union(
            self.scalars[value] for value in values if _hashable([value]) and value in self.scalars
        )

    def compare(self, operator: str, bound: Any) -> BitMap:
        """``metadata > bound`` and its like, between numbers or between strings."""
        if bound != bound:
            return BitMap()
        text = isinstance(bound, str)
        order = self._orders.get(text)
        if order is None or order.outgrown():
            order = self._orders[text] = _Order(
                (value, posting)
                for value, posting in self.scalars.items()
                if isinstance(value, str) == text and value == value
            )
        low, high = order.span(operator, bound)
        start, stop = order.offsets[low], order.offsets[high]
        if stop - start > 20 * (high - low):
            found = union(self.scalars[value] for value in order.values[low:high])
        else:
            found = bitmap(order.rows[start:stop])
        holds = _COMPARE[operator]
        for value, rows in order.recent:
            if holds(value, bound):
                found.update(rows)
        return found

    def contains(self, value: Any) -> BitMap:
        """``value in metadata``: a substring, an element of a list, or a key of a dict."""
        found = _get(self.elements, value)
        if isinstance(value, str):
            found |= self.text(lambda held: value in held)
        return found

    def text(self, holds: Callable[[str], bool]) -> BitMap:
        """Rows whose value is a string of which ``holds`` is true, asked once a distinct string."""
        return union(
            posting
            for value, posting in self.scalars.items()
            if isinstance(value, str) and holds(value)
        )


def _hashable(values: list[Any]) -> bool:
    return all(isinstance(value, (str, int, float, type(None))) for value in values)


def _get(postings: Postings, value: Hashable) -> BitMap:
    """The rows of one value, a new bitmap."""
    posting = postings.get(value)
    if posting is None:
        return BitMap()
    return BitMap([posting]) if isinstance(posting, int) else posting.copy()
