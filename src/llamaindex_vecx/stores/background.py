"""Async that is really async: blocking calls on a bounded executor of the store's own."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["Background"]

T = TypeVar("T")


class Background:
    """A bounded thread pool whose calls can be awaited.

    A cancelled call that hasn't started never happens. One that runs can't be stopped, so the
    cancellation is raised once it has ended: whoever sees it knows that the write is there whole, or
    not at all, and will not come later.
    """

    def __init__(self, max_workers: int = 4) -> None:
        self._pool = ThreadPoolExecutor(max_workers, thread_name_prefix="vecx-async")

    async def run(self, function: Callable[[], T]) -> T:
        """Run ``function`` in the pool, in a copy of the caller's context."""
        future = self._pool.submit(contextvars.copy_context().run, function)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            while not future.done():
                try:
                    await asyncio.sleep(0.001)
                except asyncio.CancelledError:  # asked again: the answer is the same
                    continue
            raise

    def close(self) -> None:
        """Let running calls end, start no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
