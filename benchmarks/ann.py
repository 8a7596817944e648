"""How fast is the graph, at which recall? Ours beside hnswlib and faiss, same M and ef_construction.

One thread each, CPU time, rounds of all libraries in turn, medians. The first half of the queries chooses
which ``ef`` are measured, the second half is scored; QPS is interpolated at equal recall.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import faiss
import hnswlib
import numpy as np

import harness
from llamaindex_vecx.index import HNSW, Flat

M, EF_CONSTRUCTION, K = 16, 200, 10
TARGETS = (0.90, 0.95, 0.99)
SWEEP = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896)
SELECTIVITIES = (1.0, 0.5, 0.1, 0.01, 0.001)


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


class Engine(Protocol):
    name: str

    def build(self, data: Data) -> None: ...
    def search(self, queries: np.ndarray, ef: int) -> np.ndarray: ...


class Ours:
    name = "llamaindex-vecx"

    def build(self, data: Data) -> None:
        self.index = HNSW(data.base.shape[1], data.metric, M=M, ef_construction=EF_CONSTRUCTION)
        self.index.add(np.arange(len(data.base)), data.base)

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        return self.index.search(queries, K, ef_search=ef)[0]

    def filtered(self, queries: np.ndarray, ef: int, allowed: np.ndarray) -> np.ndarray:
        return self.index.search(queries, K, ef_search=ef, allowed=allowed)[0]


class Hnswlib:
    name = "hnswlib"

    def build(self, data: Data) -> None:
        self.index = hnswlib.Index(data.metric, data.base.shape[1])
        self.index.init_index(len(data.base), M=M, ef_construction=EF_CONSTRUCTION)
        self.index.set_num_threads(1)
        self.index.add_items(data.base, np.arange(len(data.base)), num_threads=1)

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        self.index.set_ef(ef)
        return self.index.knn_query(queries, K, num_threads=1)[0].astype(np.int64)


class Faiss:
    name = "faiss"

    def build(self, data: Data) -> None:
        faiss.omp_set_num_threads(1)
        self.cosine = data.metric == "cosine"
        kind = faiss.METRIC_L2 if data.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        self.index = faiss.IndexHNSWFlat(data.base.shape[1], M, kind)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.add(self._prepared(data.base))

    def search(self, queries: np.ndarray, ef: int) -> np.ndarray:
        self.index.hnsw.efSearch = ef
        return self.index.search(self._prepared(queries), K)[1]

    def filtered(self, queries: np.ndarray, ef: int, allowed: np.ndarray) -> np.ndarray:
        bitmap = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(bitmap)
        params = faiss.SearchParametersHNSW(sel=selector, efSearch=ef)
        return self.index.search(self._prepared(queries), K, params=params)[1]

    def _prepared(self, vectors: np.ndarray) -> np.ndarray:
        if not self.cosine:
            return vectors
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)


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


def generated(quick: bool) -> Iterable[Data]:
    """Gaussian clusters of uneven size, the queries from the same."""
    n, dim, clusters = (12_000, 64, 100) if quick else (60_000, 128, 300)
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((clusters, dim))
    weights = rng.pareto(1.5, clusters) + 0.1
    chosen = rng.choice(clusters, n + 1000, p=weights / weights.sum())
    points = (centres[chosen] + 0.5 * rng.standard_normal((n + 1000, dim))).astype(np.float32)
    yield Data(f"clustered {n:,} × {dim}", "l2", points[1000:], points[:1000])


def build(engines: list[Any], data: Data) -> dict[str, float]:
    """CPU seconds of each build. Ours compiles beforehand: that is paid once a machine."""
    warm = HNSW(data.base.shape[1], data.metric)
    warm.add(np.arange(500), data.base[:500])
    warm.search(data.queries[:2], 1, ef_search=2)
    return {engine.name: seconds(lambda e=engine: e.build(data))[0] for engine in engines}


def measure(
    engines: list[Any], data: Data, rounds: int, times: dict[str, float]
) -> list[dict[str, Any]]:
    half = len(data.queries) // 2
    choose, score = data.queries[:half], data.queries[half:]
    grids = {engine.name: grid(engine, choose, data.truth[:half]) for engine in engines}
    runs: dict[tuple[str, int], list[float]] = {}
    recalls: dict[tuple[str, int], float] = {}
    for _ in range(rounds):
        for engine in engines:
            for ef in grids[engine.name]:
                spent, found = seconds(lambda e=engine, ef=ef: e.search(score, ef))
                runs.setdefault((engine.name, ef), []).append(spent)
                recalls[engine.name, ef] = recall(found, data.truth[half:])
    rows = []
    for target in TARGETS:
        speeds = {}
        for engine in engines:
            efs = grids[engine.name]
            curve = [recalls[engine.name, ef] for ef in efs]
            cost = [np.log(np.median(runs[engine.name, ef]) / len(score)) for ef in efs]
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
                    "build s": times[engine.name],
                    "build × hnswlib": times[engine.name] / times["hnswlib"],
                }
            )
    return rows


def grid(engine: Engine, queries: np.ndarray, truth: np.ndarray) -> list[int]:
    """The ``ef`` of the sweep that enclose a target, and one more on either side for the other half."""
    curve: list[float] = []
    for ef in SWEEP:
        curve.append(recall(engine.search(queries, ef), truth))
        if len(curve) > 1 and curve[-2] > TARGETS[-1]:
            break
    keep: set[int] = set()
    for target in TARGETS:
        at = int(np.searchsorted(curve, target))
        keep.update(i for i in range(at - 2, at + 3) if 0 <= i < len(curve))
    return [SWEEP[i] for i in sorted(keep)]


def filters(engines: list[Any], data: Data, rounds: int) -> list[dict[str, Any]]:
    rows = []
    queries = data.queries[len(data.queries) // 2 :]
    order = np.random.default_rng(1).permutation(len(data.base))
    for share in SELECTIVITIES:
        allowed = np.zeros(len(data.base), bool)
        allowed[order[: round(share * len(order))]] = True
        truth = data.flat.search(queries, K, allowed=allowed)[0]
        for engine in engines:
            spent = []
            for _ in range(rounds):
                time_, found = seconds(lambda e=engine, a=allowed: e.filtered(queries, 64, a))
                spent.append(time_)
            rows.append(
                {
                    "data": data.name,
                    "allowed": f"{100 * share:g} %",
                    "index": engine.name,
                    "recall@10": recall(found, truth),
                    "fewest results": int((found >= 0).sum(axis=1).min()),
                    "not allowed": int((~allowed[found[found >= 0]]).sum()),
                    "QPS": len(queries) / float(np.median(spent)),
                }
            )
    return rows


def main() -> None:
    arguments = harness.arguments(__doc__ or "")
    rounds = 3 if arguments.quick else 7
    names = []
    curves: list[dict[str, Any]] = []
    filtered: list[dict[str, Any]] = []
    for data in (*shared(arguments.quick), *generated(arguments.quick)):
        names.append(data.name)
        engines = [Ours(), Hnswlib(), Faiss()]
        times = build(engines, data)
        curves += measure(engines, data, rounds, times)
        filtered += filters([engines[0], engines[2]], data, min(rounds, 3))
    harness.console.print(harness.describe("; ".join(names), ["hnswlib", "faiss-cpu"]))
    settings = f"M={M}, ef_construction={EF_CONSTRUCTION}, k={K}, one thread, CPU time"
    harness.table(f"Speed at equal recall ({settings})", curves)
    harness.table(f"Random filters, ef_search=64 ({settings})", filtered)
    harness.finish(
        [{"table": "speed", **row} for row in curves]
        + [{"table": "filters", **row} for row in filtered],
        arguments.json,
    )


if __name__ == "__main__":
    main()
