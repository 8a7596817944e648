"""Opening, copying, persisting and describing a store."""

from __future__ import annotations

import copy
import pickle

import pytest

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore
from llamaindex_vecx.errors import (
    InvalidInputError,
    NotACollectionError,
    SettingsConflictError,
    UnsupportedError,
)

from ..conformance.library import IDS, library, near


def test_repr_says_what_it_is(tmp_path):
    store = HNSWVectorStore(path=tmp_path / "kb", M=8)
    store.add(library())
    assert repr(store) == (
        f"HNSWVectorStore(path='{tmp_path / 'kb'}', nodes=10, dim=4, metric='cosine', "
        "M=8, ef_construction=200, ef_search=64, on_disk=False)"
    )
    assert (
        repr(FlatVectorStore()) == "FlatVectorStore(in memory, nodes=0, dim=None, metric='cosine')"
    )


def test_an_empty_store_is_still_true():
    assert len(FlatVectorStore()) == 0
    assert FlatVectorStore()


def test_stored_settings_win_and_conflicts_name_both(tmp_path):
    with HNSWVectorStore(path=tmp_path / "kb", M=8, metric="l2") as store:
        store.add(library())
    with HNSWVectorStore(path=tmp_path / "kb") as again:
        assert (again.M, again.metric, again.dim) == (8, "l2", 4)
    with pytest.raises(SettingsConflictError, match=r"cosine.*l2|l2.*cosine"):
        HNSWVectorStore(path=tmp_path / "kb", metric="cosine")
    with pytest.raises(SettingsConflictError, match=r"M.*32.*8|M.*8.*32"):
        HNSWVectorStore(path=tmp_path / "kb", M=32)


@pytest.mark.parametrize(
    "settings",
    [{"M": 0}, {"M": "many"}, {"ef_search": -1}, {"metric": "hamming"}, {"tokenizer": "klingon"},
     {"durability": "maybe"}, {"dim": 0}],
)  # fmt: skip
def test_settings_that_make_no_sense(tmp_path, settings):
    (name,) = settings
    with pytest.raises(ValueError, match=name):
        HNSWVectorStore(path=tmp_path / "kb", **settings)
    assert not (tmp_path / "kb").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear friend")
    with pytest.raises(NotACollectionError, match=str(tmp_path)):
        HNSWVectorStore(path=tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_a_copy_has_the_nodes_or_is_refused(tmp_path, copied):
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        store.add(library())
        twin = copied(store)
        assert list(twin.query(near(3)).ids) == list(store.query(near(3)).ids)
        twin.close()
    memory = FlatVectorStore()
    memory.add(library())
    with pytest.raises(UnsupportedError, match="path"):
        copied(memory)


def test_ef_search_is_an_option_of_a_query_of_hnsw_alone(tmp_path):
    store = HNSWVectorStore()
    store.add(library())
    assert store.query(near(4, 3), ef_search=10).ids == store.query(near(4, 3)).ids
    with pytest.raises(InvalidInputError, match="ef_search"):
        FlatVectorStore().query(near(4, 3), ef_search=10)


def test_compact_changes_no_answer(tmp_path):
    with HNSWVectorStore(path=tmp_path / "kb") as store:
        store.add(library())
        store.delete("doc1")
        before = store.query(near(0, 20))
        store.compact()
        after = store.query(near(0, 20))
        assert (after.ids, after.similarities) == (before.ids, before.similarities)


def test_a_relative_path_holds_when_the_process_moves_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with HNSWVectorStore(path="kb") as store:
        store.add(library()[:5])
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.add(library()[5:])
        store.flush()
        with copy.copy(store) as twin:
            assert set(twin.query(near(0, 20)).ids) == set(IDS)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    with HNSWVectorStore(path=tmp_path / "kb") as again:
        assert set(again.query(near(0, 20)).ids) == set(IDS)
