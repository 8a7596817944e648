"""The traversal: Malkov & Yashunin (arXiv 1603.09320), section 4.2, algorithms 2 and 5.

Algorithm 2 keeps two heaps, the candidates C and the results W. Here both are one ascending buffer of
keys whose lowest bit says "expanded": the next candidate is the first key without it, and the search ends
when there is none, which is the paper's condition. How long the buffer may become is said by a
:class:`Reach`: ``ef``, as in the paper, or as far as :mod:`llamaindex_vecx.index.hnsw.reach` says.

Readers take no lock while one writer changes neighbour lists. An aligned int32 is never torn, every
value that a list ever held is a slot with a finished code, and a degree never exceeds the list's room.
So a list read halfway through a change is a mixture of two valid lists, and since a change leaves what
stays where it is (:func:`~llamaindex_vecx.index.hnsw.build.replace`), nothing that both hold is missed;
what is met twice carries the stamp the second time.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.hnsw.distance import (
    Batch,
    Query,
    Shape,
    estimate,
    estimate_many,
    prefetch_nodes,
)
from llamaindex_vecx.index.keys import (
    START,
    begin,
    close,
    insert_within,
    key_distance,
    key_slot,
    pack,
)
from llamaindex_vecx.index.simd import prefetch
from llamaindex_vecx.jit import inline

__all__ = [
    "Reach",
    "admissible",
    "descend",
    "lists_on",
    "next_epoch",
    "permitted",
    "row_on",
    "search_admissible",
    "search_level",
]

_EARLY = 12  # a walk takes some 13 times as many distances as it takes to meet the first ef
_ANYWAY = 100
_TOGETHER = 2  # candidates whose neighbours are measured in one batch


class Reach(NamedTuple):
    """Which nodes a walk keeps: the nearest ``room``, no farther than ``widening`` times the ``rank``-th.

    As long as that one is farther than ``floor``: below, estimates can't tell distances.
    """

    room: int
    rank: int
    widening: float
    floor: float


@inline
def farthest(keys: NDArray[np.int64], used: int, reach: Reach) -> float:
    """Up to which distance nodes are kept."""
    limit = np.float32(np.inf)
    if used >= reach.rank:
        distance = key_distance(keys[START + reach.rank - 1])
        if distance > reach.floor:
            limit = distance * reach.widening
    if used == reach.room:
        limit = min(limit, key_distance(keys[START + used - 1]))
    return limit


@inline
def next_epoch(visited: NDArray[np.uint8], epoch: NDArray[np.uint8]) -> int:
    """A stamp that no slot carries: forgetting all visits costs nothing 254 times out of 255."""
    if epoch[0] == 255:
        visited[:] = 0
        epoch[0] = 0
    epoch[0] += 1
    return epoch[0]


@inline
def lists_on(
    level: int, words: NDArray[np.int32], header: int, upper: NDArray[np.int32]
) -> tuple[NDArray[np.int32], int]:
    """The lists of a level, and where in a row of them the neighbours begin: behind the degree.

    Parameters
    ----------
    words, header : int32, shape (capacity, stride / 4)
        The blocks, and where in them the neighbours begin.
    """
    return (words, header) if level == 0 else (upper, np.int64(1))


@inline
def row_on(level: int, first: NDArray[np.int32], slot: int) -> int:
    """Which row of :func:`lists_on` is a node's."""
    return slot if level == 0 else first[slot] + level - 1


@inline
def unvisited(
    shape: Shape,
    links: NDArray[np.int32],
    row: int,
    start: int,
    visited: NDArray[np.uint8],
    stamp: int,
    batch: Batch,
    count: int,
) -> int:
    """Append the neighbours in ``links[row, start:]`` without this stamp to the batch, and stamp them.

    Without a branch on what is visited: every neighbour is written, only new ones move the end. Indices
    are unsigned, for numba looks whether a signed one counts from the end.
    """
    slots = batch.slots
    for j in range(links[row, start - 1]):
        slot = np.uint32(links[np.uint32(row), np.uint32(start + j)])
        slots[np.uint32(count)] = slot
        count += visited[slot] != stamp
        visited[slot] = stamp
    return count


@inline
def not_farther(batch: Batch, count: int, limit: float) -> int:
    """Where in the batch distances up to a limit, or NaN, stand: into ``products``; how many these are.

    Apart from what is done with them, because a branch on a distance is hard to foresee.
    """
    places, distances = batch.products, batch.distances
    found = 0
    for i in range(count):
        places[np.uint32(found)] = i
        found += not distances[np.uint32(i)] > limit
    return found


@inline
def prefetch_list(shape: Shape, start: int, key: int) -> None:
    """Ask for the neighbours of a candidate, behind the line that its distance has read."""
    where = shape.base + key_slot(key) * shape.stride + start * 4
    prefetch(where + 64)
    prefetch(where + 127)


@inline
def descend(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    upper: NDArray[np.int32],
    first: NDArray[np.int32],
    entry: int,
    top: int,
    bottom: int,
    batch: Batch,
) -> int:
    """Algorithm 5, lines 3 to 6: greedily to the nearest node of every level above ``bottom``."""
    best = entry
    nearest = estimate(shape, floats, query, best)
    for level in range(top, bottom, -1):
        moved = True
        while moved:
            moved = False
            row = row_on(level, first, best)
            count = np.int64(upper[row, 0])
            for i in range(count):
                batch.slots[i] = upper[row, 1 + i]
            prefetch_nodes(shape, batch.slots, 0, count)
            estimate_many(shape, floats, query, batch, count)
            for i in range(count):
                if batch.distances[i] < nearest:
                    best, nearest, moved = np.int64(batch.slots[i]), batch.distances[i], True
    return best


