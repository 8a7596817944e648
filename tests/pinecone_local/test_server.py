"""The server itself: keys, versions, faults, folders, kills, plain REST."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.errors import NotACollectionError, StorageError
from llamaindex_vecx.pinecone_local import Faults, PineconeLocal
from tests.pinecone_local.raw import make_index, send

SRC = Path(__file__).resolve().parents[2] / "src"


def put(server: PineconeLocal, host: str, *ids: str, namespace: str = "") -> Any:
    vectors = [{"id": id_, "values": [1, 1]} for id_ in ids]
    body = {"vectors": vectors, "namespace": namespace}
    return send(server, "POST", f"{host}/vectors/upsert", body)


def count(server: PineconeLocal, host: str) -> int:
    reply = send(server, "POST", f"{host}/describe_index_stats", {})
    return int(reply.body["totalVectorCount"])


def test_it_listens_on_the_loopback_only(pinecone_local: PineconeLocal) -> None:
    assert pinecone_local.url == f"http://127.0.0.1:{pinecone_local.port}"
    assert pinecone_local._socket.getsockname()[0] == "127.0.0.1"


def test_a_key_can_be_required() -> None:
    with PineconeLocal(api_key="secret-key") as server:
        for headers in ({}, {"Api-Key": "wrong"}, {"Api-Key": ""}):
            control = send(server, "GET", "/indexes", headers=headers)
            assert control.status == 401
            assert control.body["error"]["code"] == "UNAUTHENTICATED"
            data = send(server, "POST", "/query", {}, headers)
            assert (data.status, data.body["code"]) == (401, 16)
        assert send(server, "GET", "/indexes", headers={"Api-Key": "secret-key"}).status == 200
        assert "secret-key" not in repr(server)


@pytest.mark.parametrize("version", ["2025-10", "2026-04", None, "nonsense"])
def test_versions_before_2026_07_speak_dimension_and_spec(
    pinecone_local: PineconeLocal, version: str | None
) -> None:
    make_index(pinecone_local, metric="dotproduct")
    headers = {} if version is None else {"X-Pinecone-Api-Version": version}
    model = send(pinecone_local, "GET", "/indexes/raw", headers=headers).body
    assert (model["dimension"], model["metric"], model["vector_type"]) == (2, "dotproduct", "dense")
    assert model["spec"]["serverless"]["region"] == "us-east-1"
    assert model["host"] == pinecone_local.host("raw")
    assert "schema" not in model


def test_2026_07_speaks_schema_and_deployment_of_the_same_index(
    pinecone_local: PineconeLocal,
) -> None:
    make_index(pinecone_local)
    headers = {"X-Pinecone-Api-Version": "2026-07"}
    model = send(pinecone_local, "GET", "/indexes/raw", headers=headers).body
    field = {"type": "dense_vector", "dimension": 2, "metric": "cosine"}
    assert model["schema"] == {"fields": {"_values": field}}
    assert model["deployment"] == {
        "deployment_type": "managed",
        "cloud": "aws",
        "region": "us-east-1",
    }
    assert "dimension" not in model


def test_the_bare_host_serves_the_only_index(pinecone_local: PineconeLocal) -> None:
    make_index(pinecone_local)
    assert put(pinecone_local, "", "a").status == 200
    assert count(pinecone_local, "/i/raw") == 1
    make_index(pinecone_local, name="second")
    reply = put(pinecone_local, "", "b")
    assert reply.status == 404
    assert "2 indexes" in reply.body["message"]


def test_namespaces_are_made_listed_described_and_deleted(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    put(pinecone_local, host, "a")
    put(pinecone_local, host, "a", "b", namespace="x/y 100%")
    schema = {"fields": {"genre": {"filterable": True}}}
    made = send(pinecone_local, "POST", f"{host}/namespaces", {"name": "empty", "schema": schema})
    assert made.body["indexed_fields"] == {"fields": ["genre"]}
    assert send(pinecone_local, "POST", f"{host}/namespaces", {"name": "empty"}).status == 409
    first = send(pinecone_local, "GET", f"{host}/namespaces?limit=2").body
    names = [entry["name"] for entry in first["namespaces"]]
    rest = f"{host}/namespaces?paginationToken={first['pagination']['next']}"
    names += [entry["name"] for entry in send(pinecone_local, "GET", rest).body["namespaces"]]
    assert names == ["__default__", "empty", "x/y 100%"]
    assert first["total_count"] == 3
    described = send(pinecone_local, "GET", f"{host}/namespaces/x%2Fy%20100%25")
    assert described.body == {"name": "x/y 100%", "record_count": 2}
    assert send(pinecone_local, "DELETE", f"{host}/namespaces/x%2Fy%20100%25").status == 200
    assert send(pinecone_local, "GET", f"{host}/namespaces/x%2Fy%20100%25").status == 404
    assert count(pinecone_local, host) == 1


# -- faults ----------------------------------------------------------------------------------------


def test_a_share_of_requests_fails_and_is_not_carried_out(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    pinecone_local.faults.fail_rate = 0.5
    replies = [put(pinecone_local, host, str(i)) for i in range(40)]
    pinecone_local.faults.fail_rate = 0.0
    failed = [reply for reply in replies if reply.status == 503]
    assert 5 < len(failed) < 35
    assert failed[0].body == {"code": 14, "message": "Service unavailable", "details": []}
    assert count(pinecone_local, host) == 40 - len(failed)
    assert pinecone_local.faults.counts == {"failed": len(failed)}


def test_throttled_requests_are_told_when_to_come_back(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    pinecone_local.faults.throttle = 2
    pinecone_local.faults.retry_after = 3
    replies = [put(pinecone_local, host, str(i)) for i in range(10)]
    refused = [reply for reply in replies if reply.status == 429]
    assert refused
    assert {reply.headers["retry-after"] for reply in refused} == {"3"}
    assert refused[0].body["code"] == 8


def test_cut_connections_are_carried_out_or_not(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    pinecone_local.faults.reset_rate = 1.0
    for i in range(20):
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            put(pinecone_local, host, str(i))
    counts = dict(pinecone_local.faults.counts)
    pinecone_local.faults.reset_rate = 0.0
    assert counts["cut before"] + counts["cut after"] == 20
    assert count(pinecone_local, host) == counts["cut after"] > 0


def test_latency_is_waited(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    pinecone_local.faults.latency = 0.2
    start = time.monotonic()
    put(pinecone_local, host, "a")
    assert time.monotonic() - start >= 0.2


def test_a_write_becomes_visible_later_and_in_order(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    pinecone_local.faults.consistency = 0.4
    written = put(pinecone_local, host, "a")
    gone = put(pinecone_local, host, "a", "b")
    asked = send(pinecone_local, "POST", f"{host}/query", {"vector": [1, 1], "topK": 5})
    assert asked.body["matches"] == []
    lsn = int(written.headers["x-pinecone-request-lsn"])
    assert int(asked.headers["x-pinecone-max-indexed-lsn"]) < lsn
    time.sleep(0.5)
    asked = send(pinecone_local, "POST", f"{host}/query", {"vector": [1, 1], "topK": 5})
    assert {match["id"] for match in asked.body["matches"]} == {"a", "b"}
    assert asked.headers["x-pinecone-max-indexed-lsn"] == gone.headers["x-pinecone-request-lsn"]


# -- folders ---------------------------------------------------------------------------------------


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    with PineconeLocal(directory=tmp_path / "data", faults=Faults(consistency=60)) as server:
        host = make_index(server, tags={"a": "b"})
        put(server, host, "a", "b", namespace="n")
        assert count(server, host) == 0
    with PineconeLocal(directory=tmp_path / "data") as server:
        assert send(server, "GET", "/indexes/raw").body["tags"] == {"a": "b"}
        assert count(server, host) == 2
        send(server, "DELETE", "/indexes/raw")
    assert list((tmp_path / "data" / "namespaces").iterdir()) == []


def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llamaindex_vecx", "pinecone-local", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--dir", str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": str(SRC), "COLUMNS": "400"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        while "listens on" not in line:
            assert line, process.wait()
            line = process.stderr.readline()

        class Running:
            port = int(line.partition("127.0.0.1:")[2].partition(",")[0])

        server: Any = Running()
        host = make_index(server)
        for i in range(30):
            assert put(server, host, str(i), namespace="n").status == 200
        send(server, "POST", f"{host}/vectors/delete", {"ids": ["7"], "namespace": "n"})
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with PineconeLocal(directory=tmp_path / "data") as server:
        listed = send(server, "GET", f"{host}/vectors/list?namespace=n").body["vectors"]
        assert sorted(int(entry["id"]) for entry in listed) == [*range(7), *range(8, 30)]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotACollectionError, match="something else"):
        PineconeLocal(directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_taken_port_is_named(pinecone_local: PineconeLocal) -> None:
    with pytest.raises(StorageError, match=str(pinecone_local.port)):
        PineconeLocal(pinecone_local.port)


# -- plain REST ------------------------------------------------------------------------------------


def test_plain_search_over_an_index(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    vectors = [
        {"id": "a", "values": [1, 0], "metadata": {"k": 1}},
        {"id": "b", "values": [1, 1], "metadata": {"k": 2}},
    ]
    send(pinecone_local, "POST", f"{host}/vectors/upsert", {"vectors": vectors})
    reply = send(pinecone_local, "POST", "/search", {"query_vector": [1, 0], "top_k": 5})
    assert [result["id"] for result in reply.body["results"]] == ["a", "b"]
    assert reply.body["results"][0] == {"id": "a", "score": 1.0, "metadata": {"k": 1}}
    body = {"query_vector": [1, 0], "filter": {"k": 2}, "include_values": True}
    (found,) = send(pinecone_local, "POST", f"{host}/search", body).body["results"]
    assert (found["id"], found["values"]) == ("b", [1.0, 1.0])
    assert send(pinecone_local, "POST", "/search", {"query_vector": [1]}).status == 400


def test_plain_search_over_a_collection(tmp_path: Path) -> None:
    from llama_index.core.schema import TextNode

    with FlatVectorStore(path=tmp_path / "kb") as store:
        nodes = [
            TextNode(id_="n1", text="one", embedding=[1.0, 0.0], metadata={"k": "v"}),
            TextNode(id_="n2", text="two", embedding=[0.0, 1.0]),
        ]
        store.add(nodes)
    with PineconeLocal(collection=tmp_path / "kb") as server:
        body = {"query_vector": [0.9, 0.1], "top_k": 1}
        (found,) = send(server, "POST", "/search", body).body["results"]
        assert (found["id"], found["text"], found["metadata"]) == ("n1", "one", {"k": "v"})


def test_a_folder_keeps_the_kind_of_index_it_was_made_with(tmp_path: Path) -> None:
    with PineconeLocal(directory=tmp_path / "data", index="hnsw") as server:
        host = make_index(server)
        put(server, host, "a")
    with PineconeLocal(directory=tmp_path / "data", index="flat") as server:
        put(server, host, "b")
        asked = send(server, "POST", f"{host}/query", {"vector": [1, 1], "topK": 5})
        assert {match["id"] for match in asked.body["matches"]} == {"a", "b"}
