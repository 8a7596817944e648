"""The Vectors API through the stock SDK."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.pinecone_local.conftest import SERVERLESS

RECORDS = [
    {"id": "a", "values": [1.0, 0.0, 0.1], "metadata": {"genre": "drama", "year": 2000}},
    {
        "id": "b",
        "values": [0.0, 1.0, 0.0],
        "metadata": {"genre": ["comedy", "drama"], "seen": True},
    },
    {"id": "c", "values": [0.0, 0.3, 1.0], "metadata": {"genre": "news", "year": 2020, "seen": 1}},
    {"id": "d", "values": [0.1, 0.3, 1.0]},
]


def ids(answer: Any) -> list[str]:
    return [match.id for match in answer.matches]


@pytest.fixture
def filled(index: Any) -> Any:
    assert index.upsert(vectors=RECORDS, namespace="n").upserted_count == 4
    return index


def test_query_by_vector_gives_cosines_best_first(filled: Any) -> None:
    answer = filled.query(
        vector=[1, 0, 0], top_k=2, namespace="n", include_values=True, include_metadata=True
    )
    assert ids(answer) == ["a", "d"]
    assert answer.matches[0].score == pytest.approx(1 / np.sqrt(1.01))
    assert answer.matches[0].values == [1.0, 0.0, 0.1]
    assert answer.matches[0].metadata == {"genre": "drama", "year": 2000}
    assert answer.namespace == "n"


def test_query_by_id_uses_the_stored_vector(filled: Any) -> None:
    assert ids(filled.query(id="c", top_k=2, namespace="n")) == ["c", "d"]
    assert ids(filled.query(id="nobody", top_k=2, namespace="n")) == []


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"genre": "drama"}, "ab"),
        ({"genre": {"$eq": "drama"}}, "ab"),
        ({"genre": {"$ne": "drama"}}, "cd"),
        ({"genre": {"$in": ["comedy", "news"]}}, "bc"),
        ({"genre": {"$nin": ["comedy", "news"]}}, "ad"),
        ({"year": {"$gt": 2000}}, "c"),
        ({"year": {"$gte": 2000, "$lt": 2020}}, "a"),
        ({"year": {"$lte": 2020}}, "ac"),
        ({"year": {"$eq": 2000.0}}, "a"),
        ({"year": {"$in": [2000, 1990]}}, "a"),
        ({"year": {"$exists": True}}, "ac"),
        ({"year": {"$exists": False}}, "bd"),
        ({"seen": True}, "b"),
        ({"seen": 1}, "c"),
        ({"seen": {"$in": [True, "x", 7]}}, "b"),
        ({"$or": [{"year": 2000}, {"seen": True}]}, "ab"),
        ({"$and": [{"genre": "drama"}, {"$or": [{"year": 2000}, {"year": 1}]}]}, "a"),
        ({"genre": "drama", "year": 2000}, "a"),
        ({"genre": "dram"}, ""),
        ({"nothing": "x"}, ""),
        ({}, "abcd"),
    ],
    ids=str,
)
def test_filters(filled: Any, condition: dict[str, Any], found: str) -> None:
    answer = filled.query(vector=[1, 1, 1], top_k=10, namespace="n", filter=condition)
    assert sorted(ids(answer)) == list(found)
    if condition:
        page = filled.fetch_by_metadata(filter=condition, namespace="n")
        assert sorted(page.vectors) == list(found)


@pytest.mark.parametrize(
    "condition",
    [
        {"genre": {"$like": "x"}},
        {"genre": {"$in": "drama"}},
        {"genre": ["drama"]},
        {"genre": {"$eq": None}},
        {"year": {"$gt": "2000"}},
        {"$not": [{"year": 1}]},
        {"$and": []},
        {"genre": {}},
        {"year": {"$exists": 1}},
        {"genre": {"$match_all": "drama"}},
    ],
    ids=str,
)
def test_a_filter_that_is_none_is_refused(filled: Any, condition: dict[str, Any]) -> None:
    from pinecone.exceptions import PineconeApiException

    with pytest.raises(PineconeApiException) as caught:
        filled.query(vector=[1, 1, 1], top_k=10, namespace="n", filter=condition)
    assert caught.value.status_code == 400


def test_fetch_update_delete_list_and_stats(filled: Any) -> None:
    filled.update(id="a", set_metadata={"year": 1999, "new": "x"}, namespace="n")
    filled.update(id="a", values=[0.5, 0.5, 0.5], namespace="n")
    fetched = filled.fetch(ids=["a", "nobody"], namespace="n").vectors
    assert list(fetched) == ["a"]
    assert fetched["a"].metadata == {"genre": "drama", "year": 1999, "new": "x"}
    assert fetched["a"].values == [0.5, 0.5, 0.5]

    filled.delete(ids=["b", "nobody"], namespace="n")
    filled.delete(filter={"year": {"$gt": 2000}}, namespace="n")
    pages = list(filled.list(namespace="n", limit=1))
    assert [item.id for page in pages for item in page.vectors] == ["a", "d"]
    stats = filled.describe_index_stats()
    assert stats.total_vector_count == 2
    assert stats.namespaces["n"].vector_count == 2
    assert (stats.dimension, stats.metric) == (3, "cosine")

    filled.delete(delete_all=True, namespace="n")
    assert filled.describe_index_stats().namespaces == {}


def test_update_by_filter_changes_every_match(filled: Any) -> None:
    condition = {"genre": "drama"}
    dry = filled.update(filter=condition, set_metadata={"x": 1}, namespace="n", dry_run=True)
    assert dry.matched_records == 2
    assert filled.fetch_by_metadata(filter={"x": 1}, namespace="n").vectors == {}
    assert (
        filled.update(filter=condition, set_metadata={"x": 1}, namespace="n").matched_records == 2
    )
    assert set(filled.fetch_by_metadata(filter={"x": 1}, namespace="n").vectors) == {"a", "b"}


def test_pages_by_metadata_are_complete_and_disjoint(index: Any) -> None:
    index.upsert(vectors=[(f"{i:03}", [1, i, 0], {"even": i % 2 == 0}) for i in range(25)])
    seen: list[str] = []
    token = None
    while True:
        page = index.fetch_by_metadata(filter={"even": True}, limit=5, pagination_token=token)
        seen += page.vectors
        token = page.pagination and page.pagination.next
        if not token:
            break
    assert seen == [f"{i:03}" for i in range(0, 25, 2)]


def test_euclidean_scores_are_squared_distances_nearest_first(client: Any) -> None:
    client.create_index(name="far", dimension=2, metric="euclidean", spec=SERVERLESS)
    index = client.index(host=client.describe_index("far").host)
    index.upsert(vectors=[("a", [3, 4]), ("b", [0, 1])])
    answer = index.query(vector=[0, 0], top_k=2)
    assert [(m.id, m.score) for m in answer.matches] == [("b", 1.0), ("a", 25.0)]


def test_hybrid_is_the_sum_of_both_inner_products(client: Any) -> None:
    client.create_index(name="both", dimension=8, metric="dotproduct", spec=SERVERLESS)
    index = client.index(host=client.describe_index("both").host)
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(300, 8)).astype(np.float32)
    sparse = np.where(rng.random((300, 50)) < 0.1, rng.normal(size=(300, 50)), 0)
    sparse[7] = 0
    vectors = []
    for i in range(300):
        held = np.flatnonzero(sparse[i])
        vectors.append({"id": str(i), "values": dense[i].tolist()})
        if len(held):
            values = sparse[i, held].tolist()
            vectors[-1]["sparse_values"] = {"indices": held.tolist(), "values": values}
    index.upsert(vectors=vectors)
    query, words = rng.normal(size=8), {3: 1.0, 7: 2.0, 9: -3.0}
    expected = dense @ query + sum(sparse[:, at] * weight for at, weight in words.items())
    answer = index.query(
        vector=query.tolist(),
        sparse_vector={"indices": list(words), "values": list(words.values())},
        top_k=20,
    )
    order = np.argsort(-expected)[:20]
    assert [int(match.id) for match in answer.matches] == order.tolist()
    assert [match.score for match in answer.matches] == pytest.approx(expected[order], abs=1e-4)


def test_a_sparse_index_finds_by_inner_product_and_follows_changes(client: Any) -> None:
    client.create_index(name="words", metric="dotproduct", vector_type="sparse", spec=SERVERLESS)
    index = client.index(host=client.describe_index("words").host)

    def put(id_: str, **values: float) -> None:
        indices = [int(name[1:]) for name in values]
        vector = {"indices": indices, "values": list(values.values())}
        index.upsert(vectors=[{"id": id_, "sparse_values": vector}])

    def search(at: int) -> list[tuple[str, float]]:
        answer = index.query(sparse_vector={"indices": [at], "values": [2.0]}, top_k=5)
        return [(match.id, match.score) for match in answer.matches]

    put("a", i1=0.5, i2=1.0)
    put("b", i1=1.0)
    assert search(1) == [("b", 2.0), ("a", 1.0)]
    put("b", i2=4.0)
    index.delete(ids=["a"])
    put("c", i1=3.0)
    assert search(1) == [("c", 6.0)]
    assert search(2) == [("b", 8.0)]
    assert index.fetch(ids=["b"]).vectors["b"].sparse_values.indices == [2]
    assert index.describe_index_stats().vector_type == "sparse"
