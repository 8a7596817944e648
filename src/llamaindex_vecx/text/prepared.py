"""Queries whose tokens are looked up once, for running many of them again and again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import overload

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.text.vocabulary import Vocabulary

__all__ = ["Numbers", "PreparedQueries", "number"]

# numpy takes as long to find out what `np.int32` stands for as to number the words of a query.
_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)

Numbers = tuple[NDArray[np.int32], NDArray[np.int64]]
"""All tokens end to end as numbers, -1 where unknown, and where each query begins."""


def number(queries: Sequence[Sequence[str]], vocabulary: Vocabulary) -> Numbers:
    """Look the tokens of queries up.

    Raises
    ------
    InvalidInputError
        A query is a string.
    """
    for tokens in queries:
        if isinstance(tokens, str):
            raise InvalidInputError(f"tokens must be a sequence, not the string {tokens[:40]!r}")
    starts = np.zeros(len(queries) + 1, _INT64)
    if len(queries) == 1:
        flat: Iterable[str] = queries[0]
        count = starts[1] = len(queries[0])
    else:
        flat = chain.from_iterable(queries)
        np.cumsum([len(query) for query in queries], out=starts[1:])
        count = int(starts[-1])
    return np.fromiter(map(vocabulary.get, flat, repeat(-1)), _INT32, count), starts


class PreparedQueries(Sequence[Sequence[str]]):
    """Tokenized queries, and their tokens' numbers in the index that they were last given to.

    Made by :meth:`BM25.prepare <llamaindex_vecx.text.BM25.prepare>`. The numbers are looked up again
    when the index has met new tokens since or has numbered them anew.
    """

    def __init__(self, queries: Sequence[Sequence[str]]) -> None:
        self._queries = tuple(queries)
        self._vocabulary: Vocabulary | None = None
        self._size = -1
        self._numbers: Numbers | None = None

    def numbers(self, vocabulary: Vocabulary) -> Numbers:
        """As :func:`number`."""
        known = self._vocabulary is vocabulary and self._size == len(vocabulary)
        if self._numbers is None or not known:
            self._numbers = number(self._queries, vocabulary)
            self._vocabulary, self._size = vocabulary, len(vocabulary)
        return self._numbers

    @overload
    def __getitem__(self, index: int) -> Sequence[str]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[str]]: ...
    def __getitem__(self, index: int | slice) -> Sequence[str] | Sequence[Sequence[str]]:
        return self._queries[index]

    def __len__(self) -> int:
        return len(self._queries)

    def __iter__(self) -> Iterator[Sequence[str]]:
        return iter(self._queries)

    def __repr__(self) -> str:
        return f"PreparedQueries({len(self)} queries)"
