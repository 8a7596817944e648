"""One code for sync and async: coroutines over a port, which is the only thing that waits.

Over :class:`AsyncPort` they run on the event loop and the SDK's async client. Over :class:`SyncPort` nothing
ever suspends, since each wait is a blocking call, and :func:`run` takes the result of the first step.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

__all__ = ["AsyncPort", "Port", "SyncPort", "run"]

T = TypeVar("T")

Operation = Callable[[Any], Any]
"""Called with the SDK's index; the sync one returns a result, the async one an awaitable of it."""

Job = Callable[[], Coroutine[Any, Any, T]]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine over a :class:`SyncPort`."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise AssertionError("a coroutine over a SyncPort waited for something else")


class Port(Protocol):
    """What waits."""

    async def call(self, operation: Operation, *, write: bool = False) -> Any:
        """The operation's result. A write that has begun is never cancelled half-way."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def either(self, blocking: Callable[[], T], awaiting: Callable[[], Awaitable[T]]) -> T:
        """The one of two ways that suits, for what is not the SDK's."""
        ...

    async def gather(self, jobs: Sequence[Job[T]], width: int) -> list[T]:
        """Results in order, at most ``width`` jobs at a time. The first error is raised."""
        ...


class SyncPort:
    """Blocks; jobs run in threads.

    Parameters
    ----------
    index : pinecone.Index
        May be used from several threads.
    """

    def __init__(self, index: Any) -> None:
        self.index = index

    async def call(self, operation: Operation, *, write: bool = False) -> Any:
        """The operation's result."""
        return operation(self.index)

    async def sleep(self, seconds: float) -> None:
        """Block."""
        time.sleep(seconds)

    async def either(self, blocking: Callable[[], T], awaiting: Callable[[], Awaitable[T]]) -> T:
        """The blocking way."""
        return blocking()

    async def gather(self, jobs: Sequence[Job[T]], width: int) -> list[T]:
        """Results in order, from at most ``width`` threads."""
        if len(jobs) <= 1 or width == 1:
            return [run(job()) for job in jobs]
        with ThreadPoolExecutor(min(width, len(jobs)), thread_name_prefix="vecx-pinecone") as pool:
            futures = [
                pool.submit(contextvars.copy_context().run, lambda job=job: run(job()))
                for job in jobs
            ]
            try:
                return [future.result() for future in futures]
            finally:
                for future in futures:
                    future.cancel()


class AsyncPort:
    """Awaits on the running event loop.

    Parameters
    ----------
    index : pinecone.AsyncIndex
        Made in this loop.
    """

    def __init__(self, index: Any) -> None:
        self.index = index

    async def call(self, operation: Operation, *, write: bool = False) -> Any:
        """The operation's result. A cancellation of a write is raised when the write has ended."""
        if not write:
            return await operation(self.index)
        return await _decided(operation(self.index))

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        await asyncio.sleep(seconds)

    async def either(self, blocking: Callable[[], T], awaiting: Callable[[], Awaitable[T]]) -> T:
        """The awaiting way."""
        return await awaiting()

    async def gather(self, jobs: Sequence[Job[T]], width: int) -> list[T]:
        """Results in order, from at most ``width`` tasks at a time."""
        turn = asyncio.Semaphore(width)

        async def one(job: Job[T]) -> T:
            async with turn:
                return await job()

        tasks = [asyncio.ensure_future(one(job)) for job in jobs]
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise


async def _decided(waiting: Awaitable[T]) -> T:
    """Await to the end, then raise the cancellation that came meanwhile."""
    task = asyncio.ensure_future(waiting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:  # asked again: the answer is the same
                continue
        if not task.cancelled():
            task.exception()  # so that nobody warns of an error never looked at
        raise
