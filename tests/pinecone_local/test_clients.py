"""The SDK's other clients."""

from __future__ import annotations

import pytest

from llamaindex_vecx.pinecone_local import PineconeLocal
from tests.pinecone_local.conftest import SERVERLESS

pinecone = pytest.importorskip("pinecone", reason="pip install 'llamaindex-vecx[pinecone]'")


async def test_the_asynchronous_client(pinecone_local: PineconeLocal) -> None:
    async with pinecone.AsyncPinecone(api_key="local", host=pinecone_local.url) as client:
        await client.indexes.create(
            name="a",
            schema={
                "fields": {"_values": {"type": "dense_vector", "dimension": 2, "metric": "cosine"}}
            },
        )
        host = (await client.indexes.describe("a")).host
        async with await client.index(host=host) as index:
            records = [(str(number), [1.0, number], {"n": number}) for number in range(500)]
            answer = await index.upsert(vectors=records, batch_size=50, max_concurrency=8)
            assert answer.upserted_count == 500
            found = await index.query(vector=[1, 7], top_k=1, filter={"n": {"$lt": 100}})
            assert found.matches[0].id == "7"
            assert (await index.describe_index_stats()).total_vector_count == 500


def test_a_retried_write_is_stored_once(pinecone_local: PineconeLocal) -> None:
    client = pinecone.Pinecone(api_key="local", host=pinecone_local.url)
    client.create_index(name="a", dimension=2, metric="cosine", spec=SERVERLESS)
    index = client.index(host=client.describe_index("a").host)
    pinecone_local.faults.fail_rate = 0.3
    answer = index.upsert(
        vectors=[(str(number), [1.0, number]) for number in range(200)], batch_size=10
    )
    assert pinecone_local.faults.counts["failed"] > 0
    pinecone_local.faults.reset()
    assert index.describe_index_stats().total_vector_count == answer.upserted_count