@inline
def search_level(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    links: NDArray[np.int32],
    start: int,
    first: NDArray[np.int32],
    level: int,
    entry: int,
    reach: Reach,
    keys: NDArray[np.int64],
    visited: NDArray[np.uint8],
    stamp: int,
    batch: Batch,
) -> int:
    """Algorithm 2: the nearest nodes of one level, into ``keys`` from :data:`START` on, ascending.

    Parameters
    ----------
    links, start : int32, shape (lists, …)
        The level's lists: the blocks from their header on, or the upper lists.

    Returns
    -------
    int
        How many they are.
    """
    begin(keys)
    key = pack(estimate(shape, floats, query, entry), entry << 1)
    insert_within(keys, np.int64(1), key)
    visited[entry] = stamp
    used, cursor = 1, 0
    limit = farthest(keys, used, reach)
    while cursor < used:
        count, fresh = 0, 0
        while cursor < used and fresh < _TOGETHER:
            key = keys[START + cursor]
            if key & 1 == 0:
                keys[START + cursor] = key | 1
                node = key_slot(key)
                row = row_on(level, first, node)
                old = count
                count = unvisited(shape, links, row, start, visited, stamp, batch, count)
                prefetch_nodes(shape, batch.slots, old, count)
                fresh += 1
            cursor += 1
        if fresh == 0:
            break
        estimate_many(shape, floats, query, batch, count)
        for j in range(not_farther(batch, count, limit)):
            i = np.uint32(batch.products[j])
            key = pack(batch.distances[i], np.int64(batch.slots[i]) << 1)
            if used < reach.room or key < keys[START + used - 1]:
                if level == 0:
                    prefetch_list(shape, start, key)
                used = min(used + 1, reach.room)
                cursor = min(cursor, insert_within(keys, used, key))
        limit = farthest(keys, used, reach)
        used = kept(keys, used, limit)
    close(keys, used)
    return used


@inline
def kept(keys: NDArray[np.int64], used: int, limit: float) -> int:
    """How many of the first keys are no farther than a limit."""
    while used > 0 and key_distance(keys[START + used - 1]) > limit:
        used -= 1
    return used


@inline
def admissible(
    slot: int,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
    allowed: NDArray[np.uint8],
    restricted: bool,
) -> bool:
    """Whether a node or one of its twins is there and allowed."""
    while slot >= 0:
        if permitted(rows[slot], allowed, restricted):
            return True
        slot = np.int64(twins[slot])
    return False


@inline
def permitted(row: int, allowed: NDArray[np.uint8], restricted: bool) -> bool:
    """Whether a row, as a slot has it, is there and allowed."""
    if row < 0 or not restricted:
        return row >= 0
    return row < allowed.shape[0] and allowed[row] != 0


@inline
def search_admissible(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    links: NDArray[np.int32],
    start: int,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
    allowed: NDArray[np.uint8],
    restricted: bool,
    entry: int,
    ef: int,
    reach: Reach,
    budget: int,
    keys: NDArray[np.int64],
    pool: NDArray[np.int64],
    visited: NDArray[np.uint8],
    stamp: int,
    batch: Batch,
) -> int:
    """Algorithm 2 on the lowest level, where only some nodes may be returned.

    All nodes are walked through, so the candidates (``pool``) stand apart from the results (``keys``).
    A candidate that is farther than results may be is never expanded, and leaves the pool; the farthest
    fall out of a full one.

    Returns
    -------
    int
        How many results there are, or -1 where more than ``budget`` distances are needed, or would be:
        where the query's region holds so few allowed nodes that the first ``ef`` were not met in a
        :data:`_EARLY`-th of the budget.
    """
    begin(keys)
    begin(pool)
    room = pool.shape[0] - START
    key = pack(estimate(shape, floats, query, entry), entry << 1)
    visited[entry] = stamp
    insert_within(pool, np.int64(1), key)
    met, used, cursor, left = 0, 1, 0, budget
    if admissible(entry, rows, twins, allowed, restricted):
        insert_within(keys, np.int64(1), key)
        met = 1
    found = met
    limit = farthest(keys, met, reach)
    doubtful = budget - max(budget // _EARLY, _ANYWAY)
    while cursor < used:
        count, fresh = 0, 0
        while cursor < used and fresh < _TOGETHER:
            key = pool[START + cursor]
            if key & 1 == 0:
                pool[START + cursor] = key | 1
                old = count
                count = unvisited(shape, links, key_slot(key), start, visited, stamp, batch, count)
                prefetch_nodes(shape, batch.slots, old, count)
                fresh += 1
            cursor += 1
        if fresh == 0:
            break
        left -= count
        if left < 0 or (left < doubtful and found < ef):
            return -1
        estimate_many(shape, floats, query, batch, count)
        for j in range(not_farther(batch, count, limit)):
            i = np.uint32(batch.products[j])
            slot = np.int64(batch.slots[i])
            key = pack(batch.distances[i], slot << 1)
            if met == reach.room and key >= keys[START + met - 1]:
                continue
            if used == room and key >= pool[START + room - 1]:
                continue
            prefetch_list(shape, start, key)
            used = min(used + 1, room)
            cursor = min(cursor, insert_within(pool, used, key))
            if admissible(slot, rows, twins, allowed, restricted):
                met = min(met + 1, reach.room)
                found += 1
                insert_within(keys, met, key)
        limit = farthest(keys, met, reach)
        met, used = kept(keys, met, limit), kept(pool, used, limit)
    close(keys, met)
    return met
