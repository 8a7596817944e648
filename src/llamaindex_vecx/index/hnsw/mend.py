"""Lists of neighbours without removed nodes.

A removed node is a passage until others come in its place. Then it leaves every list, and what stood
behind it comes in (FreshDiskANN, Singh et al., arXiv 2105.09613, algorithm 4): the candidates of a node are
its neighbours that stand and those of its removed neighbours, pruned as in an insertion.

That can cut a node off, as where a whole cluster went. So a node that has lost a third of its neighbours
is linked anew, and so is one to which no path leads (:mod:`llamaindex_vecx.index.hnsw.paths`).
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import seen_as
from llamaindex_vecx.index.batches import together
from llamaindex_vecx.index.hnsw.build import among, replace, select
from llamaindex_vecx.index.hnsw.distance import (
    Batch,
    Query,
    Shape,
    estimate_many,
    node_query,
    prefetch_nodes,
    shape_of,
)
from llamaindex_vecx.index.hnsw.layout import COARSE, HEADER, Graph, column
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.hnsw.search import lists_on, next_epoch, row_on
from llamaindex_vecx.index.hnsw.standing import standing_of
from llamaindex_vecx.index.keys import NO_KEY, START, clear, insert, key_slot, pack
from llamaindex_vecx.jit import inline, kernel

__all__ = ["mended", "parted_of"]

_THROUGH = 256  # removed nodes, at most, whose neighbours one node is offered


@kernel
def meets_removed(
    standing: NDArray[np.uint8],
    words: NDArray[np.int32],
    header: int,
    upper: NDArray[np.int32],
    first: NDArray[np.int32],
    levels: NDArray[np.uint8],
) -> bool:
    """Whether a node that stands lists one that doesn't.

    Parameters
    ----------
    words, header
        See :func:`~llamaindex_vecx.index.hnsw.search.lists_on`.
    """
    for slot in range(standing.shape[0]):
        if standing[slot]:
            for level in range(levels[slot] + 1):
                links, start = lists_on(level, words, header, upper)
                row = row_on(level, first, slot)
                for j in range(links[row, start - 1]):
                    if not standing[links[row, start + j]]:
                        return True
    return False


@inline
def part_list(
    links: NDArray[np.int32],
    row: int,
    start: int,
    standing: NDArray[np.uint8],
    visited: NDArray[np.uint8],
    stamp: int,
    slots: NDArray[np.int32],
    gone: NDArray[np.int32],
    found: int,
) -> tuple[int, int]:
    """Neighbours without this stamp: those that stand into ``slots``, others into ``gone`` from ``found``.

    Returns how many are in ``slots`` and in ``gone``, which takes as many as it has room for.
    """
    count = 0
    for j in range(links[row, start - 1]):
        slot = links[row, start + j]
        if visited[slot] == stamp:
            continue
        visited[slot] = stamp
        if standing[slot]:
            slots[count] = slot
            count += 1
        elif found < gone.shape[0]:
            gone[found] = slot
            found += 1
    return count, found


@inline
def offer(
    shape: Shape,
    floats: NDArray[np.float32],
    base: Query,
    batch: Batch,
    count: int,
    keys: NDArray[np.int64],
) -> None:
    """Measure the nodes of a batch and make them candidates."""
    prefetch_nodes(shape, batch.slots, 0, count)
    estimate_many(shape, floats, base, batch, count)
    for i in range(count):
        insert(keys, pack(batch.distances[i], np.int64(batch.slots[i]) << 1))


@inline
def take_others(keys: NDArray[np.int64], room: int, chosen: NDArray[np.int32], count: int) -> int:
    """Append the nearest candidates that weren't chosen, up to ``room``; how many they are then.

    Malkov & Yashunin's ``keepPrunedConnections``: what is left after a few rounds would be too little.
    """
    for i in range(START, keys.shape[0]):
        if keys[i] == NO_KEY or count >= room:
            break
        slot = np.int32(key_slot(keys[i]))
        if not among(chosen, count, slot):
            chosen[count] = slot
            count += 1
    return count


@inline
def lists_removed(
    links: NDArray[np.int32], row: int, start: int, standing: NDArray[np.uint8]
) -> bool:
    """Whether one of a list doesn't stand."""
    most = np.uint8(1)
    for j in range(links[row, start - 1]):
        most &= standing[np.uint32(links[row, start + j])]
    return most == 0


