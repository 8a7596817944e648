"""Nodes are added to Pinecone through everything that goes wrong on the way; none is lost or doubled."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2s

import pytest

from llamaindex_vecx import PineconeVectorStore
from llamaindex_vecx.errors import (
    PartialWriteError,
)

from ..conformance.library import node
from ..conformance.pinecone import server_url
from .unreliable import FAULTS, Unreliable

TASKS = 8
PATIENCE = 1.0


def vector(id_: str) -> list[float]:
    digest = blake2s(id_.encode(), digest_size=8).digest()
    return [byte / 255 + 0.01 for byte in digest]


def nodes_of(task: int, count: int):
    ids = [f"{task}-{n}" for n in range(count)]
    return [node(id_, f"text of {id_}", doc=f"doc{task}", vector=vector(id_), n=id_) for id_ in ids]


def opened(url: str, name: str, api: str, **settings) -> PineconeVectorStore:
    settings = {"batch_size": 25, "timeout": PATIENCE, "retry_seconds": 60, **settings}
    return PineconeVectorStore.create_if_missing(
        name, dimension=8, api=api, host=url, api_key="local", **settings
    )


def check_all_stored_once(store: PineconeVectorStore, count: int) -> None:
    found = store.get_nodes()
    assert len(found) == TASKS * count, "lost or doubled"
    assert {one.node_id for one in found} == {
        f"{t}-{n}" for t in range(TASKS) for n in range(count)
    }
    for one in found:
        assert one.text == f"text of {one.node_id}"
        assert one.metadata == {"n": one.node_id}


def stored_through_faults(api: str, count: int, name: str, seconds: float, *, through_async: bool):
    with Unreliable(server_url(), share=0.4, patience=PATIENCE, seed=count) as proxy:
        store = opened(proxy.url, name, api)
        batches = [nodes_of(task, count) for task in range(TASKS)]
        began = time.monotonic()
        if through_async:
            returned = asyncio.run(_together(store, batches))
        else:
            with ThreadPoolExecutor(TASKS) as pool:
                returned = list(pool.map(store.add, batches))
        took = time.monotonic() - began
        assert returned == [[one.node_id for one in batch] for batch in batches]
        assert set(proxy.met) == set(FAULTS), "a fault never happened"
        proxy.share = 0
        check_all_stored_once(store, count)
        store.close()
    assert took < seconds


async def _together(store, batches):
    return await asyncio.gather(*(store.async_add(batch) for batch in batches))


@pytest.mark.parametrize(
    ("api", "through_async"), [("vectors", False), ("documents", True)], ids=["sync", "async"]
)
def test_two_thousand_nodes_from_eight_tasks(api, through_async):
    stored_through_faults(api, 250, f"small-{api}", 90, through_async=through_async)


@pytest.mark.slow
@pytest.mark.parametrize("api", ["vectors", "documents"])
@pytest.mark.parametrize("through_async", [False, True], ids=["sync", "async"])
def test_twenty_thousand_nodes_from_eight_tasks(api, through_async):
    name = f"big-{api}-{'async' if through_async else 'sync'}"
    stored_through_faults(api, 2_500, name, 600, through_async=through_async)


def test_what_was_not_stored_is_named_and_nothing_else():
    """The service fails for good after two batches."""
    with Unreliable(server_url(), share=0, patience=PATIENCE) as proxy:
        settings = {"retry_seconds": 1, "max_concurrency": 1, "batch_size": 10}
        store = opened(proxy.url, "gone", "vectors", **settings)
        proxy.script = ["", "", *["unavailable"] * 1000]
        batch = nodes_of(1, 50)
        with pytest.raises(PartialWriteError, match="30 of 50 nodes .*503") as raised:
            store.add(batch)
        proxy.script = []
        ids = [one.node_id for one in batch]
        assert raised.value.stored == ids[:20]
        assert list(raised.value.failed) == ids[20:]
        assert {one.node_id for one in store.get_nodes()} == set(ids[:20])
        assert store.add(batch[20:]) == ids[20:]
        assert len(store.get_nodes()) == 50
        store.close()


def test_a_service_that_never_answers_ends_in_an_error_in_known_time():
    with Unreliable(server_url(), share=0, patience=PATIENCE) as proxy:
        store = opened(proxy.url, "silent", "vectors", retry_seconds=2)
        proxy.script = ["reset before"] * 1000
        began = time.monotonic()
        with pytest.raises(PartialWriteError, match="1 of 1 nodes .*did not answer") as raised:
            store.add(nodes_of(0, 1))
        assert time.monotonic() - began < 30
        assert raised.value.stored == []
        proxy.script = []
        assert store.get_nodes() == []
        store.close()


async def test_a_cancelled_add_has_ended_when_the_cancellation_is_seen():
    """Batches under way are carried out, none is begun after, and none comes later."""
    with Unreliable(server_url(), share=0, patience=PATIENCE) as proxy:
        settings = {"max_concurrency": 2, "batch_size": 10, "timeout": 30}
        store = opened(proxy.url, "cancelled", "vectors", **settings)
        proxy.script = ["too late"] * 6  # each takes a second and a half
        task = asyncio.create_task(store.async_add(nodes_of(0, 60)))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        there = {one.node_id for one in await store.aget_nodes()}
        assert there == {f"0-{n}" for n in range(20)}, "whole batches, those that had begun"
        await asyncio.sleep(1.0)
        assert {one.node_id for one in await store.aget_nodes()} == there
        await store.aclose()
