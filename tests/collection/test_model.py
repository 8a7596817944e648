"""A collection against a dict, under any sequence of changes, reopenings and lost views."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from llama_index.core.vector_stores.types import FilterOperator

from llamaindex_vecx.collection import Collection, Record, engine
from llamaindex_vecx.metrics import as_metric
from tests.collection.making import DIM, all_ids, ids, one, record, vector

numbers = st.integers(0, 30)


class CollectionMachine(RuleBasedStateMachine):
    """The model is a dict from id to record; the oracle is brute force over it."""

    kind = "flat"
    on_disk = True

    @initialize(metric=st.sampled_from(["cosine", "ip", "l2"]))
    def begin(self, metric: str) -> None:
        self.folder = Path(tempfile.mkdtemp()) if self.on_disk else None
        self.model: dict[str, Record] = {}
        self.version = 0
        self.lost = False
        self.metric = metric
        self.rows: set[int] = set()
        self.collection = self.open()

    def open(self) -> Collection:
        return Collection.open(
            self.folder / "kb" if self.folder else None, index=self.kind, metric=self.metric
        )

    def teardown(self) -> None:
        if hasattr(self, "collection"):
            self.collection.close()
            if self.folder:
                shutil.rmtree(self.folder)

    @rule(some=st.lists(numbers, min_size=1, max_size=8, unique=True))
    def add(self, some: list[int]) -> None:
        self.version += 1
        records = [record(i, version=self.version) for i in some]
        self.collection.add(records)
        self.model.update((item.id, item) for item in records)
        rows = self.collection.rows_of([item.id for item in records])
        assert not self.rows & set(rows), "a row number was used again"
        self.rows |= set(rows)

    @rule(count=st.integers(50, 700))
    def add_many(self, count: int) -> None:
        """More than the background takes at a time."""
        records = [record(i, version=9) for i in range(100, 100 + count)]
        self.collection.add(records)
        self.model.update((item.id, item) for item in records)
        self.rows |= set(self.collection.all_rows())

    @rule(some=st.lists(numbers, max_size=5))
    def delete(self, some: list[int]) -> None:
        wanted = {f"id{i}" for i in some}
        gone = self.collection.delete(self.collection.select(ids=sorted(wanted)))
        assert gone == len(wanted & set(self.model))
        for id_ in wanted:
            self.model.pop(id_, None)

    @rule(document=st.integers(0, 40))
    def delete_document(self, document: int) -> None:
        self.collection.delete(self.collection.select(ref_doc_ids=[f"doc{document}"]))
        self.model = {
            id_: item for id_, item in self.model.items() if item.ref_doc_id != f"doc{document}"
        }

    @rule()
    def clear(self) -> None:
        self.collection.clear()
        self.model.clear()

    @rule()
    def wait(self) -> None:
        self.collection.wait()

    @rule()
    def flush(self) -> None:
        self.collection.flush()

    @rule()
    def compact(self) -> None:
        before = set(self.collection.all_rows())
        self.collection.compact()
        after = set(self.collection.all_rows())
        assert after == before or not after & self.rows, "a row number was used again"
        self.rows |= after

    @precondition(lambda self: self.folder)
    @rule()
    def reopen(self) -> None:
        self.collection.close()
        self.collection = self.open()

    @precondition(lambda self: self.folder)
    @rule(name=st.sampled_from(["graph", "text", "metadata", ""]))
    def lose_views(self, name: str) -> None:
        self.collection.close()
        shutil.rmtree(self.folder / "kb" / "views" / name, ignore_errors=True)
        self.lost = True
        self.collection = self.open()

    @rule(seed=st.integers(0, 10**6), k=st.integers(1, 12))
    def search(self, seed: int, k: int) -> None:
        query = vector(seed)
        rows, scores = self.collection.search(query, k)
        self.check(query, k, rows, scores, self.model)

    @rule(seed=st.integers(0, 10**6), k=st.integers(1, 12), bound=st.integers(-1, 40))
    def search_filtered(self, seed: int, k: int, bound: int) -> None:
        query = vector(seed)
        allowed = self.collection.select(filters=one("n", FilterOperator.LTE, bound))
        model = {id_: item for id_, item in self.model.items() if item.metadata["n"] <= bound}
        assert set(ids(self.collection, allowed)) == set(model)
        rows, scores = self.collection.search(query, k, allowed=allowed)
        self.check(query, k, rows, scores, model)

    @rule(i=numbers)
    def search_text(self, i: int) -> None:
        rows, _ = self.collection.search_text(f"number{i}", 50)
        assert ids(self.collection, rows) == [f"id{i}"] * (f"id{i}" in self.model)
        rows, _ = self.collection.search_text(f"version{self.version}", 2000)
        assert set(ids(self.collection, rows)) == {
            id_ for id_, item in self.model.items() if item.metadata["version"] == self.version
        }

    def check(self, query: Any, k: int, rows: Any, scores: Any, model: dict[str, Record]) -> None:
        assert len(rows) == len(scores) == min(k, len(model))
        assert len(set(rows.tolist())) == len(rows)
        assert list(scores) == sorted(scores, reverse=True)
        found = self.collection.records(rows, vectors=True)
        assert all(item is not None for item in found)
        for item in found:
            self.same(item, model[item.id])
        if self.kind != "flat" or not model:
            return
        metric = as_metric(self.metric)
        block = metric.prepare(np.stack([item.vector for item in model.values()]))
        exact = metric.similarity(metric.distances(metric.prepare(query[None, :]), block))[0]
        np.testing.assert_allclose(scores, np.sort(exact)[::-1][:k], rtol=2e-4, atol=2e-5)

    @staticmethod
    def same(found: Record, expected: Record) -> None:
        assert np.array_equal(found.vector, expected.vector)
        assert (found.text, found.metadata, found.content, found.ref_doc_id) == (
            expected.text,
            expected.metadata,
            expected.content,
            expected.ref_doc_id,
        )

    @invariant()
    def everything_is_there(self) -> None:
        if hasattr(self, "collection"):
            assert len(self.collection) == len(self.model)
            assert all_ids(self.collection) == set(self.model)
            if self.model:
                rows, _ = self.collection.search(np.ones(DIM), len(self.model) + 5)
                assert sorted(ids(self.collection, rows)) == sorted(self.model)


class FlatInMemory(CollectionMachine):
    on_disk = False


class GraphOnDisk(CollectionMachine):
    kind = "hnsw"


@pytest.mark.parametrize("machine", [CollectionMachine, FlatInMemory, GraphOnDisk])
def test_a_collection_is_a_dict_that_can_be_searched(machine, monkeypatch) -> None:
    monkeypatch.setattr(engine, "_FEW_GONE", 2)  # so that compactions number the rows anew
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lost views warn; tests/faults look at that
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=30,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
