"""How fast is the graph, at which recall? Ours beside others, same M and ef_construction.

hnswlib and faiss, and rabitqlib, scalable-vs, pyvsag and usearch where they are installed. One thread,
CPU time, rounds of all libraries in turn, medians. For speed every call is made twice and the second one
counts: the first reads into the caches what the library before has pushed out. The first half of the queries
chooses which ``ef`` are measured, the second half is scored; QPS is interpolated at equal recall. For the
tables of memory and of ours without AVX-512 each index has a process of its own.
"""

from __future__ import annotations

import gc
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import harness
from ann_apart import Apart
from ann_engines import (
    EF_CONSTRUCTION,
    Hnswlib,
    K,
    M,
    Ours,
    OursAvx2,
    OursOnDisk,
    OursPortable,
    engines,
)
from llamaindex_vecx.index import HNSW, Flat

TARGETS = (0.90, 0.95, 0.99)
SWEEP = (
    10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 67, 80, 95, 112, 134, 160, 190, 224, 268, 320, 380, 448,
    536, 640, 760, 896,
)  # fmt: skip
FILTERED = 0.95
MEMORY_AT = (0.95, 0.99)
SELECTIVITIES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.01, 0.001)
DATA = ("shared", "clustered-128", "clustered-768")


@dataclass
class Data:
    name: str
    metric: str
    base: np.ndarray
    queries: np.ndarray
    truth: np.ndarray = field(init=False)
    flat: Flat = field(init=False)

    def __post_init__(self) -> None:
        self.flat = Flat(self.base.shape[1], self.metric)
        self.flat.add(np.arange(len(self.base)), self.base)
        self.truth = self.flat.search(self.queries, K)[0]


def recall(found: np.ndarray, truth: np.ndarray) -> float:
    hits = sum(len(set(a) & set(b) - {-1}) for a, b in zip(found, truth, strict=True))
    return hits / max(1, int((truth >= 0).sum()))


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def shared(quick: bool) -> Iterable[Data]:
    file = harness.DATA / "ann" / "debian-minilm-384.f16.npy"
    if not file.exists():
        harness.console.print(f"{file} is not there: set VECX_DATA to the folder of shared data")
        return
    vectors = np.load(file).astype(np.float32)
    stop = 16_000 if quick else len(vectors)
    yield Data(f"debian-minilm {stop - 1000:,} × 384", "cosine", vectors[1000:stop], vectors[:1000])


def generated(name: str, quick: bool) -> Iterable[Data]:
    n, dim, metric = (200_000, 128, "l2") if name == "clustered-128" else (100_000, 768, "cosine")
    n = n // 20 if quick else n
    found = points(n + 1000, dim)
    yield Data(f"clustered {n:,} × {dim}", metric, found[1000:], found[:1000])


