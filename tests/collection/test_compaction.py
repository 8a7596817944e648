"""What a compaction gives back, and what it leaves alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.collection import engine as engine_module
from llamaindex_vecx.collection.registry import _database_to_read, _load
from llamaindex_vecx.collection.schema import DATABASE
from llamaindex_vecx.collection.settings import NOTHING_GIVEN
from llamaindex_vecx.index.hnsw import index as hnsw

from ..conformance.library import near, node, together, where
from .making import all_ids, ids, one, record, vector


def engine_of(collection: Collection):
    return collection._share.engine


def replaced(collection: Collection, count: int, times: int) -> None:
    for version in range(times):
        collection.add([record(i, version=version) for i in range(count)])


def looks(collection: Collection, number: int, version: int) -> None:
    item = record(number, version=version)
    expected = [item.id]
    assert ids(collection, collection.search(item.vector, 1)[0]) == expected
    assert (
        ids(collection, collection.search_text(f"number{number} version{version}", 1)[0])
        == expected
    )
    chosen = collection.select(filters=one("n", "==", number))
    assert ids(collection, collection.search(vector(0), 3, allowed=chosen)[0]) == expected
    assert ids(collection, collection.search_text("cat", 3, allowed=chosen)[0]) == expected


@pytest.mark.parametrize("index", ["hnsw", "flat"])
def test_rows_are_numbered_anew_where_most_numbers_are_gone(tmp_path, index) -> None:
    with Collection.open(tmp_path / "kb", index=index) as collection:
        replaced(collection, 300, 5)
        collection.wait()
        before = collection.all_rows()
        size = collection.seq
        collection.compact()
        after = collection.all_rows()
        assert min(after) > max(before)
        assert max(after) == size + 300 == collection.seq
        engine = engine_of(collection)
        assert engine.state.base == size
        if index == "hnsw":  # taken over, not linked anew
            assert not engine.views.graph.lags
            assert len(engine.views.graph._index) == 300
            assert engine.views.graph._index.tombstones == 0
        assert (
            len(
                engine.views.graph._index._store.table
                if index == "flat"
                else engine.views.graph._index._store.view.table
            )
            <= 1024
        )
        looks(collection, 17, 4)
        collection.add([record(17, version=9), record(1000)])
        looks(collection, 17, 9)
        looks(collection, 1000, 0)
        collection.delete_selected(ids=["id1000"])
        assert all_ids(collection) == {f"id{i}" for i in range(300)}
    with Collection.open(tmp_path / "kb") as collection:
        looks(collection, 17, 9)
        looks(collection, 200, 4)
        assert len(collection) == 300


def test_rows_keep_their_numbers_where_few_are_gone() -> None:
    with Collection.open(None) as collection:
        collection.add([record(i) for i in range(300)])
        collection.delete_selected(ids=["id3"])
        before = collection.all_rows()
        collection.compact()
        assert collection.all_rows() == before


def test_a_search_across_a_compaction_begins_again(tmp_path, monkeypatch) -> None:
    """Threads ask by vector, by filter and by id while the rows get new numbers again and again."""
    monkeypatch.setattr(engine_module, "_FEW_GONE", 0)
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        nodes = [
            node(f"n{i}", f"number{i}", doc=f"doc{i}", vector=vector(i, 4).tolist(), n=i)
            for i in range(60)
        ]
        store.add(nodes)
        ended = threading.Event()
        generations = set()

        def compact() -> None:
            try:
                for _ in range(12):
                    store.add(nodes)
                    store.add(nodes)
                    store.compact()
                    generations.add(engine_of(store.client).state.generation)
            finally:
                ended.set()

        def ask(seed: int) -> None:
            rng = np.random.default_rng(seed)
            while not ended.is_set():
                i = int(rng.integers(60))
                asked = near(0, 3, filters=together("and", where("n", "==", i)))
                assert store.query(asked).ids == [f"n{i}"]
                plain = near(0, 1)
                plain.query_embedding = vector(i, 4).tolist()
                assert len(store.query(plain).ids) == 1
                assert [found.node_id for found in store.get_nodes([f"n{i}"])] == [f"n{i}"]

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(compact), *(pool.submit(ask, seed) for seed in range(3))]:
                done.result(timeout=120)
        assert len(generations) == 12
        store.delete("doc5")
        assert len(store) == 59


def test_a_graph_of_mostly_removed_rows_is_rebuilt_by_itself(monkeypatch) -> None:
    monkeypatch.setattr(hnsw, "_COMPACT_FROM", 200)
    with Collection.open(None) as collection:
        replaced(collection, 700, 2)
        collection.wait()
        graph = engine_of(collection).views.graph
        collection.delete_selected(ids=[f"id{i}" for i in range(100)])
        collection.wait()
        assert len(graph._index) == 600
        assert graph._index.tombstones <= 600
        looks(collection, 300, 1)
        assert len(collection.search(vector(1), 700)[0]) == 600


def test_a_reader_takes_what_the_writer_has_built(tmp_path) -> None:
    with Collection.open(tmp_path / "kb") as writer:
        writer.add([record(0)])
        writer.wait()
        writer.flush()
        reader = _load(
            _database_to_read(tmp_path / "kb" / DATABASE), tmp_path / "kb", NOTHING_GIVEN, None
        )
        try:
            reader.search(vector(0), 1, None, {})
            reader.upkeep.worker.pause()  # it may not link a row before the snapshot is there
            writer.add([record(i) for i in range(1, 5000)])
            writer.wait()
            writer.flush()
            built = writer.seq
            writer.add([record(i) for i in range(5000, 5010)])
            writer.delete_selected(ids=["id7", "id5003"])
            rows, _ = reader.search(vector(4000), 1, None, {})  # all of it through the tail
            assert [item.id for item in reader.records(rows.tolist(), False)] == ["id4000"]
            graph = reader.views.graph
            assert graph.done < built
            reader.upkeep._overtake(graph)
            assert graph.done == built
            found = reader.records(reader.search(vector(1), 6000, None, {})[0].tolist(), True)
            assert {item.id for item in found} == {f"id{i}" for i in range(5010)} - {
                "id7",
                "id5003",
            }
            reader.upkeep.worker.resume()
            reader.wait()
            assert graph.done == graph.seen == writer.seq
            assert len(graph._index) == 5008
        finally:
            reader.close()
