"""What a study is about: vectors to index, and queries that are held out of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.metrics import MetricName, as_metric, check_vectors

if TYPE_CHECKING:
    from llamaindex_vecx.collection import Collection

__all__ = ["StudyVectors", "load_vectors"]

_LEAST = 100
_PART = 8192


@dataclass(frozen=True)
class StudyVectors:
    """Vectors, queries and metric.

    Attributes
    ----------
    name : str
        Where they are from.
    base : float32, shape (n, dim)
    queries : float32, shape (q, dim)
        None of them is a row of ``base`` that was held out for it; an equal vector may well be, as where
        texts are stored twice.
    metric : str
    """

    name: str
    base: NDArray[np.float32]
    queries: NDArray[np.float32]
    metric: MetricName

    def __repr__(self) -> str:
        return f"StudyVectors({self.name!r}, {self.title})"

    @property
    def title(self) -> str:
        """``62,666 × 384, cosine, 1,000 queries``."""
        count, dim = self.base.shape
        return f"{count:,} × {dim}, {self.metric}, {len(self.queries):,} queries"

    def fingerprint(self) -> str:
        """Hash of all vectors and the metric: what a study may go on with."""
        digest = hashlib.sha256(f"{self.metric} {self.base.shape} {self.queries.shape}".encode())
        for array in (self.base, self.queries):
            for at in range(0, len(array), _PART):
                digest.update(np.ascontiguousarray(array[at : at + _PART]).tobytes())
        return digest.hexdigest()[:16]

    @classmethod
    def of(
        cls,
        name: str,
        vectors: NDArray[Any],
        metric: str = "cosine",
        *,
        queries: NDArray[Any] | None = None,
        hold_out: int = 1000,
        seed: int = 0,
    ) -> StudyVectors:
        """Vectors, of which some are held out as queries unless queries are given.

        Parameters
        ----------
        vectors : shape (n, dim)
            Any type of float.
        queries : shape (q, dim), optional
            Of real questions, say: those of another kind than the texts make other demands.
        hold_out : int
            How many are drawn from ``vectors`` otherwise; never more than a tenth.
        seed : int
            Of the draw.

        Raises
        ------
        InvalidInputError, DimensionError, NonFiniteError
            Fewer than 100 vectors, or something else than vectors.
        """
        checked = as_metric(metric).name
        check_count(hold_out, "hold_out")
        if vectors.ndim != 2 or len(vectors) < _LEAST:
            raise InvalidInputError(
                f"{name} holds an array of shape {vectors.shape}; a study needs (n, dim) with at least "
                f"{_LEAST} vectors"
            )
        base = check_vectors(vectors, argument=name)
        if queries is not None:
            asked = check_vectors(np.atleast_2d(queries), dim=base.shape[1], argument="queries")
            return cls(name, base, asked, checked)
        count = min(hold_out, len(base) // 10)
        chosen = np.random.default_rng(seed).choice(len(base), count, replace=False)
        rest = np.ones(len(base), bool)
        rest[chosen] = False
        return cls(name, base[rest], base[chosen], checked)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        metric: str = "cosine",
        *,
        queries: str | Path | None = None,
        hold_out: int = 1000,
        seed: int = 0,
    ) -> StudyVectors:
        """Vectors of a ``.npy`` file; ``queries`` is another.

        Raises
        ------
        InvalidInputError
            There is none, or it is no array of numbers.
        """
        asked = None if queries is None else load_vectors(Path(queries))
        return cls.of(
            Path(path).name,
            load_vectors(Path(path)),
            metric,
            queries=asked,
            hold_out=hold_out,
            seed=seed,
        )

    @classmethod
    def from_collection(
        cls,
        collection: Collection,
        *,
        queries: NDArray[Any] | None = None,
        hold_out: int = 1000,
        seed: int = 0,
    ) -> StudyVectors:
        """The vectors of a collection, as they were added, with its metric.

        Raises
        ------
        InvalidInputError
            It holds fewer than 100.
        """
        rows = list(collection.all_rows())
        vectors = collection.vectors(rows) if rows else np.empty((0, 0), np.float32)
        name = "memory" if collection.path is None else collection.path.name
        return cls.of(
            name, vectors, collection.metric, queries=queries, hold_out=hold_out, seed=seed
        )


def load_vectors(path: Path) -> NDArray[Any]:
    """The array of floats in a ``.npy`` file, memory-mapped.

    Raises
    ------
    InvalidInputError
        There is none.
    """
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:
        raise InvalidInputError(
            f"{path} can't be read as vectors: {error}; give a .npy file of shape (n, dim)"
        ) from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        kind = array.dtype if isinstance(array, np.ndarray) else "several arrays"
        raise InvalidInputError(f"{path} holds {kind}; give a .npy file of floats, shape (n, dim)")
    return array
