"""Many at once: nothing is lost, and no one gets a 5xx."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llamaindex_vecx.pinecone_local import PineconeLocal
from llamaindex_vecx.pinecone_local.data import index
from tests.pinecone_local.raw import make_index, send


def vectors(*ids: str) -> list[dict[str, object]]:
    return [{"id": id_, "values": [1, float(len(id_))]} for id_ in ids]


def test_writers_of_one_namespace_lose_nothing(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)

    def write(writer: int) -> None:
        for at in range(0, 200, 20):
            batch = vectors(*(f"{writer}-{number}" for number in range(at, at + 20)))
            body = {"vectors": batch, "namespace": "n"}
            assert send(pinecone_local, "POST", f"{host}/vectors/upsert", body).status == 200

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    stats = send(pinecone_local, "POST", f"{host}/describe_index_stats", {})
    assert stats.body["namespaces"] == {"n": {"vectorCount": 1600}}


def test_more_namespaces_than_are_kept_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_MOST_OPEN", 2)
    names = [f"tenant-{number}" for number in range(4)]
    with PineconeLocal(directory=tmp_path / "data") as server:
        host = make_index(server)

        def work(worker: int) -> None:
            choose = random.Random(worker)
            for number in range(8):
                name = choose.choice(names)
                body = {"vectors": vectors(f"{worker}-{number}"), "namespace": name}
                assert send(server, "POST", f"{host}/vectors/upsert", body).status == 200
                asked = {"vector": [1, 1], "topK": 3, "namespace": choose.choice(names)}
                assert send(server, "POST", f"{host}/query", asked).status == 200

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        stats = send(server, "POST", f"{host}/describe_index_stats", {}).body
        assert stats["totalVectorCount"] == 32
        held = server._service.index("raw")._open
        assert len(held) <= 3, held


def test_reads_while_namespaces_and_indexes_come_and_go(pinecone_local: PineconeLocal) -> None:
    host = make_index(pinecone_local)
    done = threading.Event()
    seen: set[int] = set()

    def read() -> None:
        while not done.is_set():
            body = {"vector": [1, 1], "topK": 3, "namespace": "n", "includeMetadata": True}
            seen.add(send(pinecone_local, "POST", f"{host}/query", body).status)
            seen.add(send(pinecone_local, "POST", f"{host}/describe_index_stats", {}).status)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        for number in range(30):
            body = {"vectors": vectors("a", "b"), "namespace": "n"}
            assert send(pinecone_local, "POST", f"{host}/vectors/upsert", body).status == 200
            clear = {"deleteAll": True, "namespace": "n"}
            assert send(pinecone_local, "POST", f"{host}/vectors/delete", clear).status == 200
            if number % 10 == 9:
                assert send(pinecone_local, "DELETE", "/indexes/raw").status == 202
                make_index(pinecone_local)
        done.set()
        for reader in readers:
            reader.result()
    assert seen <= {200, 404}
    assert 200 in seen
