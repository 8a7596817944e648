"""The nearest of given slots, by their codes, then exactly: for the few rows that a filter allows."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, seen_as
from llamaindex_vecx.index.exact import NOT_FINITE, prepare, write_answer
from llamaindex_vecx.index.hnsw.distance import (
    Query,
    Shape,
    as_query,
    encode,
    multiply,
    prefetch_nodes,
    shape_of,
    word_of_each,
)
from llamaindex_vecx.index.hnsw.layout import ROW, TWIN
from llamaindex_vecx.index.hnsw.refine import refine
from llamaindex_vecx.index.hnsw.rerank import rerank
from llamaindex_vecx.index.keys import (
    NO_KEY,
    START,
    clear,
    insert,
    key_distance,
    key_slot,
    pack,
    within,
)
from llamaindex_vecx.index.simd import ROWS
from llamaindex_vecx.jit import inline, kernel
from llamaindex_vecx.metrics import L2

__all__ = ["BLURRED", "scan_codes"]

BLURRED = -2
"""In the place of a count: codes or signs can't tell the candidates apart, more should be measured."""

_DOUBT = np.float32(0.75)
"""Standard error of a dot product by signs: of normal components √(π/2 − 1), times the lengths over √dim."""
_GROUP = 32  # queries that pass over a tile while it is in the cache
_TILE = 64  # slots, a multiple of ROWS: of 384 dimensions half the first cache


class Tile(NamedTuple):
    """Slots that several queries look at in turn, and what estimates need of their headers."""

    slots: NDArray[np.int32]
    factors: NDArray[np.float32]
    norms: NDArray[np.float32]
    products: NDArray[np.int32]


