"""Measuring every configuration of a plan."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import MissingExtraError
from llamaindex_vecx.evaluation.study.engines import Built, build_index
from llamaindex_vecx.evaluation.study.plans import Build, Group, Plan
from llamaindex_vecx.evaluation.study.record import StudyRecord, machine
from llamaindex_vecx.evaluation.study.vectors import StudyVectors
from llamaindex_vecx.index import Flat
from llamaindex_vecx.metrics import as_metric

__all__ = ["Progress", "recalls", "run_study"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""(configurations done, of how many, what is done now)."""

ROUNDS = 3
_TIE = 1e-5
"""Relative: two vectors that are as near but for rounding are as good an answer."""


def run_study(
    vectors: StudyVectors,
    plan: Plan,
    folder: str | Path,
    *,
    rounds: int = ROUNDS,
    progress: Progress | None = None,
) -> StudyRecord:
    """Build every index of a plan, search it with every value, and write each result down at once.

    Everything runs on one thread, each query in a call of its own, as a store asks. The indexes of a group
    are searched in turn, ``rounds`` times, and the median counts. Times are CPU time, wall-clock time
    stands beside them. What is in the folder already is not measured again; an index of which only some
    values are measured is built again for the others, and keeps its first time.

    Parameters
    ----------
    vectors : StudyVectors
    plan : Plan
    folder : str or Path
        For ``study.json``.
    rounds : int
    progress : callable, optional

    Returns
    -------
    StudyRecord
        A configuration that failed is marked in it, and the others are kept.

    Raises
    ------
    InvalidInputError
        The folder has a study of other vectors.
    MissingExtraError
        The plan has FAISS indexes, and FAISS is not installed.
    """
    record = StudyRecord.open(folder, vectors, plan.k)
    record.planned = list(dict.fromkeys([*record.planned, *plan.keys()]))
    record.failed = {}
    here = machine()
    if here not in record.machines:
        record.machines.append(here)
    record.save()
    wanted = set(plan.keys())

    def tell(what: str) -> None:
        if progress is not None:
            progress(len(wanted & {*record.rows, *record.failed}), len(wanted), what)

    tell("exact answers")
    truth: NDArray[np.int64] | None = None
    for group in plan.groups:
        left = [build for build in group if _left(build, record)]
        if not left:
            continue
        if truth is None:
            truth = _exact(vectors, plan.k)
        _run_group(tuple(left), vectors, truth, record, rounds, tell)
    tell("done")
    return record


def recalls(
    vectors: StudyVectors, found: NDArray[np.int64], truth: NDArray[np.int64]
) -> dict[str, float]:
    """recall@1, and recall@k where k is more.

    A row counts that is as near as the k-th of the exact answer, so that an index is not blamed for
    another order of equal vectors.

    Parameters
    ----------
    found, truth : int64, shape (q, k)
        Rows, -1 where nothing was found.
    """
    values = {}
    for k in sorted({1, truth.shape[1]}):
        near = _similarities(vectors, found[:, :k])
        least = _similarities(vectors, truth[:, k - 1 : k])
        good = near >= least - _TIE * np.maximum(np.abs(least), 1e-6)
        distinct = np.array([len(set(row[row >= 0].tolist())) for row in found[:, :k]])
        values[f"recall@{k}"] = float(np.minimum(good.sum(axis=1), distinct).mean() / k)
    return values


def _left(build: Build, record: StudyRecord) -> bool:
    return any(build.key_of(search) not in record.rows for search in build.searches())


def _exact(vectors: StudyVectors, k: int) -> NDArray[np.int64]:
    flat = Flat(vectors.base.shape[1], vectors.metric)
    flat.add(np.arange(len(vectors.base)), vectors.base)
    return flat.search(vectors.queries, k)[0]


def _similarities(vectors: StudyVectors, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Higher is nearer; -inf for no row. In one way for every engine, whatever it computed itself."""
    metric = as_metric(vectors.metric)
    queries = metric.prepare(vectors.queries).astype(np.float64)
    found = metric.prepare(vectors.base[np.maximum(rows, 0).ravel()]).astype(np.float64)
    found = found.reshape(*rows.shape, -1)
    if metric.name == "l2":
        scores = -((found - queries[:, None]) ** 2).sum(axis=2)
    else:
        scores = np.einsum("qkd,qd->qk", found, queries)
    return np.asarray(np.where(rows >= 0, scores, -np.inf))


def _run_group(
    group: Group,
    vectors: StudyVectors,
    truth: NDArray[np.int64],
    record: StudyRecord,
    rounds: int,
    tell: Callable[[str], None],
) -> None:
    built: dict[Build, Built] = {}
    for build in group:
        tell(f"building {build.key}")
        try:
            built[build] = build_index(build, vectors)
        except MissingExtraError:
            raise
        except Exception as error:  # FAISS refuses what it can't train, each kind in its own way
            reason = str(error).strip().split("\n")[-1]
            for search in build.searches():
                record.failed[build.key_of(search)] = f"{type(error).__name__}: {reason}"
            record.save()
    sizes = {build: index.engine.size() for build, index in built.items()}
    most = max((len(build.searches()) for build in built), default=0)
    for place in range(most):
        turn = {
            build: search
            for build in built
            for search in build.searches()[place : place + 1]
            if build.key_of(search) not in record.rows
        }
        measured = _measure({build: built[build] for build in turn}, turn, vectors, truth, rounds)
        for build, search in turn.items():
            key = build.key_of(search)
            record.add(
                key, _row(build, search, built[build], sizes[build], measured[build], record)
            )
            tell(key)


def _measure(
    built: dict[Build, Built],
    turn: dict[Build, dict[str, int]],
    vectors: StudyVectors,
    truth: NDArray[np.int64],
    rounds: int,
) -> dict[Build, dict[str, float]]:
    """Milliseconds and recall of one value for each index."""
    count, k = len(vectors.queries), truth.shape[1]
    times: dict[Build, list[tuple[float, float]]] = {build: [] for build in built}
    found: dict[Build, NDArray[np.int64]] = {}
    for build, search in turn.items():
        built[build].engine.tune(search)
        built[build].engine.search(vectors.queries[:10], k)
    for _ in range(rounds):
        for build in turn:
            start, cpu_start = time.perf_counter(), time.process_time()
            found[build] = built[build].engine.search(vectors.queries, k)
            times[build].append((time.process_time() - cpu_start, time.perf_counter() - start))
    return {
        build: {
            "ms": 1e3 * statistics.median(cpu for cpu, _ in times[build]) / count,
            "wall_ms": 1e3 * statistics.median(wall for _, wall in times[build]) / count,
            **recalls(vectors, found[build], truth),
        }
        for build in turn
    }


def _row(
    build: Build,
    search: dict[str, int],
    index: Built,
    size: int,
    measured: dict[str, float],
    record: StudyRecord,
) -> dict[str, object]:
    """One configuration. The time of an index that was built before, in another run, is the first one."""
    same = (row for row in record.rows.values() if row["index"] == build.key)
    first = next(same, {"index_s": index.cpu_seconds, "wall_index_s": index.seconds})
    return {
        "engine": build.engine,
        "index": build.key,
        "build": dict(build.params),
        "search": dict(search),
        "index_s": first["index_s"],
        "wall_index_s": first["wall_index_s"],
        "mb": size / 1e6,
        **measured,
    }
