"""Arrays as numbers: as arguments of their own, eighteen of them would cost a query a fifth of its time.

Whoever makes the numbers keeps the arrays.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import array_at
from llamaindex_vecx.index.hnsw.distance import Batch
from llamaindex_vecx.index.hnsw.layout import STATE, Graph
from llamaindex_vecx.jit import inline

__all__ = ["Walk", "graph_at", "places_of", "walk_at"]


def places_of(graph: Graph) -> NDArray[np.int64]:
    """Sizes and addresses of a graph's arrays, for :func:`graph_at`."""
    sizes = (*graph.blocks.shape, *graph.upper.shape, graph.residuals.shape[1])
    return np.array([*sizes, *(array.ctypes.data for array in graph)], np.int64)


@inline
def graph_at(places: NDArray[np.int64]) -> Graph:
    """The graph that :func:`places_of` was given."""
    capacity = places[0]
    return Graph(
        array_at(places[5], (capacity, places[1]), np.uint8),
        array_at(places[6], (places[2], places[3]), np.int32),
        array_at(places[7], capacity, np.uint8),
        array_at(places[8], (capacity, places[4]), np.int16),
        array_at(places[9], np.int64(STATE), np.int64),
    )


class Walk(NamedTuple):
    """What a search works in; see :class:`~llamaindex_vecx.index.hnsw.scratch.Scratch`."""

    visited: NDArray[np.uint8]
    epoch: NDArray[np.uint8]
    code: NDArray[np.int8]
    prepared: NDArray[np.float32]
    batch: Batch
    keys: NDArray[np.int64]
    pool: NDArray[np.int64]
    best: NDArray[np.int64]


@inline
def walk_at(walk: NDArray[np.int64]) -> Walk:
    """The arrays whose sizes and addresses :attr:`~llamaindex_vecx.index.hnsw.scratch.Scratch.walk` holds."""
    width, many = walk[1], walk[2]
    return Walk(
        array_at(walk[6], walk[0], np.uint8),
        array_at(walk[7], np.int64(1), np.uint8),
        array_at(walk[8], width, np.int8),
        array_at(walk[9], width, np.float32),
        Batch(
            array_at(walk[10], many, np.int32),
            array_at(walk[11], many, np.int32),
            array_at(walk[12], many, np.float32),
        ),
        array_at(walk[13], walk[3], np.int64),
        array_at(walk[14], walk[4], np.int64),
        array_at(walk[15], walk[5], np.int64),
    )