@inline
def fill(shape: Shape, floats: NDArray[np.float32], tile: Tile, some: NDArray[np.int32]) -> None:
    """Put slots into a tile, and up to the next multiple of :data:`ROWS` the first of them again."""
    for i in range((some.shape[0] + ROWS - 1) // ROWS * ROWS):
        slot = np.int64(some[i if i < some.shape[0] else 0])
        tile.slots[i] = slot
        tile.factors[i] = floats[slot, shape.column]
        tile.norms[i] = floats[slot, shape.column + 1] if shape.metric == L2 else np.float32(0.0)


@inline
def scan_tile(
    shape: Shape,
    query: Query,
    rows: NDArray[np.int32],
    width: int,
    keys: NDArray[np.int64],
    tile: Tile,
    count: int,
    following: NDArray[np.int32],
) -> None:
    """Insert what is near enough among ``tile.slots[:count]``, and ask for the slots that follow."""
    slots, products = tile.slots, tile.products
    for i in range(0, count, ROWS):
        prefetch_nodes(shape, following, i, min(i + ROWS, following.shape[0]))
        multiply(shape, query, address(slots) + 4 * i, address(products) + 4 * i)
    shift = shape.shift * np.float32(query.total)
    limit = within(keys, width)
    for i in range(count):
        distance = query.constant + tile.norms[i]
        distance += query.weight * tile.factors[i] * (shape.scale * np.float32(products[i]) - shift)
        # NaN is not above, so that such rows are found too; a row below 0 was removed meanwhile
        if not distance > limit and rows[slots[i]] >= 0:
            insert(keys, pack(distance, np.int64(slots[i]) << 1))
            limit = within(keys, width)


@kernel
def scan_codes(
    metric: int,
    fine: bool,
    queries: NDArray[np.float32],
    start: int,
    stop: int,
    k: int,
    width: int,
    chosen: NDArray[np.int32],
    many: NDArray[np.int64],
    cuts: NDArray[np.float32],
    restricted: bool,
    allowed: NDArray[np.uint8],
    blocks: NDArray[np.uint8],
    residuals: NDArray[np.int16],
    best: NDArray[np.int64],
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    counts: NDArray[np.int64],
    need: int,
) -> bool:
    """Answer the queries from ``start`` to ``stop`` from the slots ``chosen`` alone.

    Several queries pass over some slots at a time, whose codes so come into the cache once for all,
    unless each has slots of its own.

    Parameters
    ----------
    fine : bool
        Whether the candidates are found by all eight bits of the codes, or by the upper four.
    width : int
        Candidates.
    chosen : int32, shape (1, m) or (q, m)
        For all queries, or for each.
    many : int64, shape (1,) or (q,)
        How many there are; below 1 for none.
    cuts : float32, shape (q,)
        From which estimated distance on slots were left out by their signs; infinity where none were.
    restricted, allowed : bool, uint8
        False, and anything.

    See Also
    --------
    llamaindex_vecx.index.hnsw.answer.answer : the other arguments, and what is returned.
    """
    shape = shape_of(blocks, queries.shape[1], metric, fine)
    whole = shape_of(blocks, queries.shape[1], metric, True)
    floats = seen_as(blocks, np.float32)
    words = seen_as(blocks, np.int32)
    row_of, twins = word_of_each(shape, words, ROW), word_of_each(shape, words, TWIN)
    size = shape.chunks * 128
    shared = chosen.shape[0] == 1
    group = max(min(stop - start, _GROUP), 1) if shared else np.int64(1)
    codes = np.empty((group, size), np.int8)
    prepared = np.zeros((group, size), np.float32)
    keys = np.empty((group, START + (width + 7) // 8 * 8), np.int64)
    known = np.empty((group, 3), np.float32)
    totals = np.empty(group, np.int64)
    numbers, weights = np.empty((2, _TILE), np.int32), np.empty((2, _TILE), np.float32)
    tile = Tile(numbers[0], weights[0], weights[1], numbers[1])
    enough = True
    doubt = _DOUBT * (np.float32(2.0) if metric == L2 else np.float32(1.0))
    doubt /= np.sqrt(np.float32(queries.shape[1]))
    for first in range(start, stop, group):
        last = min(first + group, stop)
        some = chosen[0 if shared else first]
        length = many[0 if shared else first]
        if shared or first == start:
            prefetch_nodes(shape, some, 0, min(_TILE, length))
        for i in range(first, last):
            j = i - first
            clear(keys[j])
            counts[i] = 0 if prepare(metric, queries[i], prepared[j]) else NOT_FINITE
            if counts[i] == 0:
                total, factor, norm, _ = encode(prepared[j], codes[j])
                totals[j], known[j, 0], known[j, 1] = total, factor, norm
        for low in range(0, length, _TILE):
            high = min(low + _TILE, length)
            following = some[high : min(high + _TILE, length)]
            if not shared and high == length and last < stop:
                following = chosen[last, : min(_TILE, many[last])]
            fill(shape, floats, tile, some[low:high])
            for i in range(first, last):
                if counts[i] == 0:
                    j = i - first
                    query = as_query(metric, address(codes[j]), totals[j], known[j, 0], known[j, 1])
                    scan_tile(shape, query, row_of, width, keys[j], tile, high - low, following)
                    following = following[:0]
        for i in range(first, last):
            if counts[i] == 0:
                j = i - first
                query = as_query(metric, address(codes[j]), totals[j], known[j, 0], known[j, 1])
                used = width
                if not fine:
                    used = refine(shape, whole, floats, query, known[j, 1], keys[j], width, k)
                sure = rerank(
                    whole, floats, query, prepared[j], known[j, 1], row_of, twins,
                    residuals, allowed, restricted, restricted, keys[j], used, k, best,
                )  # fmt: skip
                counts[i] = write_answer(metric, best, k, rows, scores, i)
                if not sure and used == width < length:
                    counts[i] = BLURRED
                last_key = best[START + k - 1]
                if cuts[i] < np.inf and last_key != NO_KEY:
                    norm = floats[key_slot(keys[j, START]), shape.column + 1]
                    if cuts[i] - key_distance(last_key) < doubt * np.sqrt(norm * known[j, 1]):
                        counts[i] = BLURRED
            enough &= counts[i] >= need
    return enough
