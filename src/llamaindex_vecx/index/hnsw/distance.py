"""Codes, and distances estimated from them.

The traversal compares 8-bit codes; what it returns is measured again on the float32 vectors
(:mod:`llamaindex_vecx.index.hnsw.rerank`). Every vector has its own scale, so nothing has to be learnt
from data, growth can't invalidate old codes, and vectors of very different length keep their precision.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.simd import address, dot
from llamaindex_vecx.jit import inline, kernel
from llamaindex_vecx.metrics import COSINE, L2

__all__ = [
    "Query",
    "Shape",
    "encode",
    "encode_rows",
    "estimate",
    "node_query",
    "shape_of",
]


class Shape(NamedTuple):
    """What a kernel must know of the blocks besides their address."""

    base: int
    stride: int
    chunks: int
    column: int
    metric: int


class Query(NamedTuple):
    """A vector as the left side of estimates: ``distance = constant + norms + weight · factor · dot``."""

    code: int  # address of 64 · chunks signed bytes
    shift: int  # 128 · sum of the code: what the stored codes' shift adds to a dot product
    weight: float
    constant: float


@inline
def shape_of(blocks: NDArray[np.uint8], dim: int, metric: int) -> Shape:
    """The :class:`Shape` of blocks for vectors of ``dim``."""
    chunks = (dim + 63) >> 6
    return Shape(address(blocks), blocks.shape[1], chunks, chunks * 16, metric)


@inline
def encode(vector: NDArray[np.float32], code: NDArray[np.int8]) -> tuple[int, float, float]:
    """Quantise a vector to signed bytes with a scale of its own.

    Parameters
    ----------
    vector : float32, shape (dim,)
    code : int8, shape (64 · chunks,)
        Filled; zeros after ``dim``.

    Returns
    -------
    total : int
        Sum of the code.
    factor : float32
        Length of the vector over the length of its code, so that the decoded length is right.
    norm : float32
        Squared length.
    """
    dim = vector.shape[0]
    largest = np.float32(0.0)
    squares = 0.0
    for j in range(dim):
        largest = max(largest, abs(vector[j]))
        squares += np.float64(vector[j]) * np.float64(vector[j])
    for j in range(dim, code.shape[0]):
        code[j] = 0
    if largest == 0.0:
        for j in range(dim):
            code[j] = 0
        return 0, np.float32(0.0), np.float32(0.0)
    scale = 127.0 / np.float64(largest)
    total = 0
    length = 0
    for j in range(dim):
        step = np.int32(np.rint(vector[j] * scale))
        code[j] = step
        total += step
        length += step * step
    limit = np.float64(3.0e38)
    return total, np.float32(np.sqrt(squares / length)), np.float32(min(squares, limit))


@kernel
def encode_rows(
    blocks: NDArray[np.uint8], vectors: NDArray[np.float32], start: int, stop: int
) -> None:
    """Write code and header of the slots from ``start`` to ``stop``; no neighbours yet."""
    dim = vectors.shape[1]
    chunks = (dim + 63) >> 6
    column = chunks * 16
    code = np.empty(chunks * 64, np.int8)
    floats = blocks.view(np.float32)
    words = blocks.view(np.int32)
    for slot in range(start, stop):
        total, factor, norm = encode(vectors[slot], code)
        for j in range(chunks * 64):
            blocks[slot, j] = np.uint8(np.int32(code[j]) + 128)
        floats[slot, column] = factor
        floats[slot, column + 1] = norm
        words[slot, column + 2] = total
        words[slot, column + 3] = 0


@inline
def as_query(metric: int, code: int, total: int, factor: float, norm: float) -> Query:
    """A :class:`Query` such that :func:`estimate` gives the metric's distance."""
    if metric == L2:
        return Query(code, total * 128, np.float32(-2.0) * factor, norm)
    constant = np.float32(1.0) if metric == COSINE else np.float32(0.0)
    return Query(code, total * 128, -factor, constant)


@inline
def node_query(
    shape: Shape, blocks: NDArray[np.uint8], slot: int, code: NDArray[np.uint8]
) -> Query:
    """A node as a query; its code is copied to ``code``, of 64 · chunks bytes, unshifted."""
    for j in range(shape.chunks * 64):
        code[j] = blocks[slot, j] ^ np.uint8(128)
    floats = blocks.view(np.float32)
    words = blocks.view(np.int32)
    return as_query(
        shape.metric,
        address(code),
        np.int64(words[slot, shape.column + 2]),
        floats[slot, shape.column],
        floats[slot, shape.column + 1],
    )


@inline
def estimate(shape: Shape, floats: NDArray[np.float32], query: Query, slot: int) -> float:
    """Estimated distance of a query to a node.

    Parameters
    ----------
    floats : float32, shape (capacity, stride / 4)
        The blocks, seen as float32.
    """
    product = dot(shape.base + slot * shape.stride, query.code, shape.chunks) - query.shift
    distance = query.constant + query.weight * floats[slot, shape.column] * np.float32(product)
    if shape.metric == L2:
        distance += floats[slot, shape.column + 1]
    return distance
