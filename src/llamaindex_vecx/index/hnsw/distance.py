"""Codes, and distances estimated from them.

The traversal compares codes: their upper four bits alone where those tell the rows of this data apart,
else all eight (a :class:`Shape` says which). What it returns is measured again on 24 bits, code and
residual (:mod:`llamaindex_vecx.index.hnsw.rerank`). Every vector has its own scale, so nothing has to be
learnt from data, growth can't invalidate old codes, and vectors of very different length keep their
precision.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, column_of, float32_of_bits, seen_as
from llamaindex_vecx.index.hnsw.layout import DEGREE
from llamaindex_vecx.index.simd import ROWS, dot, dot4, exact_dot, exact_squares, prefetch
from llamaindex_vecx.jit import inline, kernel
from llamaindex_vecx.metrics import COSINE, L2

__all__ = [
    "Batch",
    "Query",
    "Shape",
    "encode",
    "encode_rows",
    "estimate",
    "estimate_many",
    "from_product",
    "measure",
    "multiply",
    "node_query",
    "prefetch_node",
    "prefetch_nodes",
    "shape_of",
    "standard_error",
    "word_of_each",
]


_STEP = np.float32(0.2886751)  # standard deviation of rounding to steps of 1, 1 / √12


class Shape(NamedTuple):
    """What a kernel must know of the blocks besides their address."""

    base: int
    stride: int
    chunks: int
    column: int
    lower: int  # where in a block the lower halves of codes begin
    read: int  # the same, or 0 where estimates do without them
    scale: float  # what is known of a code is ``scale · number − shift``
    shift: float
    metric: int


class Query(NamedTuple):
    """A vector as the left side of estimates: ``distance = constant + norms + weight · factor · dot``."""

    code: int  # address of 128 · chunks signed bytes
    total: int  # sum of the code: times the stored codes' shift, what that adds to a dot product
    weight: float
    constant: float


class Batch(NamedTuple):
    """Nodes to measure together. Room for two lists of 2M, rounded up to :data:`ROWS`."""

    slots: NDArray[np.int32]
    products: NDArray[np.int32]
    distances: NDArray[np.float32]


@inline
def shape_of(blocks: NDArray[np.uint8], dim: int, metric: int, fine: bool) -> Shape:
    """The :class:`Shape` of blocks for vectors of ``dim``.

    By the upper halves alone a code is known to 16 steps, and taken for the middle of them.
    """
    chunks = (dim + 127) >> 7
    base, stride = address(blocks), blocks.shape[1]
    lower = stride - chunks * 64
    read = lower if fine else np.int64(0)
    scale = np.float32(1.0) if fine else np.float32(16.0)
    shift = np.float32(128.0) if fine else np.float32(120.5)
    return Shape(base, stride, chunks, chunks * 16, lower, read, scale, shift, metric)


@inline
def word_of_each(shape: Shape, words: NDArray[np.int32], which: int) -> NDArray[np.int32]:
    """One word of every header, shape (capacity,); ``words`` are the blocks seen as int32."""
    return column_of(words, shape.column + which)


@inline
def encode(vector: NDArray[np.float32], code: NDArray[np.int8]) -> tuple[int, float, float, float]:
    """Quantise a vector to signed bytes with a scale of its own.

    Parameters
    ----------
    vector : float32, shape (dim,)
    code : int8, shape (128 · chunks,)
        Filled; zeros after ``dim``.

    Returns
    -------
    total : int
        Sum of the code.
    factor : float32
        Length of the vector over the length of its code, so that the decoded length is right.
    norm : float32
        Squared length.
    step : float32
        What 1 in the code stands for.
    """
    dim = vector.shape[0]
    bits = seen_as(vector, np.int32)  # without their sign they sort as the floats do, and faster
    most = np.int32(0)
    squares = 0.0
    for j in range(dim):
        most = max(most, np.int32(bits[j] & np.int32(0x7FFFFFFF)))
        squares += np.float64(vector[j]) * np.float64(vector[j])
    for j in range(dim, code.shape[0]):
        code[j] = 0
    if most == 0:
        for j in range(dim):
            code[j] = 0
        return 0, np.float32(0.0), np.float32(0.0), np.float32(0.0)
    width = np.float64(float32_of_bits(most)) / 127.0
    scale = 1.0 / width
    total = 0
    length = 0
    for j in range(dim):
        step = np.int32(np.rint(vector[j] * scale))
        code[j] = step
        total += step
        length += step * step
    limit = np.float64(3.0e38)
    factor = np.float32(np.sqrt(squares / length))
    return total, factor, np.float32(min(squares, limit)), np.float32(width)


@kernel
def encode_rows(
    vectors: NDArray[np.float32],
    blocks: NDArray[np.uint8],
    residuals: NDArray[np.int16],
    start: int,
) -> None:
    """Write ``vectors`` (n, dim) to the slots from ``start`` on, not yet named or linked."""
    dim = vectors.shape[1]
    shape = shape_of(blocks, dim, 0, True)
    code = np.empty(shape.chunks * 128, np.int8)
    floats = seen_as(blocks, np.float32)
    words = seen_as(blocks, np.int32)
    for i in range(vectors.shape[0]):
        slot = start + i
        total, factor, norm, step = encode(vectors[i], code)
        for chunk in range(shape.chunks):
            for j in range(64):
                one = np.uint8(np.int32(code[chunk * 128 + j]) + 128)
                two = np.uint8(np.int32(code[chunk * 128 + 64 + j]) + 128)
                place = chunk * 64 + j
                blocks[slot, place] = (one >> np.uint8(4)) | (two & np.uint8(240))
                blocks[slot, shape.lower + place] = (one & np.uint8(15)) | np.uint8(two << 4)
        scale = 0.0 if step == 0.0 else 65536.0 / np.float64(step)
        for j in range(dim):
            rest = np.rint(vectors[i, j] * scale) - 65536.0 * code[j]
            residuals[slot, j] = np.int16(min(max(rest, -32768.0), 32767.0))
        for j in range(dim, residuals.shape[1]):
            residuals[slot, j] = 0
        floats[slot, shape.column] = factor
        floats[slot, shape.column + 1] = norm
        floats[slot, shape.column + 2] = step
        words[slot, shape.column + 3] = total
        words[slot, shape.column + DEGREE] = 0


@inline
def code_of(shape: Shape, blocks: NDArray[np.uint8], slot: int, code: NDArray[np.uint8]) -> None:
    """A node's code as signed bytes (128 · chunks,): what :func:`encode_rows` was given."""
    for chunk in range(shape.chunks):
        for j in range(64):
            upper = blocks[slot, chunk * 64 + j]
            lower = blocks[slot, shape.lower + chunk * 64 + j]
            one = np.uint8(upper << 4) | (lower & np.uint8(15))
            two = (upper & np.uint8(240)) | (lower >> np.uint8(4))
            code[chunk * 128 + j] = one ^ np.uint8(128)
            code[chunk * 128 + 64 + j] = two ^ np.uint8(128)


