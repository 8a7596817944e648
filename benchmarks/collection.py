"""What a collection costs beside its indexes: adds, filters, records, reopening.

Times are wall-clock and the process's CPU; the CPU of a call includes what the background does meanwhile.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llamaindex_vecx.collection import Collection, Record

sys.path.insert(0, str(Path(__file__).parent))

import harness

DIM, WORDS = 384, 60


def make_records(n: int) -> list[Record]:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((n, DIM)).astype(np.float32)
    words = rng.zipf(1.3, (n, WORDS)) % 5000
    return [
        Record(
            f"node-{i:08x}-{i * 7919:x}",
            vectors[i],
            " ".join(f"w{word}" for word in words[i]),
            {
                "year": 2000 + i % 25,
                "source": f"file{i % 100}.txt",
                "page": i,
                "tags": ["ab"[i % 2]],
            },
            '{"class_name": "TextNode"}' * 4,
            f"doc{i // 20}",
        )
        for i in range(n)
    ]


def measure(name: str, call: Callable[[], Any], times: int = 200) -> dict[str, Any]:
    call()
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(times):
        call()
    wall, cpu = (time.perf_counter() - wall) / times, (time.process_time() - cpu) / times
    return {"what": name, "wall ms": 1000 * wall, "CPU ms": 1000 * cpu, "per second": 1 / wall}


def adding(path: Path, records: list[Record], batch: int) -> dict[str, Any]:
    n = len(records)
    with Collection.open(path) as collection:
        wall = time.perf_counter()
        for start in range(0, n, batch):
            collection.add(records[start : start + batch])
        wall = time.perf_counter() - wall
        began = time.perf_counter()
        collection.wait()
        began = time.perf_counter() - began
    return {
        "what": f"add {n:,} in batches of {batch:,}",
        "records/s": n / wall,
        "then wait s": began,
    }


def asking(path: Path, records: list[Record]) -> list[dict[str, Any]]:
    def where(key: str, operator: str, value: Any) -> MetadataFilters:
        return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])

    half = len(records) // 2
    filters = {
        "year == 2003 (1/25)": where("year", "==", 2003),
        "source in 20 of 100": where("source", "in", [f"file{i}.txt" for i in range(20)]),
        "year >= 2012 (25 values)": where("year", ">=", 2012),
        "page < half (all distinct)": where("page", "<", half),
        "tags contains a": where("tags", "contains", "a"),
        "source text_match 9": where("source", "text_match", "9"),
    }
    query = records[1].vector
    with Collection.open(path) as collection:
        collection.wait()
        rows, _ = collection.search(query, 10)
        lines = [
            measure("search k=10", lambda: collection.search(query, 10)),
            measure("records of 10 rows", lambda: collection.records(rows)),
            measure("search_text k=10", lambda: collection.search_text("w1 w7 w300", 10)),
        ]
        for name, chosen in filters.items():
            lines.append(measure(f"select {name}", lambda f=chosen: collection.select(filters=f)))
        lines.append(measure("add of 1, durable", lambda: collection.add(records[:1]), 100))
    return lines


def reopening(path: Path, records: list[Record], state: str) -> dict[str, Any]:
    line: dict[str, Any] = {"what": f"reopen {state}"}
    calls: dict[str, Callable[[Collection], object]] = {
        "search s": lambda collection: collection.search(records[1].vector, 10),
        "filter s": lambda collection: collection.all_rows(),
        "text s": lambda collection: collection.search_text("w1", 10),
    }
    for name, call in calls.items():
        copy = path.with_name("copy")
        shutil.copytree(path, copy)
        start = time.perf_counter()
        with Collection.open(copy) as collection:
            call(collection)
            line[name] = time.perf_counter() - start
        shutil.rmtree(copy)
    return line


def main() -> None:
    arguments = harness.arguments(__doc__ or "")
    n = 10_000 if arguments.quick else 60_000
    print(harness.describe(f"{n:,} generated records, {DIM} dimensions, {WORDS} words"))
    warnings.simplefilter("ignore")
    records = make_records(n)
    folder = Path(tempfile.mkdtemp())
    try:
        with Collection.open(None) as warm:  # kernels compile or load outside the clock
            warm.add(records[:600])
            warm.wait()
            warm.search(records[0].vector, 1)
            warm.search_text("w1", 1)
        adds = [adding(folder / "whole", records, n), adding(folder / "kb", records, 2048)]
        harness.table("Adding", adds)
        lines = asking(folder / "kb", records)
        harness.table("Asking", lines)
        with Collection.open(folder / "kb") as collection:
            collection.wait()
            collection.flush()
        opens = [reopening(folder / "kb", records, "with snapshots")]
        shutil.rmtree(folder / "kb" / "views")
        opens.append(reopening(folder / "kb", records, "without"))
        harness.table("From open to the first answer", opens)
        harness.finish([*adds, *lines, *opens], arguments.json)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
