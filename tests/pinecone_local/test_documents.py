"""The Documents API through the stock SDK."""

from __future__ import annotations

from typing import Any

import pytest

DOCUMENTS = [
    {
        "_id": "1",
        "vec": [1.0, 0.0, 0.0],
        "words": {"indices": [1, 5], "values": [0.5, 1.0]},
        "title": "Big cats",
        "body": "The cats are running wild",
        "year": 2000,
        "tags": ["a", "b"],
    },
    {"_id": "2", "vec": [0.0, 1.0, 0.0], "title": "Dogs", "body": "A dog runs", "year": 2010},
    {"_id": "3", "title": "고양이는 집에", "body": "no vector here, cat"},
]
SCHEMA = {
    "fields": {
        "vec": {"type": "dense_vector", "dimension": 3, "metric": "cosine"},
        "words": {"type": "sparse_vector"},
        "title": {"type": "string", "full_text_search": {}},
        "body": {
            "type": "string",
            "full_text_search": {"language": "en", "stemming": True, "stop_words": True},
        },
    }
}


@pytest.fixture
def documents(client: Any) -> Any:
    model = client.indexes.create(name="docs", schema=SCHEMA)
    documents = client.index(host=model.host).documents
    assert documents.upsert(namespace="n", documents=DOCUMENTS).upserted_count == 3
    return documents


@pytest.mark.parametrize(
    ("clause", "found"),
    [
        ({"type": "dense_vector", "field": "vec", "values": [1, 0, 0]}, "12"),
        (
            {
                "type": "sparse_vector",
                "field": "words",
                "sparse_values": {"indices": [5], "values": [2.0]},
            },
            "1",
        ),
        ({"type": "text", "fields": ["title"], "query": "cats"}, "1"),
        ({"type": "text", "fields": ["title"], "query": "cat"}, ""),
        ({"type": "text", "fields": ["title", "body"], "query": "cats"}, "13"),
        ({"type": "text", "fields": ["title"], "query": "고양이"}, "3"),
        ({"type": "query_string", "query": "body:(run OR cat^9) NOT title:dogs"}, "31"),
        ({"type": "query_string", "query": 'title:"big cats"'}, "1"),
        ({"type": "query_string", "query": 'title:"cats big"'}, ""),
        ({"type": "query_string", "query": "run AND dog"}, "2"),
        ({"type": "query_string", "query": "+cat -wild"}, "3"),
    ],
    ids=str,
)
def test_search(documents: Any, clause: dict[str, Any], found: str) -> None:
    answer = documents.search(namespace="n", score_by=[clause], top_k=5)
    assert "".join(match.id for match in answer.matches) == found
    scores = [match.score for match in answer.matches]
    assert scores == sorted(scores, reverse=True)
    assert all(set(match.to_dict()) == {"_id", "_score"} for match in answer.matches)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"year": {"$gte": 2005}}, "2"),
        ({"tags": "b"}, "1"),
        ({"body": {"$match_all": "running cats"}}, "1"),
        ({"body": {"$match_any": "dog wild"}}, "12"),
        ({"body": {"$match_phrase": "cats are running"}}, "1"),
        ({"body": {"$match_phrase": "running cats"}}, ""),
        ({"$and": [{"body": {"$match_any": "cat"}}, {"year": {"$exists": False}}]}, "3"),
    ],
    ids=str,
)
def test_filters(documents: Any, condition: dict[str, Any], found: str) -> None:
    page = documents.fetch(namespace="n", filter=condition)
    assert "".join(sorted(page.documents)) == found


@pytest.mark.parametrize(
    "condition",
    [{"title": {"$eq": "x"}}, {"vec": {"$exists": True}}, {"year": {"$match_any": "2000"}}],
    ids=str,
)
def test_a_filter_on_the_wrong_kind_of_field_is_refused(
    documents: Any, condition: dict[str, Any]
) -> None:
    from pinecone.exceptions import PineconeApiException

    with pytest.raises(PineconeApiException, match="field"):
        documents.fetch(namespace="n", filter=condition)


def test_fetch_update_list_and_delete(documents: Any) -> None:
    assert documents.fetch(namespace="n", ids=["1"]).documents["1"].to_dict() == DOCUMENTS[0]
    some = documents.fetch(namespace="n", ids=["1"], include_fields=["year"]).documents["1"]
    assert some.to_dict() == {"_id": "1", "year": 2000}

    documents.update(
        namespace="n", documents=[{"_id": "1", "year": 1999, "_remove_fields": ["tags"]}]
    )
    changed = {key: value for key, value in DOCUMENTS[0].items() if key != "tags"}
    assert documents.fetch(namespace="n", ids=["1"]).documents["1"].to_dict() == {
        **changed,
        "year": 1999,
    }
    assert (
        documents.update(
            namespace="n", filter={"year": {"$gt": 0}}, set_fields={"body": "a zebra"}
        ).matched_records
        == 2
    )
    clause = {"type": "text", "fields": ["body"], "query": "zebra"}
    found = documents.search(namespace="n", score_by=[clause], top_k=5)
    assert {match.id for match in found.matches} == {"1", "2"}

    assert [item.id for item in documents.list(namespace="n", limit=2)] == ["1", "2", "3"]
    assert documents.delete(namespace="n", filter={"year": 2010}).matched_records == 1
    documents.delete(namespace="n", ids=["3"])
    assert [item.id for item in documents.list(namespace="n")] == ["1"]
    documents.delete(namespace="n", delete_all=True)
    assert [item.id for item in documents.list(namespace="n")] == []


def test_the_two_data_apis_refuse_each_others_indexes(
    client: Any, index: Any, documents: Any
) -> None:
    from pinecone.exceptions import PineconeApiException

    with pytest.raises(PineconeApiException, match="document index"):
        client.index(host=client.describe_index("docs").host).upsert(vectors=[("a", [1, 2, 3])])
    with pytest.raises(PineconeApiException, match="Vectors API"):
        index.documents.upsert(namespace="n", documents=[{"_id": "1"}])
