"""Nodes with text and metadata through LlamaIndex: our store beside the others, each in a process of its own.

``make peers`` installs the others; what isn't there is left out and said so. Adding goes in batches of 2,000
and is timed without the making of the nodes; "then s" is what it takes after that to be on disk and at full
speed. Questions are asked of a freshly opened process, the stores in turns, k = 10.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import DATA, ROOT, arguments, console, describe, finish, table
from store_workers.corpus import FILTERS, QUERIES, Corpus, read_corpus, row_of

ENVIRONMENTS = Path(os.environ.get("VECX_PEER_ENVS", ROOT / ".venv-peers"))
FILE = DATA / "ann" / "debian-minilm-384.f16.npy"
K = 10


@dataclass(frozen=True)
class Entry:
    """A row of the table: the store, where it is installed, what it gives back."""

    title: str
    worker: str
    environment: str | None = None
    distribution: str = ""
    answers: str = "nodes"


ENTRIES = [
    Entry("HNSWVectorStore (ours)", "ours"),
    Entry("SimpleVectorStore", "simple", answers="ids"),
    Entry("FaissVectorStore, HNSW", "faiss", "faiss", "faiss-cpu", answers="ids"),
    Entry("ChromaVectorStore", "chroma", "chroma", "chromadb"),
    Entry("QdrantVectorStore, local", "qdrant", "qdrant", "qdrant-client"),
    Entry("LanceDBVectorStore", "lancedb", "lancedb", "lancedb"),
    Entry("TurboQuantVectorStore", "turbovec", "turbovec", "turbovec"),
    Entry("zvec, own interface", "zvec", "zvec", "zvec", answers="docs"),
]

TARGETS: list[tuple[str, str, Callable[[Mapping[str, Any]], bool]]] = [
    ("add nodes/s", "≥ 10,000", lambda row: row["add nodes/s"] >= 10_000),
    ("plain p50 ms", "≤ 0.25", lambda row: row["plain p50 ms"] <= 0.25),
    ("plain recall", "≥ 0.98", lambda row: row["plain recall"] >= 0.98),
    *[
        (f"{kind} {figure}", asked, lambda row, name=f"{kind} {figure}", test=test: test(row[name]))
        for kind in list(FILTERS)[1:]
        for figure, asked, test in (
            ("p50 ms", "≤ 0.5", lambda value: value <= 0.5),
            ("recall", "≥ 0.98", lambda value: value >= 0.98),
        )
    ],
    ("reopen s", "≤ 1", lambda row: row["reopen s"] <= 1),
]


@dataclass
class Measured:
    """What one store showed."""

    entry: Entry
    add: dict[str, float]
    disk_mb: float = 0.0
    peak_mb: float = 0.0
    reopen: list[float] = field(default_factory=list)
    ms: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in FILTERS})
    hits: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in FILTERS})


class Process:
    """A worker in its environment."""

    def __init__(self, entry: Entry, folder: Path, size: int) -> None:
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - as long as the process
        command = [_python(entry), "-W", "ignore", "-m", "store_workers.worker"]
        self._process = subprocess.Popen(
            [*command, entry.worker, str(folder), str(FILE), str(size)],
            cwd=ROOT / "benchmarks",
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "ANONYMIZED_TELEMETRY": "False"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        self._ready = False

    def wait(self) -> None:
        """Block until everything is imported."""
        if not self._ready:
            self._answer()
            self._ready = True

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Have a command done."""
        self.wait()
        assert self._process.stdin is not None
        print(json.dumps({"do": command, **arguments}), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._said.seek(0)
            raise RuntimeError(f"the worker died:\n{self._said.read()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> float:
        """Close the store, end the process, and return its peak memory in MB."""
        peak = self.do("close")["peak_mb"]
        self._process.communicate()
        self._said.close()
        return float(peak)


def _python(entry: Entry) -> str:
    if entry.environment is None:
        return sys.executable
    return str(ENVIRONMENTS / entry.environment / "bin" / "python")


def installed() -> list[Entry]:
    """The stores that are there (of those in ``VECX_BENCH_ONLY``, if set); the others are named."""
    there = []
    only = os.environ.get("VECX_BENCH_ONLY", "").split()
    for entry in ENTRIES:
        if only and entry.worker not in only:
            continue
        if Path(_python(entry)).exists():
            there.append(entry)
        else:
            console.print(f"left out: {entry.title} is not installed here (make peers)")
    return there


def versions(entries: list[Entry]) -> str:
    """Of the peers, as their environments have them."""
    code = "import sys; from importlib.metadata import version as v; print(v(sys.argv[1]))"
    found = []
    for entry in entries:
        if entry.distribution:
            asked = [_python(entry), "-c", code, entry.distribution]
            done = subprocess.run(asked, capture_output=True, text=True, check=True)
            found.append(f"{entry.distribution} {done.stdout.strip()}")
    return ", ".join(found)


def truth(corpus: Corpus) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Similarity of every node to every query, and for each filter that of the worst to be found."""
    vectors = corpus.vectors.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    queries = corpus.queries / np.linalg.norm(corpus.queries, axis=1, keepdims=True)
    similarity = queries @ vectors.T
    tenth = {}
    for kind in FILTERS:
        some = similarity[:, corpus.matching(kind)]
        tenth[kind] = np.partition(some, -min(K, some.shape[1]), axis=1)[:, -min(K, some.shape[1])]
    return similarity, tenth


def ask_in_turns(
    processes: Mapping[str, Process], measured: Mapping[str, Measured], corpus: Corpus, quick: bool
) -> None:
    """Each store gets the same questions, in rounds, so that a busy moment hits all."""
    similarity, tenth = truth(corpus)
    matching = {kind: corpus.matching(kind) for kind in FILTERS}
    wanted = {kind: min(K, int(rows.sum())) for kind, rows in matching.items()}
    rounds, count, budget = (2, 20, 0.1) if quick else (10, QUERIES // 10, 1.0)
    for turn in range(rounds):
        for kind in FILTERS:
            for title, process in processes.items():
                first = turn * count
                got = process.do("ask", kind=kind, first=first, count=count, budget=budget)
                measured[title].ms[kind] += got["ms"]
                for place, ids in enumerate(got["ids"], first):
                    rows = [row for row in set(map(row_of, ids)) if matching[kind][row]]
                    right = similarity[place, rows] >= tenth[kind][place] - 1e-6  # ties are right
                    measured[title].hits[kind].append(min(float(right.sum()) / wanted[kind], 1.0))


def row(found: Measured, size: int) -> dict[str, Any]:
    """A line of the table."""
    line: dict[str, Any] = {
        "store": found.entry.title,
        "answers": found.entry.answers,
        "nodes": size,
        "add nodes/s": round(size / found.add["seconds"]),
        "then s": round(found.add["settle"], 2),
    }
    for kind in FILTERS:
        there = bool(found.ms[kind])
        line[f"{kind} p50 ms"] = round(float(np.median(found.ms[kind])), 3) if there else None
        line[f"{kind} recall"] = round(float(np.mean(found.hits[kind])), 4) if there else None
    line["reopen s"] = round(float(np.median(found.reopen)), 3)
    line["disk MB"] = round(found.disk_mb)
    line["peak MB"] = round(found.peak_mb)
    return line


def _disk_mb(folder: Path) -> float:
    return sum(file.stat().st_blocks for file in folder.rglob("*") if file.is_file()) * 512 / 2**20


def measure(entries: list[Entry], corpus: Corpus, quick: bool, folder: Path) -> list[Measured]:
    """Add to each store, one after the other; then open all and ask them in turns."""
    measured: dict[str, Measured] = {}
    for entry in entries:
        here = folder / entry.worker
        process = Process(entry, here, len(corpus))
        found = measured[entry.title] = Measured(entry, process.do("add"))
        found.peak_mb = process.close()
        found.disk_mb = _disk_mb(here)
        console.print(f"  added: {entry.title}")
    processes: dict[str, Process] = {}
    for turn in range(1 if quick else 3):
        for entry in entries:
            if turn and measured[entry.title].reopen[0] > 20:
                continue
            if turn:
                processes[entry.title].close()
            processes[entry.title] = Process(entry, folder / entry.worker, len(corpus))
        for process in processes.values():
            process.wait()
        for entry in entries:
            if len(measured[entry.title].reopen) == turn:
                seconds = processes[entry.title].do("open")["seconds"]
                measured[entry.title].reopen.append(seconds)
    ask_in_turns(processes, measured, corpus, quick)
    for title, process in processes.items():
        measured[title].peak_mb = max(measured[title].peak_mb, process.close())
    return list(measured.values())


def targets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What issue 4 asks of ours, beside what came out."""
    own = rows[0]
    lines = [
        {"ours": name, "asked": asked, "measured": own[name], "met": "yes" if met(own) else "NO"}
        for name, asked, met in TARGETS
    ]
    for other, columns in (
        ("Chroma", ["peak MB"]),
        ("zvec", [f"{kind} p50 ms" for kind in FILTERS]),
    ):
        for peer in rows[1:]:
            if peer["store"].startswith(other):
                lines += [
                    {
                        "ours": name,
                        "asked": f"< {peer[name]} ({other})",
                        "measured": own[name],
                        "met": "yes" if own[name] < peer[name] else "NO",
                    }
                    for name in columns
                ]
    return lines


def main() -> None:
    asked = arguments(__doc__.splitlines()[0])
    if not FILE.exists():
        raise SystemExit(f"{FILE} is missing; say where the data is by VECX_DATA")
    size = 3_000 if asked.quick else 60_000
    corpus = read_corpus(FILE, size)
    entries = installed()
    data = f"{size:,} nodes of 60 words and 5 metadata keys, {FILE.name}"
    console.print(f"{describe(data)} · {versions(entries)}", soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="vecx-stores-") as folder:
        rows = [row(found, size) for found in measure(entries, corpus, asked.quick, Path(folder))]
    shape = [name for name in rows[0] if " p50 " not in name and not name.endswith("recall")]
    table("adding, reopening, weight", [{name: line[name] for name in shape} for line in rows])
    times = [name for name in rows[0] if name == "store" or name not in shape]
    table("asking, k = 10, one thread", [{name: line[name] for name in times} for line in rows])
    table("what is asked of ours", targets(rows))
    finish(rows, asked.json)


if __name__ == "__main__":
    main()
