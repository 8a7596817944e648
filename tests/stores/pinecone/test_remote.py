"""What is asked again, how late, and what is said in the end."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from llamaindex_vecx.errors import (
    AccessDeniedError,
    InvalidInputError,
    MissingIndexError,
    RemoteError,
)
from llamaindex_vecx.stores.pinecone.port import AsyncPort, run
from llamaindex_vecx.stores.pinecone.remote import Retry, retried

sdk = pytest.importorskip("pinecone.errors", reason="pip install 'llamaindex-vecx[pinecone]'")


class Port:
    """Raises what it is told to, then answers; notes the waits and waits for nothing."""

    def __init__(self, *errors) -> None:
        self.errors, self.waits = list(errors), []

    async def call(self, operation, *, write=False):
        if self.errors:
            raise self.errors.pop(0)
        return operation(None)

    async def sleep(self, seconds) -> None:
        self.waits.append(seconds)


def ask(port, **settings):
    return run(retried(port, lambda index: "answer", Retry(**settings)))


def throttled(value: str) -> sdk.RateLimitError:
    return sdk.RateLimitError("slow down", headers={"Retry-After": value})


@pytest.mark.parametrize(
    "error",
    [
        sdk.PineconeConnectionError("reset"),
        sdk.PineconeTimeoutError("late"),
        sdk.ServiceError("bad", 500),
        sdk.ServiceError("gone", 503),
        sdk.RateLimitError("slow"),
        sdk.ApiError("late", 408),
    ],
)
def test_what_may_pass_is_asked_again(error):
    port = Port(error, error, error)
    assert ask(port) == "answer"
    assert len(port.waits) == 3
    assert port.waits == sorted(port.waits), "each wait is longer"
    assert 0.1 <= port.waits[0] <= 0.2


@pytest.mark.parametrize(
    ("error", "ours", "named"),
    [
        (sdk.ApiError("topK is wrong", 400), InvalidInputError, r"\(400\): topK is wrong"),
        (sdk.PineconeValueError("id must not be empty"), InvalidInputError, "id must not be empty"),
        (sdk.UnauthorizedError("who?"), AccessDeniedError, "API key"),
        (sdk.ForbiddenError("not you"), AccessDeniedError, "403"),
        (sdk.NotFoundError("no such index"), MissingIndexError, "no such index"),
        (sdk.ApiError("teapot", 418), RemoteError, "answered 418: teapot"),
    ],
)
def test_what_will_not_pass_is_raised_at_once_in_our_words(error, ours, named):
    port = Port(error)
    with pytest.raises(ours, match=named) as raised:
        ask(port)
    assert port.waits == []
    assert raised.value.__cause__ is error


def test_retry_after_in_seconds_is_honoured():
    port = Port(throttled("7"), throttled("0"))
    assert ask(port) == "answer"
    assert port.waits == [7.0, 0.0]


def test_retry_after_as_a_date_is_honoured():
    at = datetime.now(timezone.utc) + timedelta(seconds=9)
    port = Port(throttled(format_datetime(at, usegmt=True)), throttled("soon"))
    assert ask(port) == "answer"
    assert 7 < port.waits[0] <= 9
    assert port.waits[1] <= 0.4, "what can't be read is no reason to wait"


def test_a_retry_after_beyond_our_patience_is_not_waited_for():
    port = Port(throttled("3600"))
    with pytest.raises(RemoteError, match="429") as raised:
        ask(port, seconds=10)
    assert raised.value.status == 429
    assert port.waits == []


def test_it_ends_when_the_time_is_up():
    class Slow(Port):
        async def sleep(self, seconds) -> None:
            time.sleep(seconds)

    began = time.monotonic()
    with pytest.raises(RemoteError, match="did not answer .tried for 0.5 s.: reset"):
        ask(Slow(*[sdk.PineconeConnectionError("reset")] * 1000), seconds=0.5)
    assert time.monotonic() - began < 1


async def test_a_cancelled_write_has_ended_before_the_cancellation_is_raised():
    ended = asyncio.Event()

    async def slow(index):
        await asyncio.sleep(0.1)
        ended.set()

    task = asyncio.create_task(AsyncPort(None).call(slow, write=True))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_cancelled_read_ends_at_once():
    began = time.monotonic()
    task = asyncio.create_task(AsyncPort(None).call(lambda index: asyncio.sleep(30)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 5
