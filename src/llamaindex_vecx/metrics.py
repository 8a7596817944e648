"""The metrics, and the one place that decides which way a score points.

Inside, a *distance* is what indexes sort by: smaller is nearer. Outside, a *similarity* is what users
see: higher is better. :meth:`Metric.similarity` is the only way from one to the other.

===========  ==========================  =============================
metric       distance                    similarity
===========  ==========================  =============================
``cosine``   ``1 - cos(a, b)``           ``cos(a, b)``, in [-1, 1]
``ip``       ``-<a, b>``                 ``<a, b>``
``l2``       ``|a - b|²``                ``1 / (1 + |a - b|)``
===========  ==========================  =============================

A zero vector has no direction: under cosine its similarity to everything is 0.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import DimensionError, InvalidInputError, NonFiniteError
from llamaindex_vecx.jit import inline

__all__ = [
    "L2",
    "METRICS",
    "Metric",
    "MetricName",
    "as_metric",
    "check_vectors",
    "distance",
    "similarity",
]

MetricName = Literal["cosine", "ip", "l2"]
METRICS: tuple[MetricName, ...] = ("cosine", "ip", "l2")
COSINE, IP, L2 = range(3)  # what kernels know a metric by: Metric.code


class Metric:
    """One of ``"cosine"``, ``"ip"`` (inner product), ``"l2"`` (Euclidean)."""

    __slots__ = ("name",)

    def __init__(self, name: MetricName) -> None:
        self.name: MetricName = name

    def __repr__(self) -> str:
        return f"Metric({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Metric) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def code(self) -> int:
        """The metric as kernels know it: its place in :data:`METRICS`."""
        return METRICS.index(self.name)

    def prepare(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What an index stores and compares: unit length under cosine, unchanged otherwise.

        Parameters
        ----------
        vectors : float32, shape (n, dim)

        Returns
        -------
        float32, shape (n, dim)
            A new array under cosine, the same one otherwise. A zero vector stays zero.
        """
        if self.name != "cosine":
            return vectors
        # float64: the squares of float32 values over 1e19 would overflow, those under 1e-19 vanish
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        norms[norms == 0] = 1.0
        out = np.empty(vectors.shape, np.float32)  # in place of twice as much in float64
        np.divide(vectors, norms[:, None], out=out, casting="same_kind")
        return out

    def distances(
        self, queries: NDArray[np.float32], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """All distances between two prepared blocks, exactly.

        Parameters
        ----------
        queries : float32, shape (q, dim)
        vectors : float32, shape (n, dim)

        Returns
        -------
        float32, shape (q, n)
        """
        dots: NDArray[np.float32] = np.matmul(queries, vectors.T)
        if self.name == "cosine":
            return np.asarray(np.float32(1.0) - dots)
        if self.name == "ip":
            return -dots
        squares = np.einsum("ij,ij->i", queries, queries)[:, None] - 2.0 * dots
        squares += np.einsum("ij,ij->i", vectors, vectors)[None, :]
        return np.asarray(np.maximum(squares, 0.0), dtype=np.float32)

    def similarity(self, distances: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances (smaller is nearer) to similarities (higher is better), any shape."""
        if self.name == "cosine":
            return np.asarray(np.clip(1.0 - distances, -1.0, 1.0))
        if self.name == "ip":
            return -distances
        return cast(NDArray[np.float32], 1.0 / (1.0 + np.sqrt(distances)))


@inline
def distance(metric: int, query: NDArray[np.float32], vectors: NDArray[np.float32], i: int) -> Any:
    """Distance of a prepared query (dim,) to ``vectors[i]``, for kernels: float32, sums in float32."""
    total = np.float32(0.0)
    if metric == L2:
        for j in range(query.shape[0]):
            difference = query[j] - vectors[i, j]
            total += difference * difference
        return total
    for j in range(query.shape[0]):
        total += query[j] * vectors[i, j]
    return np.float32(1.0) - total if metric == COSINE else -total


@inline
def similarity(metric: int, distance: Any) -> Any:
    """:meth:`Metric.similarity` for kernels, of one float32."""
    if metric == L2:
        return np.float32(1.0) / (np.float32(1.0) + np.sqrt(distance))
    if metric == IP:
        return -distance
    return min(max(np.float32(1.0) - distance, np.float32(-1.0)), np.float32(1.0))


def as_metric(metric: str | Metric) -> Metric:
    """The metric of that name.

    Raises
    ------
    InvalidInputError
        There is no such metric.
    """
    if isinstance(metric, Metric):
        return metric
    if metric not in METRICS:
        raise InvalidInputError(f"metric={metric!r} is unknown; choose one of {', '.join(METRICS)}")
    return Metric(metric)


def check_vectors(
    vectors: object, *, dim: int | None = None, argument: str = "vectors"
) -> NDArray[np.float32]:
    """``vectors`` as float32 of shape (n, dim), or a clear exception.

    Raises
    ------
    InvalidInputError
        Not numbers, or not two-dimensional.
    DimensionError
        Another dimension than ``dim``.
    NonFiniteError
        NaN or infinity, also where a float64 value is too large for float32.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            array = np.ascontiguousarray(vectors, dtype=np.float32)
            flat = array.reshape(-1)
            finite = isfinite(flat.dot(flat))  # takes a fraction of what looking at each does
    except (TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{argument} must be an array of numbers of shape (n, dim): {error}"
        ) from error
    if array.ndim != 2 or array.shape[1] == 0:
        raise InvalidInputError(f"{argument} must have shape (n, dim), not {array.shape}")
    if dim is not None and array.shape[1] != dim:
        raise DimensionError(
            f"{argument} has dimension {array.shape[1]}, the index has {dim}; "
            "embed with the model that the index was built with"
        )
    if finite:
        return array
    # A value isn't finite, or the squared length overflows.
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if len(bad):
        raise NonFiniteError(
            f"{argument} holds NaN or infinity in {len(bad)} of {len(array)} vectors, "
            f"the first at position {bad[0]}"
        )
    return array
