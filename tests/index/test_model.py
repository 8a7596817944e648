"""Any order of calls, against a dict."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llamaindex_vecx.index import FAISS, HNSW, Flat, VectorIndex

from .helpers import METRICS, normal

DIM = 6
POOL = np.concatenate([normal(60, DIM), np.repeat(normal(1, DIM, 1), 20, axis=0)])


class AnyIndex(RuleBasedStateMachine):
    """Rows and vectors in a dict, and in an index; the answers must agree."""

    kind: type[Flat] | type[HNSW] | type[FAISS]
    settings: dict[str, object] = {}  # noqa: RUF012

    @initialize(metric=st.sampled_from(METRICS), seed=st.integers(0, 5))
    def start(self, metric: str, seed: int) -> None:
        settings = self.settings if self.kind is not HNSW else {**self.settings, "seed": seed}
        self.index: VectorIndex = self.kind(DIM, metric, **settings)  # type: ignore[arg-type]
        self.rows: dict[int, int] = {}
        self.next_row = 3

    @rule(picks=st.lists(st.integers(0, len(POOL) - 1), max_size=30), gap=st.integers(0, 3))
    def add(self, picks: list[int], gap: int) -> None:
        rows = [self.next_row + i for i in range(len(picks))]
        self.next_row += len(picks) + gap
        self.index.add(np.array(rows, np.int64), POOL[picks].reshape(-1, DIM))
        self.rows.update(zip(rows, picks, strict=True))

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        rows = data.draw(st.lists(st.integers(0, self.next_row + 2), max_size=20))
        gone = {row for row in rows if row in self.rows}
        assert self.index.remove(rows) == len(gone)
        for row in gone:
            del self.rows[row]

    @rule(data=st.data())
    def add_again(self, data: st.DataObject) -> None:
        free = sorted(set(range(self.next_row)) - set(self.rows))
        if free:
            row, pick = data.draw(st.sampled_from(free)), data.draw(st.integers(0, 79))
            self.index.add([row], POOL[pick : pick + 1])
            self.rows[row] = pick

    @rule()
    def compact(self) -> None:
        self.index.compact()  # type: ignore[attr-defined]

    @precondition(lambda self: getattr(self.index, "due", False))
    @rule()
    def improve(self) -> None:
        assert self.index.improve()  # type: ignore[attr-defined]

    @rule()
    def save_and_load(self) -> None:
        with TemporaryDirectory() as folder:
            self.index.save(Path(folder) / "it", stamp={"n": len(self.rows)})
            before = self.index
            self.index, stamp = self.kind.load(Path(folder) / "it")
            assert stamp == {"n": len(self.rows)}
            assert self.index.params == before.params  # type: ignore[attr-defined]
            assert (self.index.dim, self.index.metric) == (before.dim, before.metric)

    @rule(query=st.integers(0, 79), k=st.integers(1, 100), data=st.data())
    def search(self, query: int, k: int, data: st.DataObject) -> None:
        allowed = None
        if data.draw(st.booleans()):
            share = data.draw(st.sampled_from([0.02, 0.3, 0.9]))
            size = data.draw(st.integers(0, self.next_row + 5))
            allowed = np.random.default_rng(size).random(size) < share
        live = {
            row: pick
            for row, pick in self.rows.items()
            if allowed is None or (row < len(allowed) and allowed[row])
        }
        rows, scores = self.index.search(POOL[query], k, allowed=allowed)
        found = rows[0][rows[0] >= 0].tolist()
        assert len(found) == len(set(found)) == min(k, len(live))
        assert set(found) <= set(live)
        metric = self.index.metric
        vectors = metric.prepare(POOL[[live[row] for row in found]].reshape(-1, DIM))
        distances = metric.distances(metric.prepare(POOL[query : query + 1]), vectors)
        expected = metric.similarity(distances)[0]
        tolerance = 2e-3 if metric.name == "l2" else 1e-4
        assert scores[0, : len(found)] == pytest.approx(expected, abs=tolerance)

    @invariant()
    def agrees(self) -> None:
        assert len(self.index) == len(self.rows)
        for row in (0, 3, self.next_row - 1, self.next_row):
            assert (row in self.index) == (row in self.rows)  # type: ignore[operator]


class AnyFlat(AnyIndex):
    kind = Flat


class AnyHNSW(AnyIndex):
    kind = HNSW
    settings = {"M": 4, "ef_construction": 20}  # noqa: RUF012

    @rule()
    def compact_a_little(self) -> None:
        """Between two steps anything else may happen, also a compaction at once and a reload."""
        self.index.improve()  # type: ignore[attr-defined]


class AnyFAISSGraph(AnyIndex):
    kind = FAISS
    settings = {"factory": "HNSW8"}  # noqa: RUF012


class AnyFAISSLists(AnyIndex):
    kind = FAISS
    settings = {"factory": "IVF4,PQ3x4", "train_at": 20, "nprobe": 4}  # noqa: RUF012


TestFlat = AnyFlat.TestCase
TestHNSW = AnyHNSW.TestCase
TestFAISSGraph = AnyFAISSGraph.TestCase
TestFAISSLists = AnyFAISSLists.TestCase
TestFlat.settings = TestHNSW.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestFAISSGraph.settings = TestFAISSLists.settings = settings(TestFlat.settings, max_examples=25)