@kernel
def mend_lists(
    metric: int,
    fine: bool,
    M: int,
    full: bool,
    begin: int,
    stop: int,
    standing: NDArray[np.uint8],
    blocks: NDArray[np.uint8],
    upper: NDArray[np.int32],
    first: NDArray[np.int32],
    levels: NDArray[np.uint8],
    dim: int,
    visited: NDArray[np.uint8],
    epoch: NDArray[np.uint8],
    code: NDArray[np.uint8],
    node_code: NDArray[np.uint8],
    slots: NDArray[np.int32],
    products: NDArray[np.int32],
    distances: NDArray[np.float32],
    chosen: NDArray[np.int32],
    few: NDArray[np.int64],
    poor: NDArray[np.int32],
) -> int:
    """Take removed nodes out of the lists of the slots from ``begin`` to ``stop``.

    Lists of removed nodes are read and never changed, those of others changed and never read: threads may
    share the slots.

    Parameters
    ----------
    full : bool
        Fill all places of removed nodes, as far as there are candidates, not only the first M.
    standing : uint8, shape (size,)
        See :func:`~llamaindex_vecx.index.hnsw.standing.standing_of`.
    visited … few
        Scratch of this thread.
    poor : int32, shape (stop - begin,)
        Written: slots that have lost more than a third of their neighbours on a level.

    Returns
    -------
    int
        How many these are.
    """
    shape = shape_of(blocks, dim, metric, fine)
    floats = seen_as(blocks, np.float32)
    words = seen_as(blocks, np.int32)
    header = shape.column + HEADER
    batch = Batch(slots, products, distances)
    gone = np.empty(_THROUGH, np.int32)
    many = 0
    for slot in range(begin, stop):
        if not standing[slot]:
            continue
        starved = False
        for level in range(levels[slot] + 1):
            links, start = lists_on(level, words, header, upper)
            row = row_on(level, first, slot)
            if not lists_removed(links, row, start, standing):
                continue
            stamp = next_epoch(visited, epoch)
            visited[slot] = stamp
            degree = np.int64(links[row, start - 1])
            count, found = part_list(
                links, row, start, standing, visited, stamp, chosen, gone, np.int64(0)
            )
            starved |= 3 * (degree - count) > degree
            room = degree if full or degree < M else np.int64(M)
            if count < room:
                clear(few)
                base = node_query(shape, blocks, slot, node_code)
                direct, i, total = found, 0, count
                while i < found and (i < direct or total < degree):
                    through = np.int64(gone[i])
                    via = row_on(level, first, through)
                    fresh, found = part_list(
                        links, via, start, standing, visited, stamp, slots, gone, found
                    )
                    offer(shape, floats, base, batch, fresh, few)
                    total += fresh
                    i += 1
                count = select(shape, blocks, floats, few, room, code, chosen, count, products)
                count = take_others(few, room, chosen, count)
            replace(links, row, start, chosen, count)
        if starved:
            poor[many] = slot
            many += 1
    return many


def mended(
    graph: Graph,
    metric: int,
    dim: int,
    M: int,
    standing: NDArray[np.uint8],
    full: bool,
    pool: Pool,
    threads: int,
) -> NDArray[np.int32]:
    """Mend every list; which slots have lost a third of theirs. See :func:`mend_lists`."""
    size = len(standing)
    poor = np.empty(size, np.int32)
    edges = [size * i // threads for i in range(threads + 1)]
    counts = [0] * threads

    def work(i: int) -> None:
        begin, stop = edges[i : i + 2]
        scratch = pool.take(len(graph.blocks))
        counts[i] = mend_lists(
            metric, not graph.state[COARSE], M, full, begin, stop, standing, graph.blocks,
            graph.upper, graph.first, graph.levels, dim, scratch.visited, scratch.epoch,
            scratch.code, scratch.node_code, scratch.slots, scratch.products, scratch.distances,
            scratch.chosen, scratch.few, poor[begin:stop],
        )  # fmt: skip
        pool.give(scratch)

    together([partial(work, i) for i in range(threads)])
    return np.concatenate(
        [poor[begin : begin + n] for begin, n in zip(edges, counts, strict=False)]
    )


def parted_of(graph: Graph, dim: int, alive: int) -> int:
    """How many removed slots no walk meets: all, or none where one of them is met."""
    size = len(graph.blocks)
    if alive == size:
        return 0
    standing = standing_of(graph, size)
    words, header = graph.blocks.view(np.int32), column(dim) + HEADER
    met = not standing[graph.state[0] >> 8] or meets_removed(
        standing, words, header, graph.upper, graph.first, graph.levels
    )
    return 0 if met else size - alive
