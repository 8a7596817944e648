"""What the service refuses is refused, in its bodies, and nothing is stored."""

from __future__ import annotations

import re
from typing import Any

import pytest

from llamaindex_vecx.pinecone_local import PineconeLocal
from tests.pinecone_local.raw import DENSE, make_index, send


def upsert(**vector: Any) -> tuple[str, Any]:
    return "/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 2], **vector}]}


DATA = [
    (*upsert(values=[1, 2, 3]), "Vector dimension 3 does not match the dimension of the index 2"),
    (*upsert(values=["x", 2]), "numbers"),
    (*upsert(values=[1e39, 2]), "32-bit float"),
    (*upsert(values=[0, 0]), "non-zero"),
    (*upsert(id="x" * 513), "512"),
    (*upsert(id=""), "1 to 512"),
    (*upsert(id="é"), "ASCII"),
    (*upsert(id=7), "string"),
    (*upsert(metadata={"k": None}), "got 'null' for field 'k'"),
    (*upsert(metadata={"k": {"nested": 1}}), "string, number, boolean or list of strings"),
    (*upsert(metadata={"k": [1, 2]}), "list of strings"),
    (*upsert(metadata={"$k": 1}), "start with '\\$'"),
    (*upsert(metadata={"k": "x" * 41_000}), "exceeds the limit of 40960 bytes"),
    (*upsert(sparseValues={"indices": [1], "values": [1]}), "does not support sparse values"),
    ("/vectors/upsert", {"vectors": []}, "non-empty"),
    (
        "/vectors/upsert",
        {"vectors": [{"id": str(i), "values": [1, 1]} for i in range(1001)]},
        "1000",
    ),
    ("/vectors/upsert", {}, "non-empty"),
    ("/vectors/upsert", b"{", "JSON"),
    ("/vectors/upsert", b"[]", "object"),
    ("/vectors/upsert", b'{"vectors":[{"id":"a","values":[NaN,1]}]}', "JSON"),
    ("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 1]}], "namespace": "é"}, "ASCII"),
    ("/query", {"vector": [1, 2], "topK": 0}, "between 1 and 10000"),
    ("/query", {"vector": [1, 2], "topK": 10_001}, "between 1 and 10000"),
    ("/query", {"vector": [1, 2]}, "topK"),
    ("/query", {"topK": 1}, "Must specify one"),
    ("/query", {"topK": 1, "id": "a", "vector": [1, 2]}, "Cannot specify both"),
    ("/query", {"topK": 1, "vector": [1]}, "dimension"),
    ("/vectors/delete", {}, "exactly one"),
    ("/vectors/delete", {"ids": ["a"], "deleteAll": True}, "exactly one"),
    ("/vectors/update", {"setMetadata": {"a": 1}}, "either an 'id' or a 'filter'"),
    ("/vectors/update", {"id": "a"}, "at least one"),
    ("/vectors/update", {"id": "a", "values": [0, 0]}, "non-zero"),
    ("/describe_index_stats", {"filter": {"a": 1}}, "do not support"),
    ("/bulk/imports", {"uri": "s3://x"}, "does not implement bulk imports"),
    ("/namespaces/n/documents/search", {}, "Vectors API"),
    ("/records/namespaces/n/upsert", b'{"_id": "a", "text": "x"}', "not configured"),
]


@pytest.mark.parametrize(("path", "body", "message"), DATA, ids=[str(case[2]) for case in DATA])
def test_the_data_plane_says_what_is_wrong(
    pinecone_local: PineconeLocal, path: str, body: Any, message: str
) -> None:
    host = make_index(pinecone_local)
    reply = send(pinecone_local, "POST", host + path, body)
    assert reply.status == 400
    assert set(reply.body) == {"code", "message", "details"}
    assert reply.body["code"] in (3, 11, 12)
    assert re.search(message, reply.body["message"]), reply.body
    stats = send(pinecone_local, "POST", f"{host}/describe_index_stats", {})
    assert stats.body["totalVectorCount"] == 0


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in DENSE.items() if key != name}


CONTROL = [
    (without("name"), 422, "name"),
    (without("spec"), 422, "spec"),
    (without("dimension"), 422, "dimension"),
    ({**DENSE, "name": "Not_OK"}, 400, "lower case"),
    ({**DENSE, "name": "x" * 46}, 400, "1-45"),
    ({**DENSE, "dimension": 20_001}, 400, "20000"),
    ({**DENSE, "dimension": "2"}, 400, "integer"),
    ({**DENSE, "metric": "manhattan"}, 400, "cosine"),
    ({**DENSE, "vector_type": "sparse"}, 400, "dimension"),
    ({**DENSE, "deletion_protection": "maybe"}, 400, "enabled"),
    ({**DENSE, "tags": {"a": 1}}, 400, "tag"),
    ({**DENSE, "spec": {"serverless": {"cloud": "moon", "region": "x"}}}, 400, "cloud"),
]


@pytest.mark.parametrize(("body", "status", "message"), CONTROL, ids=[c[2] for c in CONTROL])
def test_the_control_plane_says_what_is_wrong(
    pinecone_local: PineconeLocal, body: Any, status: int, message: str
) -> None:
    reply = send(pinecone_local, "POST", "/indexes", body)
    assert reply.status == reply.body["status"] == status
    assert reply.body["error"]["code"] == "INVALID_ARGUMENT"
    assert message in reply.body["error"]["message"]
    assert send(pinecone_local, "GET", "/indexes").body == {"indexes": []}


def test_a_request_larger_than_two_megabytes_is_refused(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    vectors = [{"id": str(i), "values": [1, 1], "metadata": {"k": "x" * 40_000}} for i in range(51)]
    reply = send(pinecone_local, "POST", f"{host}/vectors/upsert", {"vectors": vectors})
    assert reply.status == 400
    assert "message length too large" in reply.body["message"]


def test_what_is_not_there_is_a_404_in_the_planes_own_body(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    for method, path in [
        ("GET", "/indexes/no"),
        ("DELETE", "/indexes/no"),
        ("PATCH", "/indexes/no"),
        ("GET", "/collections/no"),
        ("GET", "/backups/no"),
    ]:
        reply = send(pinecone_local, method, path, {})
        assert (reply.status, reply.body["error"]["code"]) == (404, "NOT_FOUND")
    for path, body in [
        ("/i/no/query", {"vector": [1, 2], "topK": 1}),
        (f"{host}/vectors/delete", {"deleteAll": True, "namespace": "no"}),
    ]:
        reply = send(pinecone_local, "POST", path, body)
        assert (reply.status, reply.body["code"]) == (404, 5)
    assert send(pinecone_local, "GET", "/nowhere").status == 404
    assert send(pinecone_local, "PUT", "/indexes").status == 405


def test_a_taken_name_is_a_409_and_protection_a_403(pinecone_local: PineconeLocal) -> None:
    make_index(pinecone_local, deletion_protection="enabled")
    assert send(pinecone_local, "POST", "/indexes", DENSE).status == 409
    assert send(pinecone_local, "DELETE", "/indexes/raw").status == 403
    assert (
        send(pinecone_local, "PATCH", "/indexes/raw", {"deletion_protection": "disabled"}).status
        == 202
    )
    assert send(pinecone_local, "DELETE", "/indexes/raw").status == 202
    assert (
        send(pinecone_local, "POST", "/collections", {"name": "c", "source": "raw"}).status == 403
    )
    assert send(pinecone_local, "POST", "/indexes/raw/backups", {}).status == 403