def points(count: int, dim: int) -> np.ndarray:
    """Gaussian clusters of uneven size, float32 (count, dim)."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((300, dim)).astype(np.float32)
    weights = rng.pareto(1.5, 300) + 0.1
    found = rng.standard_normal((count, dim), np.float32)
    found *= np.float32(0.5)
    found += centres[rng.choice(300, count, p=weights / weights.sum())]
    return found


def build(engines: list[Any], data: Data) -> dict[str, tuple[float, float]]:
    """CPU seconds and resident bytes a vector of each. Ours compiles first: that is paid once a machine."""
    warm = HNSW(data.base.shape[1], data.metric)
    warm.add(np.arange(500), data.base[:500])
    warm.search(data.queries[:2], 1, ef_search=2)
    costs = {}
    for engine in engines:
        before = resident()
        spent, _ = seconds(lambda e=engine: e.build(data.base, data.metric))
        costs[engine.name] = spent, (resident() - before) / len(data.base)
    return costs


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def threads(data: Data) -> list[dict[str, Any]]:
    """Ours with two threads: a build, and a batch of queries, CPU time and wall time of each."""
    rows = []
    for count in (1, 2):
        start = time.perf_counter()
        spent, index = seconds(lambda c=count: built(data, c))
        wall = time.perf_counter() - start
        start = time.perf_counter()
        asked, found = seconds(lambda i=index, c=count: i.search(data.queries, 64, c))
        rows.append(
            {
                "data": data.name,
                "threads": count,
                "build CPU s": spent,
                "build wall s": wall,
                "recall@10": recall(found, data.truth),
                "search CPU s": asked,
                "search wall s": time.perf_counter() - start,
            }
        )
    return rows


def built(data: Data, count: int) -> Ours:
    index = Ours()
    index.build(data.base, data.metric, count)
    return index


def single(data: Data, ours: Ours) -> dict[str, Any]:
    """What a call from Python costs beyond its share of a batch, in µs."""
    asked = data.queries[len(data.queries) // 2 :]
    batch, calls = [], []
    for _ in range(15):
        spent, _ = seconds(lambda: ours.search(asked, 20))
        batch.append(spent / len(asked))
        for query in asked:
            start = time.perf_counter()
            ours.search(query, 20)
            calls.append(time.perf_counter() - start)
    return {
        "data": data.name,
        "batch µs a query": 1e6 * float(np.median(batch)),
        "single p50 µs": 1e6 * float(np.median(calls)),
    }


def measure(
    engines: list[Any], data: Data, rounds: int, costs: dict[str, tuple[float, float]]
) -> list[dict[str, Any]]:
    half = len(data.queries) // 2
    score = slice(half, 2 * half)
    grids = {engine.name: grid(engine, data, slice(half)) for engine in engines}
    runs: dict[tuple[str, int], list[float]] = {}
    recalls: dict[tuple[str, int], float] = {}
    for _ in range(rounds):
        for engine in engines:
            for ef in grids[engine.name]:
                asked(engine, data, score, ef)
                spent, found = asked(engine, data, score, ef)
                runs.setdefault((engine.name, ef), []).append(spent)
                recalls[engine.name, ef] = recall(found, data.truth[score])
    rows = []
    for target in TARGETS:
        speeds = {}
        for engine in engines:
            efs = grids[engine.name]
            curve = [recalls[engine.name, ef] for ef in efs]
            cost = [np.log(np.median(runs[engine.name, ef]) / half) for ef in efs]
            reached = curve[0] <= target <= curve[-1]
            speeds[engine.name] = (
                float(np.exp(-np.interp(target, curve, cost))) if reached else None,
                float(np.interp(target, curve, efs)),
            )
        reference = speeds["hnswlib"][0]
        for engine in engines:
            qps, ef = speeds[engine.name]
            rows.append(
                {
                    "data": data.name,
                    "metric": data.metric,
                    "recall@10": target,
                    "index": engine.name,
                    "ef": round(ef, 1),
                    "QPS": qps,
                    "× hnswlib": qps / reference if qps and reference else None,
                    "build s": costs[engine.name][0],
                    "build × hnswlib": costs[engine.name][0] / costs["hnswlib"][0],
                    "bytes a vector": round(costs[engine.name][1]),
                }
            )
    return rows


def asked(engine: Any, data: Data, some: slice, ef: int) -> tuple[float, np.ndarray]:
    """CPU seconds of one call for some of the queries, and its answer; in whose process ever."""
    if isinstance(engine, Apart):
        return engine.search(ef, some)
    return seconds(lambda: engine.search(data.queries[some], ef))


def grid(engine: Any, data: Data, some: slice) -> list[int]:
    """The ``ef`` of the sweep that enclose a target, and one more on either side for the other half."""
    curve: list[float] = []
    for ef in SWEEP:
        curve.append(recall(asked(engine, data, some, ef)[1], data.truth[some]))
        if len(curve) > 1 and curve[-2] > TARGETS[-1]:
            break
    keep: set[int] = set()
    for target in TARGETS:
        at = int(np.searchsorted(curve, target))
        keep.update(i for i in range(at - 2, at + 3) if 0 <= i < len(curve))
    return [SWEEP[i] for i in sorted(keep)]


def selections(data: Data) -> Iterable[tuple[str, np.ndarray, np.ndarray]]:
    """Kinds of filters: queries that ask, and rows in the order in which a filter allows them.

    A direction near one of the queries tells which rows lie to their side and which away from them.
    """
    half = len(data.queries) // 2
    asked = unit(data.queries[half:])
    direction = unit(data.queries[:half]).mean(axis=0) + 3 * unit(data.queries[:1])[0]
    leaning = data.queries[half:][np.argsort(-(asked @ direction))[:200]]
    nearest = np.argsort(-(unit(data.base) @ direction))
    yield "random", data.queries[-200:], np.random.default_rng(1).permutation(len(data.base))
    yield "to the queries' side", leaning, nearest
    yield "away from them", leaning, nearest[::-1]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filters(engines: list[Any], data: Data, rounds: int) -> list[dict[str, Any]]:
    """QPS at the least ``ef`` that reaches the recall, as a share of that without a filter.

    And as a share of the QPS without one at the filtered recall, or at 0.99 where that is higher.
    """
    rows = []
    for kind, queries, order in selections(data):
        alone: dict[str, list[tuple[float, float]]] = {}
        for share in SELECTIVITIES:
            allowed = np.zeros(len(data.base), bool)
            allowed[order[: max(K, round(share * len(order)))]] = True
            truth = data.flat.search(queries, K, allowed=allowed)[0]
            for engine in engines:
                for ef in SWEEP:
                    found = filtered(engine, queries, ef, allowed)
                    reached = recall(found, truth)
                    if share == 1.0:
                        alone.setdefault(engine.name, []).append(
                            (reached, rate(engine, queries, ef, allowed, rounds))
                        )
                    if reached >= (TARGETS[-1] if share == 1.0 else FILTERED):
                        break
                plain = alone[engine.name]
                if share == 1.0:
                    at = next(n for n, (known, _) in enumerate(plain) if known >= FILTERED)
                    ef, (reached, qps) = SWEEP[at], plain[at]
                    found = filtered(engine, queries, ef, allowed)
                else:
                    qps = rate(engine, queries, ef, allowed, rounds)
                rows.append(
                    {
                        "data": data.name,
                        "filter": kind,
                        "allowed": f"{100 * share:g} %",
                        "index": engine.name,
                        "ef": ef,
                        "recall@10": reached,
                        "fewest results": int((found >= 0).sum(axis=1).min()),
                        "not allowed": int((~allowed[found[found >= 0]]).sum()),
                        "QPS": qps,
                        "of unfiltered": qps / at_least(plain, FILTERED),
                        "at its recall": qps / at_least(plain, min(reached, TARGETS[-1])),
                    }
                )
    return rows


def rate(engine: Any, queries: np.ndarray, ef: int, allowed: np.ndarray, rounds: int) -> float:
    """QPS, a median."""
    spent = [seconds(lambda: filtered(engine, queries, ef, allowed))[0] for _ in range(rounds)]
    return len(queries) / float(np.median(spent))


def at_least(curve: list[tuple[float, float]], wanted: float) -> float:
    """The QPS of the first point of a curve that reaches a recall; of the last where none does."""
    return next((qps for reached, qps in curve if reached >= wanted), curve[-1][1])


def filtered(engine: Any, queries: np.ndarray, ef: int, allowed: np.ndarray) -> np.ndarray:
    return engine.search(queries, ef) if allowed.all() else engine.filtered(queries, ef, allowed)


def portable(data: Data, rounds: int) -> list[dict[str, Any]]:
    """The table of speed for ours without AVX-512, with it, and hnswlib, each in its own process.

    Without it by the kernels of AVX2 and by the portable ones, both compiled for a CPU with AVX2. That
    there is none is seen in the machine code, which each process therefore compiles anew.
    """
    with tempfile.TemporaryDirectory() as cache:
        apart = [
            Apart(
                kind,
                data.base,
                data.queries,
                data.metric,
                {"LLAMAINDEX_VECX_CACHE_DIR": cache, **getattr(kind, "environment", {})},
            )
            for kind in (OursAvx2, OursPortable, Ours, Hnswlib)
        ]
    words = ("zmm", "vpdpbusd", "vpmaddubsw")
    seen = {engine.name: engine.occurrences(*words) for engine in apart}
    without = [seen[kind.name] or [] for kind in (OursAvx2, OursPortable)]
    if any(without[0][:2]) or not without[0][2] or any(without[1]):
        raise RuntimeError(f"not the instructions expected, of {words}: {seen}")
    costs = {
        engine.name: (engine.spent, sum(engine.resident().values()) / len(data.base))
        for engine in apart
    }
    rows = measure(apart, data, rounds, costs)
    for engine in apart:
        engine.close()
    return [
        {**row, **dict(zip(words, seen[row["index"]] or (None,) * len(words), strict=True))}
        for row in rows
    ]


def memory(data: Data, rounds: int) -> list[dict[str, Any]]:
    """What is resident after a build and a thousand queries, and QPS there, each in its own process."""
    choose, score = slice(0, len(data.queries) // 2), slice(len(data.queries) // 2, None)
    apart = [
        Apart(kind, data.base, data.queries, data.metric) for kind in (Ours, OursOnDisk, Hnswlib)
    ]
    efs = {
        (engine.name, target): least(engine, target, choose, data.truth[choose])
        for engine in apart
        for target in MEMORY_AT
    }
    runs: dict[tuple[str, float], list[tuple[float, float]]] = {}
    recalls: dict[tuple[str, float], float] = {}
    for _ in range(rounds):
        for engine in apart:
            for target in MEMORY_AT:
                key = engine.name, target
                batch, found = engine.search(efs[key], score)
                runs.setdefault(key, []).append((batch, engine.one_by_one(efs[key], score)))
                recalls[key] = recall(found, data.truth[score])
    count = len(data.queries[score])
    held = {engine.name: engine.resident() for engine in apart}
    rows = []
    for target in MEMORY_AT:
        for engine in apart:
            key = engine.name, target
            batch, single = np.median(runs[key], axis=0) / count
            theirs, alone = np.median(runs["hnswlib", target], axis=0) / count
            rows.append(
                {
                    "data": data.name,
                    "index": engine.name,
                    "anonymous bytes a vector": round(
                        held[engine.name]["anonymous"] / len(data.base)
                    ),
                    "file": round(held[engine.name]["file"] / len(data.base)),
                    "of hnswlib": sum(held[engine.name].values()) / sum(held["hnswlib"].values()),
                    "at most in the build": round(engine.peak / len(data.base)),
                    "file during a call": round(engine.most_of_files(efs[key]) / len(data.base)),
                    "ef": efs[key],
                    "recall@10": recalls[key],
                    "QPS": 1 / batch,
                    "× hnswlib": theirs / batch,
                    "one by one": 1 / single,
                    "× hnswlib ": alone / single,
                }
            )
    for engine in apart:
        engine.close()
    return rows


def least(engine: Apart, target: float, some: slice, truth: np.ndarray) -> int:
    """The least ``ef`` that reaches a recall, by halving."""
    low, high = K, SWEEP[-1]
    while low < high:
        ef = (low + high) // 2
        if recall(engine.search(ef, some)[1], truth) >= target:
            high = ef
        else:
            low = ef + 1
    return low


def main() -> None:
    arguments = harness.arguments(
        __doc__ or "",
        data={"choices": DATA, "help": "only this data set"},
        only={
            "choices": ("speed", "filters", "calls", "threads", "portable", "memory"),
            "help": "only this table",
        },
        beside={"nargs": "*", "metavar": "NAME", "help": "only these libraries, and hnswlib"},
    )
    rounds = 3 if arguments.quick else 7
    names: list[str] = []
    tables: dict[str, list[dict[str, Any]]] = {
        "speed": [],
        "filters": [],
        "threads": [],
        "calls": [],
        "portable": [],
        "memory": [],
    }
    for name in DATA if arguments.data is None else (arguments.data,):
        sets = shared(arguments.quick) if name == "shared" else generated(name, arguments.quick)
        for data in sets:
            names.append(data.name)
            for only, table in (("portable", portable), ("memory", memory)):
                if arguments.only == only or (arguments.only is None and name == "shared"):
                    tables[only] += table(data, rounds)
            if arguments.only in ("portable", "memory"):
                continue
            every = engines(arguments.beside)
            costs = build(every, data)
            wanted = tables if arguments.only is None else (arguments.only,)
            if "speed" in wanted:
                tables["speed"] += measure(every, data, rounds, costs)
            if "filters" in wanted:
                able = [engine for engine in every if hasattr(engine, "filtered")]
                tables["filters"] += filters(able, data, min(rounds, 3))
            if "calls" in wanted:
                tables["calls"].append(single(data, every[0]))
            if "threads" in wanted:
                tables["threads"] += threads(data)
    packages = ["hnswlib", "faiss-cpu", "rabitqlib", "scalable-vs", "pyvsag", "usearch"]
    harness.console.print(harness.describe("; ".join(names), packages))
    settings = f"M={M}, ef_construction={EF_CONSTRUCTION}, k={K}, CPU time"
    titles = {
        "speed": f"Speed at equal recall ({settings}, one thread)",
        "filters": f"Filters, recall@10 of at least {FILTERED} ({settings}, one thread)",
        "threads": f"Ours, by threads ({settings})",
        "calls": "Ours, one query a call against a batch, ef_search=20",
        "portable": f"Ours without AVX-512, each in its own process ({settings}, one thread)",
        "memory": f"Resident after a build and the queries, each in its own process ({settings})",
    }
    harness.tables(titles, tables, arguments.json)


if __name__ == "__main__":
    main()
