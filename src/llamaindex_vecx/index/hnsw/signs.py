"""The likeliest of given slots, by the signs of their components: what a scan of many has to look at.

A row is one bit a component, a query two: sign and whether the magnitude is a large one, three times a
small one. Both are estimates of the same dot product as in :mod:`llamaindex_vecx.index.hnsw.distance`,
made right in length for every row (RaBitQ, arXiv 2405.12497, equation 12, without the rotation: whether
signs tell enough of this data is measured instead, see :mod:`llamaindex_vecx.index.hnsw.trust`).
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, seen_as
from llamaindex_vecx.index.exact import prepare
from llamaindex_vecx.index.hnsw.distance import shape_of
from llamaindex_vecx.index.simd import OCTET, compare_signs, gather_signs, prefetch
from llamaindex_vecx.jit import inline, kernel
from llamaindex_vecx.metrics import COSINE, L2

__all__ = ["find_likely", "pack_signs", "record"]

_GROUP = 32  # queries that pass over a tile while it is in the cache
_TILE = 64  # octets of rows: of 384 dimensions 28 KB
_DEVIATIONS, _HALVINGS = np.float32(8.0), 10
_AHEAD = 12  # rows asked for before they are read
_SAMPLE = 128  # octets that say where the best so many of all will begin


def record(dim: int) -> int:
    """8-byte words of eight packed rows: their signs, a line for every 64 components, factors, norms."""
    return (-(-dim // 64) + 1) * 8


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
    signs : uint64, shape (⌈m / 8⌉, record(dim))
        Written: word ``w`` of row ``i`` at ``signs[i // 8, 8 * w + i % 8]``, behind them eight float32 by
        which a sum of signed components becomes a dot product, then eight squared lengths, or zeros where
        the metric needs none. Behind the last row stand rows infinitely far.
    """
    shape = shape_of(blocks, dim, metric, True)
    floats, weights = seen_as(blocks, np.float32), seen_as(signs, np.float32)
    column = 2 * signs.shape[1] - 16
    words = (dim + 63) // 64
    beyond = shape.chunks * 128 - dim
    count = slots.shape[0]
    for i in range((count + 7) // 8 * 8):
        octet, place = i // 8, i % 8
        if i >= count:
            for word in range(words):
                signs[octet, 8 * word + place] = 0
            weights[octet, column + place] = np.float32(0.0)
            weights[octet, column + 8 + place] = np.float32(np.inf)
            continue
        ahead = shape.base + np.int64(slots[min(i + _AHEAD, count - 1)]) * shape.stride
        for line in range(shape.chunks + 1):
            prefetch(ahead + 64 * line)
        slot = np.int64(slots[i])
        where = shape.base + slot * shape.stride
        total = gather_signs(where, words, address(signs) + octet * signs.shape[1] * 8 + place * 8)
        # a component is |2 · upper − 15| steps of 8; behind the last they are 8
        total = 2 * (total - 8 * beyond) - 15 * dim
        factor, norm = floats[slot, shape.column], floats[slot, shape.column + 1]
        length = np.float32(8.0) * factor * np.float32(total)
        weights[octet, column + place] = norm / length if length > 0.0 else np.float32(0.0)
        weights[octet, column + 8 + place] = norm if metric == L2 else np.float32(0.0)


@inline
def split(prepared: NDArray[np.float32], dim: int, planes: NDArray[np.uint64]) -> tuple[int, float]:
    """A query in two bits a component.

    Returns
    -------
    most : int
        The sum of a row whose signs are all the query's.
    step : float
        The smaller magnitude, such that the length is right.
    """
    squares, magnitudes = np.float32(0.0), np.float32(0.0)
    for j in range(dim):
        squares += prepared[j] * prepared[j]
    large = np.sqrt(squares / np.float32(dim))
    most = 0
    for word in range(planes.shape[0]):
        sign, magnitude = np.uint64(0), np.uint64(0)
        for j in range(64):
            value = prepared[64 * word + j]
            bit = np.uint64(1) << np.uint64(j)
            sign |= bit if value >= 0.0 else np.uint64(0)
            wide = abs(value) > large
            magnitude |= bit if wide else np.uint64(0)
            most += 2 * wide
            magnitudes += abs(value) * (np.float32(3.0) if wide else np.float32(1.0))
        planes[word, 0], planes[word, 1] = sign, magnitude
    most += dim
    # 1 and 3 squared, over all components: 9 where it is large, which most counts as 3
    return most, squares / magnitudes if magnitudes > 0.0 else np.float32(0.0)


@inline
def quantile(values: NDArray[np.float32], rank: int) -> float:
    """Some value below which lie ``rank`` of them, by bisection; they crowd about their mean."""
    total, squares = np.float32(0.0), np.float32(0.0)
    for i in range(values.shape[0]):
        total += values[i]
    high = total / np.float32(values.shape[0])
    for i in range(values.shape[0]):
        squares += (values[i] - high) * (values[i] - high)
    low = high - _DEVIATIONS * np.sqrt(squares / np.float32(values.shape[0]))
    for _ in range(_HALVINGS):
        middle = np.float32(0.5) * (low + high)
        count = np.int32(0)
        for i in range(values.shape[0]):
            count += np.int32(values[i] < middle)
        if count < rank:
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
        Written. Eight places are left free at the end.
    counts : int64, shape (q,)
        Written: how many they are; none where there were too many.
    cuts : float32, shape (q,)
        Written: the estimated distance where they end.
    """
    dim = queries.shape[1]
    words = (dim + 63) // 64
    octets = signs.shape[0]
    size = signs.shape[1] * 8
    base = address(signs)
    group = max(min(stop - start, _GROUP), 1)
    prepared = np.zeros(words * 64, np.float32)
    planes = np.empty((group, words, 2), np.uint64)
    known = np.empty((group, 2), np.float32)
    most = np.empty(group, np.int64)
    some = min(octets, _SAMPLE)
    rank = max((wanted * some + octets - 1) // octets, 1)
    estimates = np.empty(some * OCTET, np.float32)
    out = address(estimates)
    hits = np.empty(_TILE, np.int64)
    room = likely.shape[1] - OCTET
    for first in range(start, stop, group):
        last = min(first + group, stop)
        for i in range(first, last):
            j = i - first
            counts[i] = 0 if prepare(metric, queries[i], prepared[:dim]) else -1
            if counts[i] < 0:
                continue
            most[j], step = split(prepared, dim, planes[j])
            constant = np.float32(1.0) if metric == COSINE else np.float32(0.0)
            weight = -step
            if metric == L2:
                weight *= np.float32(2.0)
                for component in range(dim):
                    constant += prepared[component] * prepared[component]
            known[j, 0], known[j, 1] = constant, weight
            for number in range(some):
                where = base + (number * octets // some) * size
                compare_signs(
                    where, address(planes[j]), words, most[j], weight, np.float32(0.0),
                    out + number * OCTET * 4,
                )  # fmt: skip
            cuts[i] = quantile(estimates, rank)
        for low in range(0, octets, _TILE):
            for i in range(first, last):
                j = i - first
                if counts[i] < 0:
                    continue
                where, found = address(planes[j]), 0
                for octet in range(low, min(low + _TILE, octets)):
                    near = compare_signs(
                        base + octet * size, where, words, most[j], known[j, 1], cuts[i], out
                    )
                    hits[found] = octet << 8 | near
                    found += near != 0
                count = counts[i]
                for number in range(found):
                    hit = hits[number]
                    if count >= room:
                        break
                    for row in range(OCTET):
                        likely[i, count] = slots[min((hit >> 8) * OCTET + row, slots.shape[0] - 1)]
                        count += (hit >> row) & 1
                counts[i] = count
        for i in range(first, last):
            if counts[i] >= room:
                counts[i] = 0
            cuts[i] += known[i - first, 0]