@inline
def as_query(metric: int, code: int, total: int, factor: float, norm: float) -> Query:
    """A :class:`Query` such that :func:`estimate` gives the metric's distance."""
    if metric == L2:
        return Query(code, total, np.float32(-2.0) * factor, norm)
    constant = np.float32(1.0) if metric == COSINE else np.float32(0.0)
    return Query(code, total, -factor, constant)


@inline
def node_query(
    shape: Shape, blocks: NDArray[np.uint8], slot: int, code: NDArray[np.uint8]
) -> Query:
    """A node as a query; its code is copied to ``code``, of 128 · chunks bytes."""
    code_of(shape, blocks, slot, code)
    floats = seen_as(blocks, np.float32)
    words = seen_as(blocks, np.int32)
    return as_query(
        shape.metric,
        address(code),
        np.int64(words[slot, shape.column + 3]),
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
    where = shape.base + slot * shape.stride
    product = dot(where, query.code, shape.chunks, shape.read)
    return from_product(shape, floats, query, slot, product)


@inline
def from_product(
    shape: Shape, floats: NDArray[np.float32], query: Query, slot: int, product: int
) -> float:
    """The distance that a dot product of codes means."""
    unshifted = shape.scale * np.float32(product) - shape.shift * np.float32(query.total)
    distance = query.constant + query.weight * floats[slot, shape.column] * unshifted
    if shape.metric == L2:
        distance += floats[slot, shape.column + 1]
    return distance


@inline
def standard_error(
    shape: Shape, floats: NDArray[np.float32], query: Query, norm: float, slot: int
) -> float:
    """How far an estimate lies from the distance, typically.

    Rounding moves every component by ``factor / √12``, independently, so it moves a dot product by that
    times the length of the other side; and both sides are rounded, the node to the steps of the shape.

    Parameters
    ----------
    norm : float32
        Squared length of the query.
    """
    factor = shape.scale * floats[slot, shape.column]
    if shape.metric == L2:  # twice the dot product; so is the weight
        factor *= np.float32(2.0)
    other = floats[slot, shape.column + 1]
    return np.sqrt(factor * factor * norm + query.weight * query.weight * other) * _STEP


@inline
def estimate_many(
    shape: Shape, floats: NDArray[np.float32], query: Query, batch: Batch, count: int
) -> None:
    """:func:`estimate` for ``batch.slots[:count]``, into ``batch.distances``."""
    slots, products, distances = batch.slots, batch.products, batch.distances
    for i in range(count, (count + ROWS - 1) // ROWS * ROWS):
        slots[i] = slots[0]
    for i in range(0, count, ROWS):
        multiply(shape, query, address(slots) + 4 * i, address(products) + 4 * i)
    shift = shape.shift * np.float32(query.total)
    column = np.uint32(shape.column)
    for i in range(count):  # as in from_product; with the metric's branch inside it would be slow
        factor = query.weight * floats[np.uint32(slots[i]), column]
        distances[i] = query.constant + factor * (shape.scale * np.float32(products[i]) - shift)
    if shape.metric == L2:
        for i in range(count):
            distances[i] += floats[np.uint32(slots[i]), column + np.uint32(1)]


@inline
def multiply(shape: Shape, query: Query, slots: int, products: int) -> None:
    """Dot products of the query and :data:`ROWS` nodes whose slots lie at an address."""
    dot4(shape.base, shape.stride, slots, query.code, shape.chunks, shape.read, products)


@inline
def prefetch_node(shape: Shape, slot: int) -> None:
    """Ask for code and header of a node: all lines, or the first miss of each is waited for."""
    where = shape.base + slot * shape.stride
    for line in range(shape.chunks + 1):
        prefetch(where + line * 64)
    if shape.read:
        for line in range(shape.chunks):
            prefetch(where + shape.lower + line * 64)


@inline
def prefetch_nodes(shape: Shape, slots: NDArray[np.int32], start: int, stop: int) -> None:
    """Ask for code and header of some slots."""
    for i in range(start, stop):
        prefetch_node(shape, np.int64(slots[i]))


@inline
def measure(
    shape: Shape,
    floats: NDArray[np.float32],
    residuals: NDArray[np.int16],
    prepared: NDArray[np.float32],
    slot: int,
) -> float:
    """The distance of a prepared query (128 · chunks,) to a node, by all bits there are."""
    upper = shape.base + slot * shape.stride
    lower = upper + shape.lower
    rest = address(residuals) + slot * shape.chunks * 256
    step = floats[slot, shape.column + 2] * np.float32(1.0 / 65536.0)
    if shape.metric == L2:
        return exact_squares(upper, lower, rest, shape.chunks, step, address(prepared))
    found = exact_dot(upper, lower, rest, shape.chunks, step, address(prepared))
    return np.float32(1.0) - found if shape.metric == COSINE else -found
