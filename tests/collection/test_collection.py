"""The public surface of a collection, one property a test."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from llama_index.core.vector_stores.types import MetadataFilters
from pyroaring import BitMap

from llamaindex_vecx import collection as package
from llamaindex_vecx.collection import Collection, Record
from llamaindex_vecx.errors import (
    ClosedError,
    EmptyQueryError,
    FilterError,
    InvalidInputError,
    SerializationError,
    SettingsConflictError,
)
from tests.collection.making import DIM, all_ids, ids, one, record, silence, vector


@pytest.fixture(params=["flat", "hnsw"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path):
    return None if request.param == "memory" else tmp_path / "kb"


@pytest.fixture
def collection(path, kind):
    with Collection.open(path, index=kind) as opened:
        opened.add([record(i) for i in range(50)])
        yield opened


def test_the_public_names_are_these() -> None:
    assert package.__all__ == ["Collection", "Record"]


class TestWriting:
    def test_a_record_is_found_right_after_its_add(self, collection) -> None:
        rows, scores = collection.search(vector(7), 3)
        assert len(rows) == len(scores) == 3
        assert rows.dtype == np.int64
        assert scores.dtype == np.float32
        assert ids(collection, rows)[0] == "id7"
        assert scores[0] == pytest.approx(1, abs=1e-5)
        assert ids(collection, collection.search_text("number7", 3)[0]) == ["id7"]

    def test_adding_an_id_again_replaces_its_record(self, collection) -> None:
        collection.add([Record("id7", vector(99), "dog", {"n": -1}, "new")])
        assert len(collection) == 50
        (found,) = collection.records(collection.search(vector(99), 1)[0])
        assert found == Record("id7", None, "dog", {"n": -1}, "new", None)
        assert len(collection.search_text("number7", 3)[0]) == 0
        assert collection.select(filters=one("n", "==", 7)) == BitMap()
        assert collection.select(ref_doc_ids=["doc0"]) == collection.select(
            ids=[f"id{i}" for i in range(10) if i != 7]
        )

    def test_a_deleted_record_is_never_returned(self, collection) -> None:
        (row,) = collection.rows_of(["id7"])
        assert collection.delete(collection.select(ids=["id7", "nobody"])) == 1
        assert collection.delete(BitMap([row, 10**6])) == 0
        assert row not in collection.search(vector(7), 50)[0]
        assert len(collection.search_text("number7", 3)[0]) == 0
        assert collection.records([row]) == [None]
        assert len(collection) == 49
        assert row not in collection.all_rows()

    def test_a_row_number_is_never_used_again(self, path, kind, collection) -> None:
        newest = max(collection.all_rows())
        collection.delete(BitMap([newest]))
        if path is not None:
            collection.close()
            collection = Collection.open(path)
        collection.add([record(77)])
        assert collection.rows_of(["id77"])[0] > newest
        collection.close()

    def test_clear_leaves_nothing_but_settings_and_notes(self, path, kind, collection) -> None:
        collection.set_note("model", "m")
        collection.flush()
        before = collection.seq
        collection.clear()
        assert len(collection) == 0
        assert collection.seq > before
        assert len(collection.search(vector(7), 3)[0]) == 0
        assert len(collection.search_text("cat", 3)[0]) == 0
        assert collection.all_rows() == BitMap()
        assert collection.note("model") == "m"
        collection.add(
            [record(1, dim=3)]
        )  # the dimension came from the first add, and went with it
        assert collection.dim == 3
        assert ids(collection, collection.search(vector(1, 3), 5)[0]) == ["id1"]
        if path is not None:
            collection.close()
            with silence(), Collection.open(path) as again:
                assert ids(again, again.search(vector(1, 3), 5)[0]) == ["id1"]

    def test_adding_nothing_changes_nothing(self, collection) -> None:
        seq = collection.seq
        collection.add([])
        assert collection.delete(BitMap()) == 0
        assert collection.seq == seq

    def test_seq_counts_rows_added_and_rows_removed(self, collection) -> None:
        assert collection.seq == 50
        collection.add([record(0), record(100)])
        assert collection.seq == 53
        collection.delete(collection.select(ids=["id100"]))
        assert collection.seq == 54


class TestReading:
    def test_ids_come_in_order_by_prefix_and_page(self, collection) -> None:
        everything = sorted(f"id{i}" for i in range(50))
        assert collection.ids() == everything
        assert collection.ids(prefix="id4") == ["id4", *(f"id4{i}" for i in range(10))]
        assert collection.ids(limit=3) == everything[:3]
        assert collection.ids(after=everything[2], limit=3) == everything[3:6]
        assert collection.ids(prefix="ID4") == collection.ids(prefix="i_4") == []
        assert collection.ids(after="zz") == collection.ids(prefix="\ud800") == []
        with pytest.raises(InvalidInputError, match="limit=0"):
            collection.ids(limit=0)

    def test_records_keep_the_order_asked_for(self, collection) -> None:
        rows = collection.rows_of(["id3", "nobody", "id1", "id2"])
        assert rows[1] is None
        found = collection.records([rows[0], 10**9, rows[2], rows[0]], vectors=True)
        assert [item.id if item else None for item in found] == ["id3", None, "id1", "id3"]
        expected = record(3)
        assert np.array_equal(found[0].vector, expected.vector)
        assert (found[0].text, found[0].metadata, found[0].content, found[0].ref_doc_id) == (
            expected.text,
            expected.metadata,
            expected.content,
            expected.ref_doc_id,
        )
        assert collection.records([rows[0]])[0].vector is None

    def test_vectors_are_as_they_were_added(self, collection) -> None:
        rows = collection.rows_of(["id5", "id4"])
        found = collection.vectors([*rows, 10**9])
        assert np.array_equal(found, [vector(5), vector(4), np.zeros(DIM)])
        assert collection.vectors([]).shape == (0, DIM)

    def test_many_rows_and_ids_at_once(self, collection) -> None:
        collection.add([record(i) for i in range(50, 3000)])
        wanted = [f"id{i}" for i in range(2999, -1, -1)]
        rows = collection.rows_of(wanted)
        assert ids(collection, rows) == wanted
        assert len(collection.select(ids=wanted)) == 3000
        assert len(collection.select(ref_doc_ids=[f"doc{i}" for i in range(300)])) == 3000
        assert collection.delete(collection.select(ids=wanted[:1500])) == 1500
        assert all_ids(collection) == set(wanted[1500:])

    def test_select_intersects_and_knows_empty_from_absent(self, collection) -> None:
        assert collection.select() is None
        assert collection.select(filters=MetadataFilters(filters=[])) is None
        assert collection.select(ids=[]) == BitMap()
        assert collection.select(ref_doc_ids=[]) == BitMap()
        chosen = collection.select(
            ids=["id1", "id2", "id12"], ref_doc_ids=["doc0"], filters=one("n", ">", 1)
        )
        assert ids(collection, chosen) == ["id2"]
        assert ids(collection, collection.select(filters=one("doc_id", "==", "doc4")))[0] == "id40"

    def test_search_honours_allowed(self, collection) -> None:
        allowed = collection.select(filters=one("n", "in", [3, 4, 5]))
        assert set(ids(collection, collection.search(vector(7), 9, allowed=allowed)[0])) == {
            "id3",
            "id4",
            "id5",
        }
        assert ids(collection, collection.search_text("cat", 9, allowed=allowed)[0]) != []
        for rows in (BitMap(), BitMap([10**6])):
            assert len(collection.search(vector(7), 3, allowed=rows)[0]) == 0
            assert len(collection.search_text("cat", 3, allowed=rows)[0]) == 0

    def test_a_bitmap_may_be_changed_between_two_searches(self, collection) -> None:
        allowed = collection.select(ids=["id7", "id8"])
        assert ids(collection, collection.search(vector(7), 1, allowed=allowed)[0]) == ["id7"]
        allowed -= collection.select(ids=["id7"])
        assert ids(collection, collection.search(vector(7), 1, allowed=allowed)[0]) == ["id8"]

    def test_k_may_exceed_the_number_of_rows(self, collection) -> None:
        assert len(collection.search(vector(7), 1000)[0]) == 50
        assert len(collection.search_text("cat", 1000)[0]) == 50

    def test_an_empty_collection_answers_with_nothing(self, path, kind) -> None:
        with Collection.open(path, index=kind) as collection:
            assert collection.dim is None
            assert len(collection.search(vector(1), 3)[0]) == 0
            assert len(collection.search_text("cat", 3)[0]) == 0
            assert collection.all_rows() == BitMap()
            assert collection.select(filters=one("a", "!=", 1)) == BitMap()
            assert collection.records([1]) == [None]
            collection.wait()
            collection.compact()

    @pytest.mark.parametrize("k", [0, -1, 1.5, True, "3", None])
    def test_k_must_be_a_positive_whole_number(self, collection, k) -> None:
        with pytest.raises(InvalidInputError, match="k="):
            collection.search(vector(1), k)
        with pytest.raises(InvalidInputError, match="k="):
            collection.search_text("cat", k)

    @pytest.mark.parametrize("query", ["", "  \n"])
    def test_an_empty_query_text_is_an_error(self, collection, query) -> None:
        with pytest.raises(EmptyQueryError, match="empty"):
            collection.search_text(query, 3)

    def test_a_query_of_stop_words_alone_finds_nothing(self, collection) -> None:
        assert len(collection.search_text("the", 3)[0]) == 0

    def test_a_wrong_query_vector_is_an_error(self, collection) -> None:
        for query in (vector(1, 3), np.full(DIM, np.nan), np.zeros((2, DIM)), "abc", None):
            with pytest.raises(InvalidInputError):
                collection.search(query, 3)

    def test_a_wrong_filter_is_an_error(self, collection) -> None:
        with pytest.raises(FilterError, match="'n'"):
            collection.select(filters=one("n", "in", 3))

    def test_ids_are_not_one_string(self, collection) -> None:
        with pytest.raises(InvalidInputError, match="ids"):
            collection.select(ids="id1")
        with pytest.raises(InvalidInputError, match="ref_doc_ids"):
            collection.select(ref_doc_ids="doc1")
        with pytest.raises(InvalidInputError, match="ids"):
            collection.rows_of("id1")


class TestUpkeep:
    def test_waiting_flushing_and_compacting_change_no_answer(self, collection) -> None:
        collection.add([record(i, version=1) for i in range(0, 50, 2)])
        collection.delete(collection.select(ids=["id1", "id3"]))

        def answers() -> list[object]:
            found = collection.search(vector(1004), 48)
            return [
                ids(collection, found[0]),
                np.round(found[1], 5).tolist(),
                ids(collection, collection.search_text("version1 number5", 48)[0]),
                sorted(collection.all_rows()),
            ]

        before = answers()
        for change in (collection.wait, collection.flush, collection.compact, collection.compact):
            change()
            assert answers() == before
        assert len(before[0]) == 48

    def test_notes_are_json(self, collection) -> None:
        assert collection.note("model") is None
        for value in ("m", {"a": [1, None]}, 3, False):
            collection.set_note("model", value)
            assert collection.note("model") == value
        with pytest.raises(SerializationError, match="'model'"):
            collection.set_note("model", {1, 2})
        assert collection.note("model") is False
        assert collection.note("state") is None

    def test_a_closed_collection_says_so(self, path, collection) -> None:
        collection.close()
        collection.close()
        assert collection.closed
        assert "closed" in repr(collection)
        for call in (
            lambda: len(collection),
            lambda: collection.search(vector(1), 1),
            lambda: collection.add([record(1)]),
            lambda: collection.records([1]),
            lambda: collection.flush(),
            lambda: collection.dim,
        ):
            with pytest.raises(ClosedError, match="closed"):
                call()

    def test_repr_says_what_it_is(self, path, kind, collection) -> None:
        text = repr(collection)
        assert kind in text
        assert "50 records" in text
        assert ("in memory" in text) == (path is None)

    def test_a_zero_vector_is_stored_and_warned_of_once(self, path, kind) -> None:
        with Collection.open(path, index=kind) as collection:
            zero = record(1)
            zero.vector = np.zeros(DIM, np.float32)
            with pytest.warns(UserWarning, match="'id1'"):
                collection.add([record(0), zero])
            with silence():
                collection.add([zero])
            rows, scores = collection.search(vector(0), 2)
            assert ids(collection, rows) == ["id0", "id1"]
            assert scores[1] == 0

    def test_empty_text_is_stored_without_terms(self, collection) -> None:
        collection.add([Record("empty", vector(5), "", {}, "")])
        assert "empty" not in ids(collection, collection.search_text("cat", 99)[0])
        assert collection.records(collection.rows_of(["empty"]))[0].text == ""


class TestSettings:
    def test_a_stored_setting_wins_and_a_conflict_names_both(self, tmp_path) -> None:
        with Collection.open(
            tmp_path / "kb",
            metric="l2",
            index_params={"M": 8},
            tokenizer="bigram",
            bm25_params={"k1": 1.2},
            durability="normal",
        ) as collection:
            collection.add([record(1)])
            stored = collection.settings
        with Collection.open(tmp_path / "kb") as collection:
            assert collection.settings == stored
            assert collection.metric == "l2"
            assert collection.tokenizer.name == "bigram"
            assert stored["index_params"]["M"] == 8
            assert stored["index_params"]["ef_construction"] == 200
        for given, both in [
            ({"metric": "cosine"}, ("cosine", "l2")),
            ({"index": "flat"}, ("flat", "hnsw")),
            ({"index_params": {"M": 16}}, ("16", "8")),
            ({"tokenizer": "english"}, ("english", "bigram")),
            ({"bm25_params": {"k1": 1.5}}, ("1.5", "1.2")),
            ({"durability": "full"}, ("full", "normal")),
            ({"dim": 5}, ("5", "8")),
        ]:
            with pytest.raises(SettingsConflictError) as caught:
                Collection.open(tmp_path / "kb", **given)
            for value in (next(iter(given)), *both):
                assert value in str(caught.value)
        with Collection.open(tmp_path / "kb", metric="l2", index_params={"M": 8}, dim=8) as same:
            assert len(same) == 1

    def test_a_shared_collection_is_held_to_the_same_settings(self, tmp_path) -> None:
        with Collection.open(tmp_path / "kb", dim=8), pytest.raises(SettingsConflictError):
            Collection.open(tmp_path / "kb", metric="ip")

    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ({"metric": "hamming"}, "hamming"),
            ({"index": "ivf"}, "ivf"),
            ({"index_params": {"m": 16}}, "'m'"),
            ({"index_params": {"M": 1}}, "M"),
            ({"bm25_params": {"k2": 1}}, "'k2'"),
            ({"bm25_params": {"b": 3}}, "b="),
            ({"dim": 0}, "dim"),
            ({"dim": True}, "dim"),
            ({"durability": "none"}, "durability"),
            ({"tokenizer": "klingon"}, "klingon"),
        ],
    )
    def test_an_unknown_setting_is_named_and_nothing_written(self, tmp_path, given, name) -> None:
        with pytest.raises(InvalidInputError, match=name):
            Collection.open(tmp_path / "kb", **given)
        assert not (tmp_path / "kb").exists()

    def test_a_given_dimension_holds_from_the_start(self, tmp_path) -> None:
        with Collection.open(tmp_path / "kb", dim=3) as collection:
            assert collection.dim == 3
            with pytest.raises(InvalidInputError, match="3"):
                collection.add([record(1)])
            collection.add([record(1, dim=3)])
            collection.clear()
            assert collection.dim == 3


class TestSharing:
    def test_the_same_path_twice_is_one_collection(self, tmp_path) -> None:
        (tmp_path / "link").symlink_to(tmp_path)
        first = Collection.open(tmp_path / "kb")
        second = Collection.open(str(tmp_path / "link" / "kb"))
        first.add([record(1)])
        assert ids(second, second.search(vector(1), 1)[0]) == ["id1"]
        first.close()
        second.add([record(2)])
        assert len(second) == 2
        second.close()
        with Collection.open(tmp_path / "kb") as third:
            assert len(third) == 2

    def test_a_handle_that_is_forgotten_is_closed(self, tmp_path) -> None:
        Collection.open(tmp_path / "kb").add([record(1)])
        gc.collect()
        with Collection.open(tmp_path / "kb", metric="cosine") as collection:
            assert len(collection) == 1

    def test_a_reader_beside_a_writer_in_one_process(self, tmp_path) -> None:
        with Collection.open(tmp_path / "kb") as writer:
            writer.add([record(1)])
            with Collection.open(tmp_path / "kb", read_only=True) as reader:
                assert reader.read_only
                writer.add([record(2)])
                assert ids(reader, reader.search(vector(2), 1)[0]) == ["id2"]

    def test_a_writer_beside_an_earlier_reader_in_one_process(self, tmp_path) -> None:
        with Collection.open(tmp_path / "kb") as writer:
            writer.add([record(1)])
        with Collection.open(tmp_path / "kb", read_only=True) as reader:
            assert len(reader) == 1
            with Collection.open(tmp_path / "kb") as writer:
                writer.add([record(2)])
                writer.delete(writer.select(ids=["id1"]))
                assert ids(reader, reader.search(vector(2), 5)[0]) == ["id2"]
                assert ids(reader, reader.search_text("cat", 5)[0]) == ["id2"]
                assert all_ids(reader) == {"id2"}
                writer.clear()
                writer.add([record(3, dim=3)])
                assert ids(reader, reader.search(vector(3, 3), 5)[0]) == ["id3"]
                writer.add([record(i, dim=3) for i in range(20)])
                writer.delete(writer.select(ids=["id3"]))
                writer.compact()
                assert all_ids(reader) == {f"id{i}" for i in range(20) if i != 3}
                assert len(reader.search(vector(3, 3), 50)[0]) == 19

    def test_collections_in_memory_are_each_their_own(self) -> None:
        with Collection.open(None) as first, Collection.open(None) as second:
            first.add([record(1)])
            assert len(second) == 0
