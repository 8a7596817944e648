"""What every vector index does. Rows and numbers only: no ids, no metadata, no LlamaIndex."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llamaindex_vecx.metrics import Metric

__all__ = ["Allowed", "Mask", "Rows", "Scores", "VectorIndex"]

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]
Allowed = Union[Mask, Rows]  # noqa: UP007 - evaluated, and NDArray has no `|` on Python 3.10

Self = TypeVar("Self", bound="VectorIndex")


class VectorIndex(Protocol):
    """Nearest rows to a query.

    A *row* is a non-negative integer that the caller gives a vector; it is never reused. Rows should be
    dense, since ``allowed`` is an array over them. One thread may write (``add``, ``remove``) while any
    number of threads search.
    """

    kind: ClassVar[str]
    """Name in snapshots and settings, e.g. ``"hnsw"``."""

    dim: int
    metric: Metric

    def __len__(self) -> int:
        """Number of rows that can be found: added and not removed."""
        ...

    def add(self, rows: ArrayLike, vectors: ArrayLike, *, threads: int = 1) -> None:
        """Add vectors under new rows.

        Parameters
        ----------
        rows : int64, shape (n,)
            Distinct, non-negative, not in the index.
        vectors : float32, shape (n, dim)

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError, DuplicateIdError, StorageError
            The index is unchanged.
        """
        ...

    def remove(self, rows: ArrayLike) -> int:
        """Remove rows. Rows that aren't there are ignored. Returns how many were."""
        ...

    def search(
        self,
        queries: ArrayLike,
        k: int,
        *,
        allowed: Allowed | None = None,
        threads: int = 1,
        **params: Any,
    ) -> tuple[Rows, Scores]:
        """The ``k`` nearest rows of each query.

        Parameters
        ----------
        queries : float32, shape (q, dim) or (dim,)
            One query may be given flat; the answer has shape (1, k) then.
        k : int
            At least 1. May exceed the number of rows.
        allowed : bool, shape (m,), or int64, shape (m,), optional
            Which rows may be returned: ``allowed[row]`` says so, and rows from ``m`` on may not; or the
            rows themselves, ascending, which is the cheaper way to name a few. Honoured during the
            search: ``k`` rows come back whenever ``k`` allowed ones exist.
        threads : int
            Threads over a batch of queries.
        **params
            Of the index at hand, e.g. ``ef_search``; None means the index's own value.

        Returns
        -------
        rows : int64, shape (q, k)
            Nearest first, ties by row, padded with -1.
        scores : float32, shape (q, k)
            Similarity (see :mod:`llamaindex_vecx.metrics`), higher is better, padded with -inf.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError
        """
        ...

    def save(self, folder: Path, *, stamp: Mapping[str, Any] | None = None) -> None:
        """Write a snapshot (:mod:`llamaindex_vecx.snapshot`). ``stamp`` is the caller's note."""
        ...

    @classmethod
    def load(cls: type[Self], folder: Path) -> tuple[Self, dict[str, Any]]:
        """The index and the stamp, arrays memory-mapped.

        Raises
        ------
        DamagedSnapshotError
        """
        ...
