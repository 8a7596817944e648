"""Python threads over kernels that let go of the GIL."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

__all__ = ["each_range", "together"]

_LEAST = 8  # queries that are worth a thread


def each_range(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """Call ``work(start, stop)`` over the parts of ``range(count)``, in up to ``threads`` threads."""
    if threads == 1 or count < 2 * _LEAST:
        work(0, count)
        return
    threads = min(threads, count // _LEAST)
    edges = [count * i // threads for i in range(threads + 1)]
    together([lambda a=a, b=b: work(a, b) for a, b in itertools.pairwise(edges)])  # type: ignore[misc]


def together(calls: list[Callable[[], None]]) -> None:
    """Run the calls at the same time; returns when all have, and raises what the first one raised."""
    if len(calls) == 1:
        calls[0]()
        return
    with ThreadPoolExecutor(len(calls) - 1) as pool:
        futures = [pool.submit(call) for call in calls[1:]]
        calls[0]()
        for future in futures:
            future.result()
