"""An array that grows at its end in amortised constant time, with its buffer open to kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Growable"]


class Growable:
    """A one-dimensional array with spare room.

    Attributes
    ----------
    data : ndarray, shape (capacity,)
        The buffer, for kernels that write behind ``size`` after :meth:`reserve`. It is another object
        after growing, so don't keep it.
    size : int
        How many entries count.
    """

    __slots__ = ("data", "fill", "size")

    def __init__(
        self, dtype: DTypeLike, *, fill: int = 0, start: NDArray[Any] | None = None
    ) -> None:
        self.fill: int = fill
        if start is None:
            start = np.empty(0, dtype=dtype)
        self.data: NDArray[Any] = np.asarray(start, dtype=dtype)
        self.size: int = len(self.data)

    def __len__(self) -> int:
        return self.size

    @property
    def view(self) -> NDArray[Any]:
        """The entries that count, without a copy."""
        return self.data[: self.size]

    def reserve(self, size: int) -> None:
        """Make room for ``size`` entries; new room holds the fill value."""
        capacity = len(self.data)
        if size <= capacity:
            return
        grown = np.empty(max(size, capacity + capacity // 2, 16), dtype=self.data.dtype)
        grown[:capacity] = self.data
        grown[capacity:] = self.fill
        self.data = grown

    def resize(self, size: int) -> None:
        """Count the first ``size`` entries, with the fill value where they are new."""
        self.reserve(size)
        self.size = max(self.size, size)

    def extend(self, values: NDArray[Any]) -> None:
        """Append ``values``."""
        end = self.size + len(values)
        self.reserve(end)
        self.data[self.size : end] = values
        self.size = end
