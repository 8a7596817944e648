"""Indexes under study, ours and FAISS's, behind one small face: build, search one query, size."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.evaluation.study.plans import Build
from llamaindex_vecx.evaluation.study.vectors import StudyVectors
from llamaindex_vecx.index import HNSW
from llamaindex_vecx.index.faiss.factory import make
from llamaindex_vecx.index.faiss.runtime import library, openmp
from llamaindex_vecx.metrics import as_metric

__all__ = ["Built", "Engine", "build_index"]

_WARM = 300


class Engine(Protocol):
    """An index that is built."""

    def search(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """Rows (q, k), each query in a call of its own, on one thread."""
        ...

    def tune(self, search: Mapping[str, int]) -> None:
        """Take what the next searches are given."""
        ...

    def size(self) -> int:
        """Bytes of the index's arrays, vectors included."""
        ...


class Built(NamedTuple):
    """An index and what its building took, on one thread."""

    engine: Engine
    seconds: float
    cpu_seconds: float


def build_index(build: Build, vectors: StudyVectors) -> Built:
    """Build an index on one thread.

    Raises
    ------
    InvalidInputError
        A parameter is wrong.
    MissingExtraError
        FAISS is not installed.
    """
    kind = _Faiss if build.engine == "faiss" else _Ours
    engine = kind(build.params, vectors)
    start, cpu_start = time.perf_counter(), time.process_time()
    engine.fill()
    return Built(engine, time.perf_counter() - start, time.process_time() - cpu_start)


class _Ours:
    def __init__(self, params: Mapping[str, Any], vectors: StudyVectors) -> None:
        self._vectors = vectors.base
        self._ef: int | None = None
        dim = vectors.base.shape[1]
        self._index = HNSW(dim, vectors.metric, **params)
        warm = HNSW(dim, vectors.metric, **params)  # compiled once a machine: no part of a build
        warm.add(np.arange(_WARM), np.resize(vectors.base[:_WARM], (_WARM, dim)))
        warm.search(vectors.queries[:2], 1, ef_search=2)

    def fill(self) -> None:
        self._index.add(np.arange(len(self._vectors)), self._vectors, threads=1)

    def tune(self, search: Mapping[str, int]) -> None:
        self._ef = search["ef_search"]

    def search(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        search, ef = self._index.search, self._ef
        return np.concatenate([search(query, k, ef_search=ef)[0] for query in queries])

    def size(self) -> int:
        with tempfile.TemporaryDirectory() as folder:
            self._index.save(Path(folder) / "index")
            return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


class _Faiss:
    """FAISS's own index, without what our store puts around it."""

    def __init__(self, params: Mapping[str, Any], vectors: StudyVectors) -> None:
        metric = as_metric(vectors.metric)
        self._metric = metric
        self._vectors = metric.prepare(vectors.base)
        self._index = make(params["factory"], vectors.base.shape[1], metric)
        self._space = library().ParameterSpace()
        for name, value in params.items():
            if name != "factory":
                self._space.set_index_parameter(self._index, name, value)

    def fill(self) -> None:
        with openmp(1):
            if not self._index.is_trained:
                self._index.train(self._vectors)
            self._index.add(self._vectors)

    def tune(self, search: Mapping[str, int]) -> None:
        for name, value in search.items():
            self._space.set_index_parameter(self._index, name, value)

    def search(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        prepared = self._metric.prepare(queries)
        search = self._index.search
        with openmp(1):
            found = [search(prepared[place : place + 1], k)[1] for place in range(len(prepared))]
        return np.concatenate(found)

    def size(self) -> int:
        return int(library().serialize_index(self._index).nbytes)
