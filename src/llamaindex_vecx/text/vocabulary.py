"""Term strings and their numbers."""

from __future__ import annotations

from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["Vocabulary"]


class Vocabulary(dict[str, int]):
    """Numbers terms from 0 in order of first use: ``vocabulary[term]`` adds, ``get`` only looks.

    A dictionary with ``__missing__`` keeps the loop over known tokens in C.
    """

    def __missing__(self, term: object) -> int:
        if not isinstance(term, str):
            raise InvalidInputError(
                f"documents must hold tokens of type str, not {type(term).__name__}: {term!r}"
            )
        number = self[term] = len(self)
        return number

    def pack(self, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The first ``count`` terms as one run of UTF-8 and its offsets.

        Returns
        -------
        text : uint8, shape (bytes,)
        offsets : int64, shape (terms + 1,)
        """
        # A lone surrogate is legal in a Python string and has no UTF-8 of its own.
        encoded = [term.encode("utf-8", "surrogatepass") for term in islice(self, count)]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(term) for term in encoded], out=offsets[1:])
        return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets

    @classmethod
    def unpack(cls, text: NDArray[Any], offsets: NDArray[Any]) -> Vocabulary:
        """The vocabulary that :meth:`pack` wrote."""
        body = text.tobytes()
        bounds = offsets.tolist()
        terms = (
            body[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(bounds)
        )
        return cls((term, number) for number, term in enumerate(terms))
