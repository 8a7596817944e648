"""To which nodes no path leads from the entry point, level by level.

Where removed nodes have left the lists, one may stand whom nobody lists any more, or a group of them.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address
from llamaindex_vecx.index.hnsw.layout import HEADER, Graph, column
from llamaindex_vecx.index.hnsw.search import lists_on, row_on
from llamaindex_vecx.index.simd import prefetch
from llamaindex_vecx.jit import inline, kernel

__all__ = ["lost"]

_AHEAD = 8  # lists asked for ahead of reading them


@inline
def spread(
    links: NDArray[np.int32],
    start: int,
    first: NDArray[np.int32],
    level: int,
    seen: NDArray[np.uint8],
    queue: NDArray[np.int32],
    done: int,
    used: int,
) -> int:
    """Breadth first from ``queue[done:used]`` on one level, marking in ``seen``; the new end of the queue."""
    while done < used:
        if done + _AHEAD < used:
            ahead = np.int64(queue[done + _AHEAD])
            where = address(links) + (row_on(level, first, ahead) * links.shape[1] + start) * 4
            prefetch(where)
            prefetch(where + 64)
        node = np.int64(queue[done])
        row = row_on(level, first, node)
        for j in range(links[row, start - 1]):
            slot = links[row, start + j]
            if not seen[slot]:
                seen[slot] = 1
                queue[used] = slot
                used += 1
        done += 1
    return used


@kernel
def find_lost(
    level: int,
    entry: int,
    top: int,
    standing: NDArray[np.uint8],
    words: NDArray[np.int32],
    header: int,
    upper: NDArray[np.int32],
    first: NDArray[np.int32],
    levels: NDArray[np.uint8],
    seen: NDArray[np.uint8],
    queue: NDArray[np.int32],
    lost: NDArray[np.int32],
) -> int:
    """Nodes that stand on a level and to which no path leads from the entry point, by way of higher levels.

    Of nodes that one of them leads to only this one is named.

    Parameters
    ----------
    words, header
        See :func:`~llamaindex_vecx.index.hnsw.search.lists_on`.
    seen, queue : uint8 and int32, shape (size,)
        Scratch.
    lost : int32, shape (size,)
        Written.

    Returns
    -------
    int
        How many there are.
    """
    seen[:] = 0
    seen[entry] = 1
    queue[0] = entry
    used = 1
    for at in range(top, level - 1, -1):
        links, start = lists_on(at, words, header, upper)
        used = spread(links, start, first, at, seen, queue, 0, used)
    links, start = lists_on(level, words, header, upper)
    many = 0
    for slot in range(standing.shape[0]):
        if standing[slot] and not seen[slot] and levels[slot] >= level:
            lost[many] = slot
            many += 1
            seen[slot] = 1
            queue[used] = slot
            used = spread(links, start, first, level, seen, queue, used, used + 1)
    return many


def lost(graph: Graph, dim: int, standing: NDArray[np.uint8], level: int) -> NDArray[np.int32]:
    """Nodes that stand on a level and to which no path leads; see :func:`find_lost`."""
    packed, size = int(graph.state[0]), len(standing)
    seen, (queue, found) = np.empty(size, np.uint8), np.empty((2, size), np.int32)
    count = find_lost(
        level, packed >> 8, packed & 255, standing, graph.blocks.view(np.int32), column(dim) + HEADER,
        graph.upper, graph.first, graph.levels, seen, queue, found,
    )  # fmt: skip
    return found[:count]
