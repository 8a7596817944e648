"""Batches, and what becomes of those that the service refuses in part."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaindex_vecx.errors import (
    AccessDeniedError,
    InvalidInputError,
    PartialWriteError,
    RemoteError,
)
from llamaindex_vecx.stores.pinecone.api import HalfStoredError
from llamaindex_vecx.stores.pinecone.limits import MAX_REQUEST
from llamaindex_vecx.stores.pinecone.port import AsyncPort, SyncPort, run
from llamaindex_vecx.stores.pinecone.records import Record
from llamaindex_vecx.stores.pinecone.writing import batches, upsert_all


def record(n: int, size: int = 10, dim: int = 4) -> Record:
    return Record(str(n), str(n), np.full(dim, 0.1, np.float32), None, {"text": "x" * size}, "")


class Service:
    """Stores what it does not refuse."""

    def __init__(self, refused=(), error=None) -> None:
        self.refused, self.error = set(refused), error
        self.stored: list[str] = []
        self.requests = 0

    async def upsert(self, port, records) -> None:
        self.requests += 1
        if self.error is not None:
            raise self.error
        if self.refused & {one.id for one in records}:
            raise InvalidInputError("refused (400)")
        self.stored += [one.id for one in records]


def upsert(service, records, *, batch_size=10, port=None, width=4):
    done = []
    work = upsert_all(
        port or SyncPort(None),
        service,
        records,
        batch_size=batch_size,
        max_concurrency=width,
        advance=done.append,
    )
    try:
        return run(work) if port is None else asyncio.run(work)
    finally:
        service.done = sum(done)


@given(
    st.lists(st.integers(0, 60_000), max_size=60),
    st.integers(1, 20),
    st.sampled_from((1, 1536, 20_000)),
)
def test_batches_keep_order_and_limits(sizes, most, dim):
    records = [record(n, size, dim) for n, size in enumerate(sizes)]
    made = batches(records, most)
    assert [one.id for batch in made for one in batch] == [one.id for one in records]
    for batch in made:
        assert 1 <= len(batch) <= most
        written = sum(len(one.fields["text"]) + 22 * dim for one in batch)
        assert len(batch) == 1 or written <= MAX_REQUEST


@pytest.mark.parametrize("port", [None, AsyncPort(None)], ids=["sync", "async"])
def test_everything_is_stored(port):
    service = Service()
    upsert(service, [record(n) for n in range(95)], port=port)
    assert sorted(service.stored, key=int) == [str(n) for n in range(95)]
    assert (service.requests, service.done) == (10, 95)


@pytest.mark.parametrize("port", [None, AsyncPort(None)], ids=["sync", "async"])
def test_a_refused_record_is_found_and_all_others_are_stored(port):
    service = Service(refused=["13", "47"])
    with pytest.raises(PartialWriteError, match="2 of 95") as raised:
        upsert(service, [record(n) for n in range(95)], port=port)
    assert raised.value.failed.keys() == {"13", "47"}
    assert set(service.stored) == set(raised.value.stored)
    assert set(service.stored) == {str(n) for n in range(95)} - {"13", "47"}


def test_a_service_that_refuses_everything_is_not_asked_for_ever():
    service = Service(refused=map(str, range(1000)))
    with pytest.raises(InvalidInputError, match="refused") as raised:
        upsert(service, [record(n) for n in range(1000)], width=1)
    assert "first node '0'" in str(raised.value)
    assert service.requests < 100


def test_one_refused_record_alone_is_wrong_input():
    with pytest.raises(InvalidInputError, match="no node was stored, first node '3': refused"):
        upsert(Service(refused=["3"]), [record(3)])


def test_a_key_that_is_refused_ends_it_at_once():
    service = Service(error=AccessDeniedError("refused the key", 401))
    with pytest.raises(AccessDeniedError, match="refused the key"):
        upsert(service, [record(n) for n in range(1000)], width=1)
    assert service.requests == 1


def test_a_service_that_fails_fails_all():
    service = Service(error=RemoteError("answered 503", 503))
    with pytest.raises(PartialWriteError, match="25 of 25 .*503") as raised:
        upsert(service, [record(n) for n in range(25)])
    assert raised.value.stored == []
    assert len(raised.value.failed) == 25


def test_a_batch_too_large_for_the_service_is_halved():
    class Small(Service):
        async def upsert(self, port, records) -> None:
            if len(records) > 3:
                raise RemoteError("too large", 413)
            await super().upsert(port, records)

    service = Small()
    upsert(service, [record(n) for n in range(25)])
    assert sorted(service.stored, key=int) == [str(n) for n in range(25)]


def test_half_a_batch_is_sent_again_whole():
    class Half(Service):
        async def upsert(self, port, records) -> None:
            await super().upsert(port, records[: len(records) // 2])
            if self.requests < 3:
                raise HalfStoredError("stored 5 of 10")
            await super().upsert(port, records)

    service = Half()
    upsert(service, [record(n) for n in range(10)])
    assert set(service.stored) == {str(n) for n in range(10)}
