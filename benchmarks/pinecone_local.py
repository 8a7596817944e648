"""The local Pinecone under load: 32 clients at once, for a minute. VECX_SECONDS changes how long.

Each client keeps one connection and goes through a mix of queries, filtered queries, fetches, updates,
upserts and deletes over 5,000 ids, so that records are replaced all the time and memory must come to rest.
No peer stands beside it: nothing else with state speaks this API. Latencies are wall clock as a client sees
them, on a machine that also runs the clients.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.harness import ROOT, arguments, describe, finish, table

CLIENTS = 32
DIMENSION = 384
IDS = 5_000
MIX = {"query": 8, "filtered": 4, "fetch": 3, "update": 2, "upsert 10": 2, "delete": 1}


class Client(threading.Thread):
    """One connection, one request after another."""

    def __init__(self, port: int, seed: int, until: float) -> None:
        super().__init__(daemon=True)
        self.port, self.until = port, until
        self.random = random.Random(seed)
        self.vectors = np.random.default_rng(seed).normal(size=(64, DIMENSION)).round(4).tolist()
        self.taken: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        names, weights = list(MIX), list(MIX.values())
        while time.time() < self.until:
            (name,) = self.random.choices(names, weights)
            method, path, body = self.request(name)
            start = time.perf_counter()
            try:
                connection.request(method, path, None if body is None else json.dumps(body))
                response = connection.getresponse()
                text = response.read()
            except OSError as error:
                self.errors.append(repr(error))
                connection.close()
                continue
            self.taken[name].append(time.perf_counter() - start)
            if response.status != 200:
                self.errors.append(f"{response.status} {text[:200]!r}")

    def request(self, name: str) -> tuple[str, str, Any]:
        host = "/i/load"
        id_ = self.id()
        if name == "query":
            return (
                "POST",
                f"{host}/query",
                {"vector": self.vector(), "topK": 10, "includeMetadata": True},
            )
        if name == "filtered":
            condition = {"group": {"$in": self.random.sample(range(20), 3)}, "even": True}
            return (
                "POST",
                f"{host}/query",
                {"vector": self.vector(), "topK": 10, "filter": condition},
            )
        if name == "fetch":
            return "GET", f"{host}/vectors/fetch?ids={id_}", None
        if name == "update":
            return (
                "POST",
                f"{host}/vectors/update",
                {"id": id_, "setMetadata": {"seen": time.time()}},
            )
        if name == "delete":
            return "POST", f"{host}/vectors/delete", {"ids": [id_]}
        return (
            "POST",
            f"{host}/vectors/upsert",
            {"vectors": [self.record(self.id()) for _ in range(10)]},
        )

    def id(self) -> str:
        return str(self.random.randrange(IDS))

    def vector(self) -> list[float]:
        return self.random.choice(self.vectors)

    def record(self, id_: str) -> dict[str, Any]:
        number = int(id_)
        metadata = {"group": number % 20, "even": number % 2 == 0, "text": "some words " * 20}
        return {"id": id_, "values": self.vector(), "metadata": metadata}


def start(folder: str) -> tuple[subprocess.Popen[str], int]:
    command = [
        sys.executable,
        "-m",
        "llamaindex_vecx",
        "pinecone-local",
        "--port",
        "0",
        "--dir",
        folder,
    ]
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "400"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    while "listens on" not in (line := process.stderr.readline()):
        if not line:
            raise SystemExit("the server did not start")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    return process, int(line.partition("127.0.0.1:")[2].partition(",")[0])


def fill(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    model = {
        "name": "load",
        "dimension": DIMENSION,
        "metric": "cosine",
        "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
    }
    source = Client(port, CLIENTS, 0.0)
    calls = [("/indexes", model)] + [
        (
            "/i/load/vectors/upsert",
            {"vectors": [source.record(str(i)) for i in range(at, at + 500)]},
        )
        for at in range(0, IDS, 500)
    ]
    for path, body in calls:
        connection.request("POST", path, json.dumps(body))
        response = connection.getresponse()
        text = response.read()
        assert response.status in (200, 201), text


def main() -> None:
    given = arguments(__doc__ or "")
    seconds = float(os.environ.get("VECX_SECONDS", 10 if given.quick else 60))
    print(describe(f"{IDS:,} records of {DIMENSION} dimensions", ("starlette", "uvicorn")))
    with tempfile.TemporaryDirectory() as folder:
        process, port = start(folder)
        try:
            fill(port)
            server = psutil.Process(process.pid)
            memory = [server.memory_info().rss]
            until = time.time() + seconds
            clients = [Client(port, seed, until) for seed in range(CLIENTS)]
            before = sum(server.cpu_times()[:2])
            for client in clients:
                client.start()
            while time.time() < until:
                time.sleep(seconds / 20)
                memory.append(server.memory_info().rss)
            for client in clients:
                client.join()
            cpu = sum(server.cpu_times()[:2]) - before
        finally:
            process.terminate()
            process.wait()
    rows = []
    for name in MIX:
        taken = np.array([second for client in clients for second in client.taken[name]]) * 1e3
        rows.append(
            {
                "operation": name,
                "requests": len(taken),
                "p50 ms": float(np.median(taken)),
                "p99 ms": float(np.percentile(taken, 99)),
                "max ms": float(taken.max()),
            }
        )
    errors = [error for client in clients for error in client.errors]
    total = sum(row["requests"] for row in rows)
    table(f"{CLIENTS} clients for {seconds:g} s", rows)
    half = memory[len(memory) // 2]
    summary = {
        "operation": "all",
        "requests": total,
        "errors": len(errors),
        "requests/s": total / seconds,
        "server CPU ms/request": cpu / total * 1e3,
        "MB at the start": memory[0] / 1e6,
        "MB at half time": half / 1e6,
        "MB at the end": memory[-1] / 1e6,
    }
    table("", [summary])
    for error in errors[:5]:
        print(error)
    finish([*rows, summary], given.json)


if __name__ == "__main__":
    main()
