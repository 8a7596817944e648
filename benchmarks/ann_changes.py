"""What becomes of the graph as it is updated, and as it grows.

Updates: half of the rows, at random, are removed and added again, and then compacted, or come in the place
of others; beside a fresh graph and hnswlib in one interleaved run, see ``ann.py``. Growth: the same data from
10,000 vectors to a million, each size a graph of its own, one thread.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import harness
from ann import DATA, SWEEP, Data, build, generated, measure, points, recall, seconds, shared
from ann_engines import EF_CONSTRUCTION, M, Ours, engines

EQUAL_EF = 64
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
DIM, TARGET = 128, 0.95


class Updated(Ours):
    """Ours, after half of its rows have gone and come back, with the vectors that they had."""

    name = "llamaindex-vecx, half updated"

    def build(self, base: np.ndarray, metric: str, threads: int = 1) -> None:
        super().build(base, metric, threads)
        rng = np.random.default_rng(5)
        gone = rng.permutation(len(base))[: len(base) // 2]
        self.index.remove(np.sort(gone))
        self.index.add(gone, base[gone], threads=threads)


class Replaced(Ours):
    """Ours, half of whose rows had other vectors, the means of two; replaced a twentieth at a time."""

    name = "llamaindex-vecx, half replaced"

    def build(self, base: np.ndarray, metric: str, threads: int = 1) -> None:
        rng = np.random.default_rng(6)
        going, mates = rng.permutation(len(base))[: len(base) // 2], rng.permutation(len(base))
        before = base.copy()
        before[going] = (base[going] + base[mates[: len(going)]]) / 2
        super().build(before, metric, threads)
        for some in np.array_split(going, 10):
            self.index.remove(np.sort(some))
            self.index.add(some, base[some], threads=threads)


class Compacted(Replaced):
    """The same, compacted; what has returned to its old places needs none."""

    name = "the same, compacted"

    def build(self, base: np.ndarray, metric: str, threads: int = 1) -> None:
        super().build(base, metric, threads)
        self.index.compact()


def updates(data: Data, rounds: int) -> list[dict[str, Any]]:
    """The speed table of ``ann.py`` for a fresh graph, updated ones and a compacted one."""
    fresh, hnswlib = engines([])
    every: list[Any] = [fresh, Updated(), Replaced(), Compacted(), hnswlib]
    costs = build(every, data)
    half = len(data.queries) // 2
    at_equal_ef = {
        engine.name: recall(engine.search(data.queries[half:], EQUAL_EF), data.truth[half:])
        for engine in every
    }
    rows = measure(every, data, rounds, costs)
    return [{**row, f"recall at ef {EQUAL_EF}": at_equal_ef[row["index"]]} for row in rows]


def growth(sizes: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    """Time of an insertion and of a query at equal recall, by size."""
    rows = []
    everything = points(sizes[-1] + 1000, DIM)
    queries, base = everything[:1000], everything[1000:]
    for size in sizes:
        data = Data(f"clustered {size:,} × {DIM}", "l2", base[:size], queries)
        ours = Ours()
        start = time.perf_counter()
        spent, _ = seconds(lambda d=data, o=ours: o.build(d.base, d.metric))
        wall = time.perf_counter() - start
        recalls, costs = [], []
        for ef in SWEEP:
            times = [
                seconds(lambda e=ef, d=data, o=ours: o.search(d.queries, e)) for _ in range(rounds)
            ]
            recalls.append(recall(times[0][1], data.truth))
            costs.append(float(np.median([t for t, _ in times])) / len(queries))
            if recalls[-1] > TARGET and len(recalls) > 1:
                break
        rows.append(
            {
                "vectors": f"{size:,}",
                "insertion µs": 1e6 * spent / size,
                "build s": wall,
                "ef": round(float(np.interp(TARGET, recalls, SWEEP[: len(recalls)])), 1),
                "query µs": 1e6 * float(np.exp(np.interp(TARGET, recalls, np.log(costs)))),
                "bytes a vector": saved(ours) / size,
            }
        )
        harness.console.print(rows[-1])
    return rows


def saved(ours: Ours) -> int:
    """Bytes of all arrays in use."""
    with tempfile.TemporaryDirectory() as folder:
        ours.index.save(folder)
        return sum(file.stat().st_size for file in Path(folder).iterdir())


def main() -> None:
    arguments = harness.arguments(
        __doc__ or "",
        data={"choices": DATA, "help": "only this data set for updates"},
        only={"choices": ("updates", "growth"), "help": "only this table"},
    )
    rounds = 3 if arguments.quick else 7
    tables: dict[str, list[dict[str, Any]]] = {"updates": [], "growth": []}
    if arguments.only != "growth":
        for name in ("shared", "clustered-128") if arguments.data is None else (arguments.data,):
            sets = shared(arguments.quick) if name == "shared" else generated(name, arguments.quick)
            for data in sets:
                tables["updates"] += updates(data, rounds)
    if arguments.only != "updates":
        tables["growth"] = growth(SIZES[:3] if arguments.quick else SIZES, 3)
    harness.console.print(harness.describe("see the tables", ["hnswlib"]))
    settings = f"M={M}, ef_construction={EF_CONSTRUCTION}, CPU time, one thread"
    titles = {
        "updates": f"After half of the rows were removed and added again ({settings})",
        "growth": f"From ten thousand vectors to a million, recall@10 {TARGET} ({settings})",
    }
    harness.tables(titles, tables, arguments.json)


if __name__ == "__main__":
    main()
