"""The likeliest of given slots, by the signs of their components: what a scan of many has to look at.

A row is one bit a component, a query a sign and a magnitude of up to :data:`MOST` steps. Their product
estimates the same dot product as codes do, made right in length for every row: the estimator of RaBitQ
(arXiv 2405.12497, theorem 3.2) without its rotation. Whether signs tell enough of this data is measured
instead (:mod:`llamaindex_vecx.index.hnsw.trust`).
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, seen_as
from llamaindex_vecx.index.exact import prepare
from llamaindex_vecx.index.hnsw.distance import shape_of
from llamaindex_vecx.index.lookup import (
    MOST,
    RECORD,
    TABLES,
    count_below,
    fill_tables,
    gather_signs,
    look_up,
    lowest,
    transpose,
)
from llamaindex_vecx.index.simd import prefetch
from llamaindex_vecx.jit import inline, kernel, part
from llamaindex_vecx.metrics import COSINE, L2

__all__ = ["find_likely", "pack_signs", "record"]

_GROUP = 32  # queries that pass over a record, of 384 dimensions 18 KB, while it is in the cache
_SAMPLE = 6  # records that say where the best so many of all will begin
_FINE = np.float32(2.0)  # steps in the typical magnitude of a component
_DEVIATIONS, _HALVINGS = np.float32(8.0), 8
_AHEAD = 12  # rows asked for before they are read


def tables(dim: int) -> int:
    """Look-up tables, of up to six components."""
    return -(-dim // 384) * TABLES


def record(dim: int) -> int:
    """8-byte words of :data:`RECORD` packed rows: a byte a table, factors, norms."""
    return (tables(dim) + 8) * RECORD // 8


@kernel
def pack_signs(
    metric: int,
    dim: int,
    blocks: NDArray[np.uint8],
    slots: NDArray[np.int32],
    signs: NDArray[np.uint64],
) -> None:
    """Gather the signs of the components of some slots.

    Parameters
    ----------
    slots : int32, shape (m,)
    signs : uint64, shape (⌈m / RECORD⌉, record(dim))
        Written, as :func:`~llamaindex_vecx.index.lookup.look_up` reads it: the factors are those by which a
        sum of signed components becomes a dot product, the norms zeros where the metric needs none.
        Behind the last row stand rows infinitely far.
    """
    shape = shape_of(blocks, dim, metric, True)
    floats, weights = seen_as(blocks, np.float32), seen_as(signs, np.float32)
    column = 2 * signs.shape[1] - 2 * RECORD
    beyond = shape.chunks * 128 - dim
    count = slots.shape[0]
    size = signs.shape[1] * 8 // RECORD - 8
    places = np.zeros((RECORD, size), np.uint8)
    for number in range(signs.shape[0]):
        for i in range(RECORD):
            place = column + (i // 64) * 64 + (i % 2) * 32 + i % 64 // 2
            index = number * RECORD + i
            if index >= count:
                weights[number, place] = np.float32(0.0)
                weights[number, place + RECORD] = np.float32(np.inf)
                continue
            ahead = shape.base + np.int64(slots[min(index + _AHEAD, count - 1)]) * shape.stride
            for line in range(shape.chunks + 1):
                prefetch(ahead + 64 * line)
            slot = np.int64(slots[index])
            where = shape.base + slot * shape.stride
            total = gather_signs(where, shape.chunks, address(places) + i * size)
            # a component is |2 · upper − 15| steps of 8; behind the last they are 8
            total = 2 * (total - 8 * beyond) - 15 * dim
            factor, norm = floats[slot, shape.column], floats[slot, shape.column + 1]
            length = np.float32(8.0) * factor * np.float32(total)
            weights[number, place] = norm / length if length > 0.0 else np.float32(0.0)
            weights[number, place + RECORD] = norm if metric == L2 else np.float32(0.0)
        for row in range(0, RECORD, 64):
            for table in range(0, size, 64):
                transpose(
                    address(places) + row * size + table, size,
                    address(signs) + number * signs.shape[1] * 8 + table * RECORD + row,
                )  # fmt: skip


@inline
def tabulate(
    prepared: NDArray[np.float32], counts: NDArray[np.int8], table: int
) -> tuple[float, float]:
    """The tables of a query (128 · chunks,): what a component of the other sign counts.

    Parameters
    ----------
    counts : int8, shape (8, tables)
        Scratch.
    table : int64
        Address of 64 bytes a table, written.

    Returns
    -------
    most : float32
        What all components count together.
    step : float32
        What 1 stands for, such that the length is right.
    """
    chunks = prepared.shape[0] // 128
    squares, magnitudes, most = np.float32(0.0), np.float32(0.0), np.int32(0)
    used = np.int32(0)
    for j in range(prepared.shape[0]):
        squares += prepared[j] * prepared[j]
        used += np.int32(prepared[j] != 0.0)
    scale = _FINE * np.sqrt(np.float32(used) / squares) if squares > 0.0 else np.float32(0.0)
    counts[:] = 0
    for chunk in range(chunks):
        group = chunk // 3
        last = min(chunks - 3 * group, 3) - 1
        for half in range(2):
            bit = 2 * (last - chunk % 3) + half
            start = chunk * 128 + half * 64
            values = prepared[start : start + 64]
            adds = counts[bit, group * 64 : group * 64 + 64]
            unset = counts[6 + bit // 3, group * 64 : group * 64 + 64]
            for j in range(64):
                value = values[j]
                size = min(np.int32(abs(value) * scale + np.float32(0.5)), np.int32(MOST))
                most += size
                magnitudes += abs(value) * np.float32(size)
                adds[j] = -size if value >= 0.0 else size
                unset[j] += size if value >= 0.0 else np.int32(0)
    fill_tables(address(counts), np.int64(counts.shape[1]), table)
    step = squares / magnitudes if magnitudes > 0.0 else np.float32(0.0)
    return np.float32(most), step


@part
def compare(
    rows: int,
    table: int,
    count: int,
    most: float,
    weight: float,
    limit: float,
    distances: int,
    near: int,
) -> None:
    """:func:`~llamaindex_vecx.index.lookup.look_up`, compiled once."""
    look_up(rows, table, count, most, weight, limit, distances, near)


@inline
def quantile(values: NDArray[np.float32], rank: int) -> float:
    """Some value below which lie ``rank`` of them, by bisection; they crowd about their mean.

    Of a multiple of 64.
    """
    total, squares = np.float32(0.0), np.float32(0.0)
    for i in range(values.shape[0]):
        total += values[i]
    high = total / np.float32(values.shape[0])
    for i in range(values.shape[0]):
        squares += (values[i] - high) * (values[i] - high)
    low = high - _DEVIATIONS * np.sqrt(squares / np.float32(values.shape[0]))
    for _ in range(_HALVINGS):
        middle = np.float32(0.5) * (low + high)
        if count_below(address(values), np.int64(values.shape[0]), middle) < rank:
            low = middle
        else:
            high = middle
    return high


@kernel
def find_likely(
    metric: int,
    queries: NDArray[np.float32],
    start: int,
    stop: int,
    slots: NDArray[np.int32],
    signs: NDArray[np.uint64],
    wanted: int,
    likely: NDArray[np.int32],
    counts: NDArray[np.int64],
    cuts: NDArray[np.float32],
) -> None:
    """About ``wanted`` of the slots for the queries from ``start`` to ``stop``: the nearest by their signs.

    Where they end is told by a sample of all, so that nothing has to be sorted.

    Parameters
    ----------
    queries : float32, shape (q, dim)
        As the caller gave them.
    slots, signs : int32, uint64
        See :func:`pack_signs`.
    likely : int32, shape (≥ q, room)
        Written. The last :data:`RECORD` places are scratch.
    counts : int64, shape (q,)
        Written: how many they are; none where there were too many.
    cuts : float32, shape (q,)
        Written: the estimated distance where they end.
    """
    dim = queries.shape[1]
    many = np.int64((signs.shape[1] * 8 // RECORD) - 8)
    records = signs.shape[0]
    size = signs.shape[1] * 8
    base = address(signs)
    group = max(min(stop - start, _GROUP), 1)
    prepared = np.zeros((dim + 127) // 128 * 128, np.float32)
    scratch = np.empty((8, many), np.int8)
    apart = many * 64
    table = np.empty((group + 1) * apart, np.uint8)
    table = table[-address(table) % 64 :]  # a load across two lines takes twice as long
    known = np.empty((group, 3), np.float32)
    some = min(records, _SAMPLE)
    rank = max((wanted * some + records - 1) // records, 1)
    estimates = np.empty(some * RECORD, np.float32)
    near = np.empty((group, RECORD // 64), np.uint64)
    room, behind = likely.shape[1] - RECORD, slots.shape[0] - 1
    for first in range(start, stop, group):
        last = min(first + group, stop)
        for i in range(first, last):
            j = i - first
            counts[i] = 0 if prepare(metric, queries[i], prepared[:dim]) else -1
            if counts[i] < 0:
                continue
            most, step = tabulate(prepared, scratch, address(table) + j * apart)
            constant = np.float32(1.0) if metric == COSINE else np.float32(0.0)
            weight = -step
            if metric == L2:
                weight *= np.float32(2.0)
                for component in range(dim):
                    constant += prepared[component] * prepared[component]
            known[j, 0], known[j, 1], known[j, 2] = constant, weight, most
            for number in range(some):
                compare(
                    base + (number * records // some) * size, address(table) + j * apart, many, most, weight,
                    np.float32(0.0), address(estimates) + number * RECORD * 4, address(near),
                )  # fmt: skip
            cuts[i] = quantile(estimates, rank)
        for number in range(records):
            for i in range(first, last):
                j = i - first
                for line in range(j * size // group, (j + 1) * size // group, 64):
                    prefetch(base + (number + 1) * size + line)
                if counts[i] >= 0:
                    compare(
                        base + number * size, address(table) + j * apart, many, known[j, 2], known[j, 1],
                        cuts[i], address(estimates), address(near) + j * (RECORD // 8),
                    )  # fmt: skip
            # only now: a branch on what was just compared waits for it
            for i in range(first, last):
                count = counts[i]
                if count < 0 or count >= room:
                    continue
                for half in range(RECORD // 64):
                    bits = near[i - first, half]
                    while True:  # once in any case: hardly any has more than one
                        bit = lowest(bits | np.uint64(bits == 0))
                        row = number * RECORD + half * 64 + (bit & 31) * 2 + (bit >> 5)
                        likely[i, count] = slots[min(row, behind)]
                        count += bits != 0
                        bits &= bits - np.uint64(1)
                        if bits == 0:
                            break
                counts[i] = count
        for i in range(first, last):
            if counts[i] >= room:
                counts[i] = 0
            cuts[i] += known[i - first, 0]
