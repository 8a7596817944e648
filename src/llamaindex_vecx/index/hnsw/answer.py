"""From queries to rows: the kernel behind :meth:`HNSW.search`."""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, seen_as
from llamaindex_vecx.index.exact import NOT_FINITE, prepare, write_answer
from llamaindex_vecx.index.hnsw.distance import (
    as_query,
    encode,
    shape_of,
    standard_error,
    word_of_each,
)
from llamaindex_vecx.index.hnsw.layout import FIRST, HEADER, ROW, TWIN
from llamaindex_vecx.index.hnsw.places import graph_at, walk_at
from llamaindex_vecx.index.hnsw.reach import ROOM
from llamaindex_vecx.index.hnsw.refine import refine
from llamaindex_vecx.index.hnsw.rerank import is_blurred, rerank
from llamaindex_vecx.index.hnsw.scan import BLURRED
from llamaindex_vecx.index.hnsw.search import (
    Reach,
    descend,
    next_epoch,
    search_admissible,
    search_level,
)
from llamaindex_vecx.index.hnsw.standing import stands
from llamaindex_vecx.index.keys import START, clear, key_slot
from llamaindex_vecx.jit import inline, kernel

__all__ = ["answer"]

_WIDEST = 1024  # candidates from which on a blurred answer is left as it is
_TOLD = np.float32(3.0)  # standard errors that a distance must have to be a measure of others


@inline
def enough_stand(
    keys: NDArray[np.int64],
    rank: int,
    spare: int,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
) -> bool:
    """Whether no more than ``spare`` of the first ``rank`` candidates are removed."""
    removed = 0
    for i in range(START, START + rank):
        removed += not stands(key_slot(keys[i]), rows, twins)
    return removed <= spare


@kernel
def answer(
    metric: int,
    fine: bool,
    queries: NDArray[np.float32],
    start: int,
    stop: int,
    k: int,
    ef: int,
    rank: int,
    widening: float,
    budget: int,
    filtered: bool,
    spare: int,
    restricted: bool,
    allowed: NDArray[np.uint8],
    graph: NDArray[np.int64],
    walk: NDArray[np.int64],
    rows: NDArray[np.int64],
    scores: NDArray[np.float32],
    counts: NDArray[np.int64],
    need: int,
) -> bool:
    """Answer the queries from ``start`` to ``stop`` (paper: algorithm 5).

    Parameters
    ----------
    queries : float32, shape (q, dim)
        As the caller gave them.
    rank, widening : int, float
        See :mod:`llamaindex_vecx.index.hnsw.reach`.
    filtered : bool
        Not every node may be returned.
    spare : int
        Candidates beyond ``rank`` of a walk that passes over what may not: where these are few it is the
        faster one, and where they aren't, the other follows. 0 is the other at once.
    restricted : bool
        ``allowed`` says which rows may; else all that weren't removed.
    budget : int
        Distances after which a filtered search gives up.
    graph : int64
        See :func:`~llamaindex_vecx.index.hnsw.places.places_of`.
    walk : int64
        See :class:`~llamaindex_vecx.index.hnsw.scratch.Scratch`.
    rows, scores : int64 and float32, shape (q, k)
        Written.
    counts : int64, shape (q,)
        Written: how many were found, or :data:`NOT_FINITE` or :data:`BLURRED`.
    need : int
        How many must be found.

    Returns
    -------
    bool
        Whether that many were, for every query.
    """
    enough = True
    blocks, upper, _, residuals, state = graph_at(graph)
    shape = shape_of(blocks, queries.shape[1], metric, fine)
    whole = shape_of(blocks, queries.shape[1], metric, True)
    floats = seen_as(blocks, np.float32)
    links = seen_as(blocks, np.int32)
    row_of = word_of_each(shape, links, ROW)
    twins = word_of_each(shape, links, TWIN)
    first = word_of_each(shape, links, FIRST)
    start_of_list = shape.column + HEADER
    visited, epoch, code, prepared, batch, keys, pool, best = walk_at(walk)
    for i in range(start, stop):
        if not prepare(metric, queries[i], prepared):
            counts[i] = NOT_FINITE
            enough = False
            continue
        blurred = False
        clear(best)
        packed = state[0]
        if packed >= 0:
            total, factor, norm, _ = encode(prepared, code)
            query = as_query(metric, address(code), total, factor, norm)
            level = packed & np.int64(255)
            entry = descend(
                shape, floats, query, upper, first, packed >> np.int64(8), level, np.int64(0), batch
            )
            stamp = next_epoch(visited, epoch)
            floor = np.float32(-np.inf)
            room = ef
            if widening > 1.0:
                floor = _TOLD * standard_error(shape, floats, query, norm, entry)
                room = ROOM * ef
            used = -1
            if not filtered or spare > 0:
                reach = Reach(room + spare, rank + spare, np.float32(widening), floor)
                used = search_level(
                    shape, floats, query, links, start_of_list, first, np.int64(0), entry, reach,
                    keys, visited, stamp, batch,
                )  # fmt: skip
                few = min(rank + spare, used)
                if filtered and not enough_stand(keys, few, spare, row_of, twins):
                    used = -1
                    stamp = next_epoch(visited, epoch)
            if used < 0:
                reach = Reach(room, rank, np.float32(widening), floor)
                used = search_admissible(
                    shape, floats, query, links, start_of_list, row_of, twins, allowed,
                    restricted, entry, ef, reach, budget, keys, pool, visited, stamp, batch,
                )  # fmt: skip
            if used >= 0:
                if not fine:
                    used = refine(shape, whole, floats, query, norm, keys, used, k + spare)
                rerank(
                    whole, floats, query, prepared, norm, row_of, twins, residuals,
                    allowed, restricted, True, keys, used, k, best,
                )  # fmt: skip
                if ef < _WIDEST and ef <= used:  # else what is left out is surely farther
                    blurred = is_blurred(whole, floats, query, norm, keys, ef)
        counts[i] = write_answer(metric, best, k, rows, scores, i)
        if blurred:
            counts[i] = BLURRED
        enough &= counts[i] >= need
    return enough
