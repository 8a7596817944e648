"""Insertion: Malkov & Yashunin (arXiv 1603.09320), algorithms 1 and 4.

A new node's own lists are finished on every level before any other node points to it, so whoever finds
it can go on from it, also while several threads insert. Lists are changed under a lock of their node.

*Twins.* Equal vectors, thousands of them, break every neighbour-selection rule: keep them all and a list
holds nothing else, drop them and most have no way in. So a node whose code another node has already
(equal vectors, or nearer than the code can tell) gets no lists: it hangs in a chain on the first, which
stands for all of them in the traversal. The rerank measures each.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, seen_as
from llamaindex_vecx.index.hnsw.atomics import fetch_add, release, try_acquire
from llamaindex_vecx.index.hnsw.distance import (
    Batch,
    Query,
    Shape,
    estimate,
    estimate_many,
    from_product,
    multiply,
    node_query,
    prefetch_node,
    prefetch_nodes,
    shape_of,
    word_of_each,
)
from llamaindex_vecx.index.hnsw.layout import FIRST, HEADER, ROW, TWIN
from llamaindex_vecx.index.hnsw.search import (
    Reach,
    descend,
    lists_on,
    next_epoch,
    row_on,
    search_level,
)
from llamaindex_vecx.index.hnsw.standing import leave_standing, stands
from llamaindex_vecx.index.keys import NO_KEY, START, clear, insert, key_distance, key_slot, pack
from llamaindex_vecx.index.simd import ROWS
from llamaindex_vecx.jit import inline, kernel, part
from llamaindex_vecx.metrics import IP

__all__ = ["insert_nodes"]

_ALPHA = np.float32(1.1)
_SAMPLED = 64  # every so manieth node tells how blurred the data looks
_NEAREST, _NEAR = (
    10,
    30,
)  # candidates left out, which are an answer, and those that compete with them
_LOGARITHMS = float(np.log((_NEAREST + _NEAR) / np.arange(_NEAREST, _NEAREST + _NEAR)).sum())
_STEEPEST = 1000.0
_WIDER = 4  # times as many candidates, where most of them are removed
_SAME = np.float32(1.0 / 8192.0)  # of a length: below what eight bits can tell


@inline
def acquire(where: int) -> None:
    """Spin until the lock at an address is ours. It is held for microseconds."""
    while not try_acquire(where):
        pass


@inline
def find_twin(
    shape: Shape,
    blocks: NDArray[np.uint8],
    floats: NDArray[np.float32],
    query: Query,
    slot: int,
    keys: NDArray[np.int64],
) -> int:
    """The candidate whose code is that of ``slot``, or -1."""
    own = estimate(shape, floats, query, slot)
    factor = floats[slot, shape.column]
    slack = _SAME * floats[slot, shape.column + 1]
    for i in range(START, keys.shape[0]):
        if keys[i] == NO_KEY:
            break
        if abs(key_distance(keys[i]) - own) > slack:
            continue
        other = key_slot(keys[i])
        if abs(floats[other, shape.column] - factor) > _SAME * factor:
            continue
        equal = True
        for j in range(shape.chunks * 64):
            equal &= blocks[slot, j] == blocks[other, j]
            equal &= blocks[slot, shape.lower + j] == blocks[other, shape.lower + j]
        if equal:
            return other
    return -1


@part
def select(
    shape: Shape,
    blocks: NDArray[np.uint8],
    floats: NDArray[np.float32],
    keys: NDArray[np.int64],
    room: int,
    code: NDArray[np.uint8],
    chosen: NDArray[np.int32],
    count: int,
    products: NDArray[np.int32],
) -> int:
    """Algorithm 4: ``chosen[:count]`` and at most ``room`` with candidates after them; how many.

    A candidate is kept if it is nearer to the base than to every neighbour kept before it, or not farther
    by more than :data:`_ALPHA` (Vamana's, Subramanya et al. 2019): a few more, longer edges, and so fewer
    hops. Inner products are no distances: there it is 1. It is, too, where a traversal needs all eight
    bits: neighbours lie at nearly one distance there, and a list would be full before its farther ones.
    """
    alpha = _ALPHA if shape.metric != IP and shape.read == 0 else np.float32(1.0)
    for i in range(START, keys.shape[0]):
        if keys[i] == NO_KEY or count >= room:
            break
        if i + 1 < keys.shape[0] and keys[i + 1] != NO_KEY:
            prefetch_node(shape, key_slot(keys[i + 1]))
        slot = key_slot(keys[i])
        candidate = node_query(shape, blocks, slot, code)
        limit = key_distance(keys[i]) / alpha
        if not any_nearer(shape, floats, candidate, chosen, count, limit, products):
            chosen[count] = slot
            count += 1
    return count


@inline
def any_nearer(
    shape: Shape,
    floats: NDArray[np.float32],
    query: Query,
    slots: NDArray[np.int32],
    count: int,
    limit: float,
    products: NDArray[np.int32],
) -> bool:
    """Whether one of ``slots[:count]`` is nearer than ``limit``; a few are looked at together."""
    for i in range(count, (count + ROWS - 1) // ROWS * ROWS):
        slots[i] = slots[0]
    for j in range(0, count, ROWS):
        multiply(shape, query, address(slots) + 4 * j, address(products))
        for i in range(ROWS):
            if from_product(shape, floats, query, np.int64(slots[j + i]), products[i]) < limit:
                return True
    return False


@inline
def blur(
    upper: Shape,
    whole: Shape,
    floats: NDArray[np.float32],
    query: Query,
    keys: NDArray[np.int64],
    used: int,
) -> float:
    """How much four bits blur the order of the nearest candidates.

    The error of estimates by the upper halves, as a share of how far these candidates lie apart; at most 1.
    """
    if used <= _NEAREST + _NEAR:
        return 0.0
    last = START + _NEAREST + _NEAR
    squares = 0.0
    nearest, farthest = np.inf, -np.inf
    for i in range(START + _NEAREST, last):
        slot = key_slot(keys[i])
        distance = np.float64(estimate(whole, floats, query, slot))
        squares += (estimate(upper, floats, query, slot) - distance) ** 2
        nearest, farthest = min(nearest, distance), max(farthest, distance)
    error, apart = np.sqrt(squares / _NEAR), farthest - nearest
    return 1.0 if error >= apart else error / apart


@inline
def growth(keys: NDArray[np.int64], used: int) -> float:
    """With which power of the distance the number of candidates grows (Levina & Bickel 2004, equation 8).

    By those around the ones that are an answer. At most :data:`_STEEPEST`, and 0 where it can't be told.
    """
    if used < _NEAREST + _NEAR:
        return 0.0
    last = START + _NEAREST + _NEAR - 1
    farthest, total = np.float64(key_distance(keys[last])), 0.0
    for i in range(START + _NEAREST - 1, last):
        distance = np.float64(key_distance(keys[i]))
        if distance <= 0.0:
            return 0.0
        total += np.log(farthest / distance)
    return min(_STEEPEST, _LOGARITHMS / total) if total > 0.0 else _STEEPEST


@part
def replace(
    links: NDArray[np.int32], row: int, start: int, chosen: NDArray[np.int32], count: int
) -> None:
    """Make a list hold ``chosen[:count]``.

    What stays keeps its place until its new place is written, for readers who are in the list now.
    """
    degree = np.int64(links[row, start - 1])
    fresh = next_fresh(links, row, start, degree, chosen, np.int64(0), count)
    place = 0
    while place < degree:
        slot = links[row, start + place]
        if among(chosen, count, slot):
            place += 1
        elif fresh < count:
            links[row, start + place] = chosen[fresh]
            fresh = next_fresh(links, row, start, degree, chosen, fresh + 1, count)
        else:
            degree -= 1
            links[row, start + place] = links[row, start + degree]
    while fresh < count:
        links[row, start + degree] = chosen[fresh]
        degree += 1
        fresh = next_fresh(links, row, start, degree, chosen, fresh + 1, count)
    links[row, start - 1] = count


@inline
def among(chosen: NDArray[np.int32], count: int, slot: int) -> bool:
    """Whether ``slot`` is in ``chosen[:count]``."""
    found = False
    for i in range(count):
        found |= chosen[i] == slot
    return found


@inline
def next_fresh(
    links: NDArray[np.int32],
    row: int,
    start: int,
    degree: int,
    chosen: NDArray[np.int32],
    place: int,
    count: int,
) -> int:
    """Where in ``chosen[place:count]`` the first stands that isn't in a list; ``count`` if all are."""
    while place < count and holds(links, row, start, degree, chosen[place]):
        place += 1
    return place


@inline
def holds(links: NDArray[np.int32], row: int, start: int, degree: int, slot: int) -> bool:
    """Whether ``slot`` is in a list."""
    found = False
    for j in range(degree):
        found |= links[row, start + j] == slot
    return found


@inline
def connect(
    shape: Shape,
    blocks: NDArray[np.uint8],
    floats: NDArray[np.float32],
    links: NDArray[np.int32],
    row: int,
    start: int,
    room: int,
    node: int,
    slot: int,
    must: bool,
    keys: NDArray[np.int64],
    node_code: NDArray[np.uint8],
    code: NDArray[np.uint8],
    chosen: NDArray[np.int32],
    batch: Batch,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
    removed: bool,
) -> bool:
    """Add ``slot`` to the list of ``node`` (algorithm 1, lines 11 to 16), pruned by algorithm 4.

    A full list lets go of nodes that are ``removed``, if any are. Where all that a node has chosen prefer
    others to it, as where it is the first of a cluster that comes late, the nearest ``must`` take it.

    Returns
    -------
    bool
        Whether it is in the list then.
    """
    degree = np.int64(links[row, start - 1])
    if degree < room:
        links[row, start + degree] = slot
        links[row, start - 1] = degree + 1
        return True
    for j in range(degree):
        batch.slots[j] = links[row, start + j]
    batch.slots[degree] = slot
    prefetch_nodes(shape, batch.slots, 0, degree + 1)
    base = node_query(shape, blocks, node, node_code)
    estimate_many(shape, floats, base, batch, degree + 1)
    clear(keys)
    chosen[0] = slot
    for j in range(degree if must else degree + 1):
        if not removed or stands(np.int64(batch.slots[j]), rows, twins):
            insert(keys, pack(batch.distances[j], np.int64(batch.slots[j]) << 1))
    count = select(shape, blocks, floats, keys, room, code, chosen, np.int64(must), batch.products)
    replace(links, row, start, chosen, count)
    return among(chosen, count, slot)


@part
def keep_old(
    links: NDArray[np.int32],
    row: int,
    start: int,
    room: int,
    rows: NDArray[np.int32],
    twins: NDArray[np.int32],
    chosen: NDArray[np.int32],
    count: int,
) -> int:
    """Append to ``chosen[:count]`` what else stands in a list, while there is room; how many then."""
    for j in range(links[row, start - 1]):
        slot = links[row, start + j]
        there = among(chosen, count, slot) or not stands(np.int64(slot), rows, twins)
        if not there and count < room:
            chosen[count] = slot
            count += 1
    return count


@kernel
def insert_nodes(
    metric: int,
    fine: bool,
    M: int,
    ef: int,
    stop: int,
    blocks: NDArray[np.uint8],
    upper: NDArray[np.int32],
    levels: NDArray[np.uint8],
    dim: int,
    state: NDArray[np.int64],
    locks: NDArray[np.int32],
    visited: NDArray[np.uint8],
    epoch: NDArray[np.uint8],
    code: NDArray[np.uint8],
    node_code: NDArray[np.uint8],
    own_code: NDArray[np.uint8],
    slots: NDArray[np.int32],
    products: NDArray[np.int32],
    distances: NDArray[np.float32],
    chosen: NDArray[np.int32],
    keys: NDArray[np.int64],
    few: NDArray[np.int64],
    noise: NDArray[np.float64],
    removed: int,
    choose: int,
    again: NDArray[np.int32],
) -> None:
    """Algorithm 1 for the slots from ``state[2]`` to ``stop``; several threads may share the work.

    Removed nodes are walked through, and nothing is linked to them. Where they are most of what is found,
    the search is widened until enough others are.

    Parameters
    ----------
    blocks … state
        See :class:`~llamaindex_vecx.index.hnsw.layout.Graph`; codes and rows are in place, lists empty.
    locks : int32, shape (capacity,)
        Zeros.
    visited … few
        Scratch of this thread.
    noise : float64, shape (3,)
        Added to: what :func:`blur` said, how often it was asked, and what :func:`growth` said as often.
    removed : int
        Nodes that a walk may meet although they are removed; ``keys`` has room for ``ef`` and as many.
    choose : int
        Neighbours on the lowest level, at most, up to 2M; M are the paper's.
    again : int32, shape (n,)
        Linked anew instead, from ``state[2]`` to ``stop`` of these; they keep the neighbours they have. Empty
        for an insertion.
    """
    whole = shape_of(blocks, dim, metric, True)
    coarse = shape_of(blocks, dim, metric, False)
    shape = whole if fine else coarse
    floats = seen_as(blocks, np.float32)
    words = seen_as(blocks, np.int32)
    lock = address(locks)
    entry_lock = address(state) + 8
    header = shape.column + HEADER
    rows = word_of_each(shape, words, ROW)
    twins = word_of_each(shape, words, TWIN)
    first = word_of_each(shape, words, FIRST)
    batch = Batch(slots, products, distances)
    anew = again.shape[0] > 0
    while True:
        slot = fetch_add(address(state) + 16, 1)
        if slot >= stop:
            break
        if anew:
            slot = np.int64(again[slot])
        level = np.int64(levels[slot])
        alone = state[0] < 0 or level > (state[0] & np.int64(255))
        if alone:  # it may become the entry point: one at a time
            acquire(entry_lock)
        packed = state[0]
        if packed < 0:
            state[0] = (slot << 8) | level
            release(entry_lock)
            continue
        top = packed & np.int64(255)
        query = node_query(shape, blocks, slot, own_code)
        node = descend(
            shape, floats, query, upper, first, packed >> np.int64(8), top, min(level, top), batch
        )
        twin = np.int64(-1)
        for at in range(min(level, top), -1, -1):
            links, start = lists_on(at, words, header, upper)
            wide = ef
            while True:
                reach = Reach(wide, wide, np.float32(1.0), np.float32(-np.inf))
                stamp = next_epoch(visited, epoch)
                used = search_level(
                    shape, floats, query, links, start, first, at, node, reach, keys, visited,
                    stamp, batch,
                )  # fmt: skip
                nearest = key_slot(keys[START])
                if removed == 0 and not anew:
                    break
                full = used == wide
                used = leave_standing(keys, used, slot, rows, twins)
                if not full or 2 * used >= ef or wide == ef + removed:
                    break
                wide = min(_WIDER * wide, ef + removed)
            node = nearest
            if at == 0:
                if slot % _SAMPLED == 0 and not anew:
                    noise[0] += blur(coarse, whole, floats, query, keys, used)
                    noise[1] += 1.0
                    noise[2] += growth(keys, used)
                twin = np.int64(-1)
                if not anew:
                    twin = find_twin(shape, blocks, floats, query, slot, keys)
                if twin >= 0:
                    break
            row = row_on(at, first, slot)
            room, wish = (2 * M, choose) if at == 0 else (M, M)
            count = select(shape, blocks, floats, keys, wish, code, chosen, np.int64(0), products)
            if anew:
                count = keep_old(links, row, start, room, rows, twins, chosen, count)
            replace(links, row, start, chosen, count)
        if twin >= 0:
            acquire(lock + 4 * twin)
            twins[slot] = twins[twin]
            twins[twin] = slot
            release(lock + 4 * twin)
        else:
            for at in range(min(level, top), -1, -1):
                links, start = lists_on(at, words, header, upper)
                own = row_on(at, first, slot)
                room = 2 * M if at == 0 else M
                listed = False
                degree = np.int64(links[own, start - 1])
                for j in range(degree + 1):
                    must = j == degree
                    if must and (listed or at > 0 or keys[START] == NO_KEY):
                        break
                    node = key_slot(keys[START]) if must else np.int64(links[own, start + j])
                    row = row_on(at, first, node)
                    acquire(lock + 4 * node)
                    if anew and holds(links, row, start, links[row, start - 1], slot):
                        listed = True
                    else:
                        listed |= connect(
                            shape, blocks, floats, links, row, start, room, node, slot, must, few,
                            node_code, code, chosen, batch, rows, twins, removed > 0,
                        )  # fmt: skip
                    release(lock + 4 * node)
            if level > top:
                state[0] = (slot << 8) | level
        if alone:
            release(entry_lock)
