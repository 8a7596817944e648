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

from llamaindex_vecx.index.hnsw.distance import Query, Shape, estimate, node_query, shape_of
from llamaindex_vecx.index.hnsw.search import descend, next_epoch, search_level
from llamaindex_vecx.index.keys import NO_KEY, START, clear, insert, key_distance, key_slot, pack
from llamaindex_vecx.index.simd import address, fetch_add, release, try_acquire
from llamaindex_vecx.jit import inline, kernel

__all__ = ["insert_nodes"]

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
        if equal:
            return other
    return -1


@inline
def select(
    shape: Shape,
    blocks: NDArray[np.uint8],
    floats: NDArray[np.float32],
    keys: NDArray[np.int64],
    room: int,
    links: NDArray[np.int32],
    row: int,
    start: int,
    code: NDArray[np.uint8],
) -> None:
    """Algorithm 4: write at most ``room`` of the candidates to ``links[row, start:]``.

    A candidate is kept if it is nearer to the base than to every neighbour kept before it.
    """
    count = 0
    for i in range(START, keys.shape[0]):
        if keys[i] == NO_KEY or count == room:
            break
        slot = key_slot(keys[i])
        limit = key_distance(keys[i])
        candidate = node_query(shape, blocks, slot, code)
        keep = True
        for j in range(count):
            if estimate(shape, floats, candidate, np.int64(links[row, start + j])) < limit:
                keep = False
                break
        if keep:
            links[row, start + count] = slot
            count += 1
    links[row, start - 1] = count


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
    keys: NDArray[np.int64],
    node_code: NDArray[np.uint8],
    code: NDArray[np.uint8],
) -> None:
    """Add ``slot`` to the list of ``node`` (algorithm 1, lines 11 to 16), pruned by algorithm 4."""
    degree = links[row, start - 1]
    if degree < room:
        links[row, start + degree] = slot
        links[row, start - 1] = degree + 1
        return
    base = node_query(shape, blocks, node, node_code)
    clear(keys)
    insert(keys, pack(estimate(shape, floats, base, slot), slot << 1))
    for j in range(degree):
        other = np.int64(links[row, start + j])
        insert(keys, pack(estimate(shape, floats, base, other), other << 1))
    select(shape, blocks, floats, keys, room, links, row, start, code)


@kernel
def insert_nodes(
    metric: int,
    M: int,
    ef: int,
    stop: int,
    blocks: NDArray[np.uint8],
    upper: NDArray[np.int32],
    first: NDArray[np.int32],
    levels: NDArray[np.uint8],
    twins: NDArray[np.int32],
    vectors: NDArray[np.float32],
    state: NDArray[np.int64],
    locks: NDArray[np.int32],
    visited: NDArray[np.uint8],
    epoch: NDArray[np.uint8],
    code: NDArray[np.uint8],
    node_code: NDArray[np.uint8],
    own_code: NDArray[np.uint8],
    slots: NDArray[np.int32],
    keys: NDArray[np.int64],
    few: NDArray[np.int64],
) -> None:
    """Algorithm 1 for the slots from ``state[2]`` to ``stop``; several threads may share the work.

    Parameters
    ----------
    blocks … state
        See :class:`~llamaindex_vecx.index.hnsw.layout.Graph`; codes and rows are in place, lists empty.
    locks : int32, shape (capacity,)
        Zeros.
    visited … few
        Scratch of this thread.
    """
    shape = shape_of(blocks, vectors.shape[1], metric)
    floats = blocks.view(np.float32)
    words = blocks.view(np.int32)
    lock = address(locks)
    entry_lock = address(state) + 8
    header = shape.column + 4
    while True:
        slot = fetch_add(address(state) + 16, 1)
        if slot >= stop:
            break
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
            shape, floats, query, upper, first, packed >> np.int64(8), top, min(level, top)
        )
        twin = np.int64(-1)
        for at in range(min(level, top), -1, -1):
            links, start = (words, header) if at == 0 else (upper, np.int64(1))
            stamp = next_epoch(visited, epoch)
            search_level(
                shape, floats, query, links, start, first, at, node, ef, keys, visited, stamp, slots
            )
            node = key_slot(keys[START])
            if at == 0:
                twin = find_twin(shape, blocks, floats, query, slot, keys)
                if twin >= 0:
                    break
            row = slot if at == 0 else first[slot] + at - 1
            select(shape, blocks, floats, keys, M, links, row, start, code)
        if twin >= 0:
            acquire(lock + 4 * twin)
            twins[slot] = twins[twin]
            twins[twin] = slot
            release(lock + 4 * twin)
        else:
            for at in range(min(level, top), -1, -1):
                links, start = (words, header) if at == 0 else (upper, np.int64(1))
                own = slot if at == 0 else first[slot] + at - 1
                room = 2 * M if at == 0 else M
                for j in range(links[own, start - 1]):
                    node = np.int64(links[own, start + j])
                    row = node if at == 0 else first[node] + at - 1
                    acquire(lock + 4 * node)
                    connect(
                        shape, blocks, floats, links, row, start, room, node, slot, few,
                        node_code, code,
                    )  # fmt: skip
                    release(lock + 4 * node)
            if level > top:
                state[0] = (slot << 8) | level
        if alone:
            release(entry_lock)
