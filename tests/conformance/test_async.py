"""The async twins give the same answers and leave the event loop free."""

from __future__ import annotations

import asyncio
import threading

import pytest

from .library import IDS, library, near, node, on_circle, together, where

pytestmark = pytest.mark.needs("async")


async def test_the_async_twins_do_what_the_others_do(store):
    assert await store.async_add(library()) == IDS
    asked = near(3, top_k=4)
    assert (await store.aquery(asked)).ids == store.query(asked).ids
    assert [found.node_id for found in await store.aget_nodes(["b2", "b1"])] == ["b2", "b1"]
    await store.adelete("doc1")
    await store.adelete_nodes(["b2"])
    await store.adelete_nodes(filters=together("and", where("lang", "==", "ko")))
    assert set((await store.aquery(near(0, 20))).ids) == {"b5", "b6", "b7", "b8", "b9"}
    await store.aclear()
    assert (await store.aquery(near(0, 20))).ids == []


async def test_the_event_loop_runs_while_a_query_waits(filled, monkeypatch):
    """A query that waits for the loop to turn would never end if it blocked the loop."""
    turned = threading.Event()
    original = type(filled).query
    loop = threading.get_ident()

    def waits(self, query, **kwargs):
        assert threading.get_ident() != loop, "the query runs in the event loop's thread"
        assert turned.wait(timeout=20), "the event loop was blocked"
        return original(self, query, **kwargs)

    monkeypatch.setattr(type(filled), "query", waits)
    task = asyncio.create_task(filled.aquery(near(0)))
    await asyncio.sleep(0)
    turned.set()
    assert (await task).ids[0] == "b0"


async def test_a_cancelled_add_is_decided_when_the_cancellation_is_seen(store):
    for attempt in range(20):
        batch = [node(f"{attempt}-{n}", vector=on_circle(n % 10)) for n in range(50)]
        task = asyncio.create_task(store.async_add(batch))
        await asyncio.sleep(0.0005 * attempt)
        task.cancel()
        try:
            await task
            added = True
        except asyncio.CancelledError:
            added = False
        ids = [member.node_id for member in batch]
        there = [found.node_id for found in await store.aget_nodes(ids)]
        assert there in ([], ids)
        assert there == ids or not added


async def test_many_at_once(store):
    batches = [[node(f"{b}-{n}", vector=on_circle(n)) for n in range(10)] for b in range(20)]
    await asyncio.gather(*(store.async_add(batch) for batch in batches))
    answers = await asyncio.gather(*(store.aquery(near(n % 10, 200)) for n in range(20)))
    assert {len(answer.ids) for answer in answers} == {200}
