from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from llamaindex_vecx.errors import DamagedSnapshotError, DuplicateIdError, InvalidInputError
from llamaindex_vecx.snapshot import write_snapshot
from llamaindex_vecx.text import BM25
from tests.text.conftest import build, random_corpus


def test_lucene_by_hand():
    index = build([["cat", "cat", "dog"], ["dog"], ["cow", "cow"]])
    rows, scores = index.search(["cat"], 3)
    idf = np.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    weight = 2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 3 / 2))
    assert rows.tolist() == [0, -1, -1]
    assert scores.tolist() == [pytest.approx(idf * weight), -np.inf, -np.inf]
    assert (rows.dtype, scores.dtype) == (np.int64, np.float32)


@pytest.mark.parametrize(("variant", "k1"), [("lucene", 1.2), ("okapi", 1.5), ("atire", 1.5)])
def test_parameters_are_those_of_the_software_that_a_variant_equals(variant, k1):
    assert BM25(variant).params["k1"] == k1
    assert BM25(variant, k1=0.5).params["k1"] == 0.5


def test_top_k_is_the_head_of_all_scores():
    index = build(random_corpus(2000), k1=0.9)
    for tokens in (["w1"], ["w3", "w4", "w9"], ["w30"]):
        all_rows, all_scores = index.scores(tokens)
        for k in (1, 2, 7, 100, 3000):
            rows, scores = index.search(tokens, k)
            found = min(k, len(all_rows))
            assert rows.tolist() == all_rows[:k].tolist() + [-1] * (k - found)
            np.testing.assert_array_equal(scores[:found], all_scores[:k].astype(np.float32))
            assert (scores[found:] == -np.inf).all()


def test_ties_by_row():
    index = BM25()
    index.add([9, 4, 7, 2], [["a"]] * 4)
    assert index.search(["a"], 3)[0].tolist() == [2, 4, 7]


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.0])
def test_filter_equals_filtering_afterwards(share):
    index = build(random_corpus(1500))
    allowed = np.random.default_rng(1).random(1500) < share
    for tokens in (["w1", "w2"], ["w5"]):
        rows, scores = index.scores(tokens)
        keep = allowed[rows]
        found, found_scores = index.search(tokens, 20, allowed=allowed)
        wanted = rows[keep][:20]
        assert found[found >= 0].tolist() == wanted.tolist()
        np.testing.assert_array_equal(
            found_scores[found >= 0], scores[keep][:20].astype(np.float32)
        )


def test_rows_past_a_short_mask_are_not_allowed():
    index = build([["a"]] * 5)
    assert index.search(["a"], 5, allowed=np.array([False, True]))[0].tolist() == [
        1,
        -1,
        -1,
        -1,
        -1,
    ]
    assert index.search(["a"], 2, allowed=np.zeros(0, dtype=bool))[0].tolist() == [-1, -1]


def test_a_matching_document_of_score_zero_is_found():
    index = build([["a"], ["b"]], variant="okapi")  # df is half of N: idf = log(1.5 / 1.5) = 0
    rows, scores = index.search(["a"], 2)
    assert rows.tolist() == [0, -1]
    assert scores[0] == 0.0


@pytest.mark.parametrize("tokens", [[], ["unknown"], ["gone"]])
def test_nothing_matches(tokens):
    index = build([["a"], ["gone"], []])
    index.remove([1])
    rows, scores = index.search(tokens, 2)
    assert rows.tolist() == [-1, -1]
    assert scores.tolist() == [-np.inf, -np.inf]


def test_empty_index_finds_nothing():
    index = BM25()
    index.add([], [])
    index.compact()
    assert len(index) == 0
    assert index.remove([3]) == 0
    assert index.search(["a"], 1)[0].tolist() == [-1]


def test_empty_documents_count_in_the_average():
    with_empty, without = build([["a", "b"], []]), build([["a", "b"]])
    assert len(with_empty) == 2
    assert with_empty.search(["a"], 1)[1][0] != without.search(["a"], 1)[1][0]


def test_a_row_can_come_back():
    index = build([["a"], ["b"]])
    index.remove([0])
    index.add([0], [["b", "b"]])
    assert index.search(["a"], 1)[0].tolist() == [-1]
    assert index.search(["b"], 2)[0].tolist() == [0, 1]
    assert 0 in index
    assert 2 not in index


def test_one_by_one_equals_one_batch():
    documents = random_corpus(400, seed=3)
    batch, single = build(documents, variant="okapi"), BM25("okapi")
    for row, tokens in enumerate(documents):
        single.add([row], [tokens])
    for tokens in (["w1"], ["w2", "w8"]):
        np.testing.assert_array_equal(batch.scores(tokens)[0], single.scores(tokens)[0])
        np.testing.assert_allclose(batch.scores(tokens)[1], single.scores(tokens)[1])


def test_segments_stay_few():
    index = BM25()
    for row, tokens in enumerate(random_corpus(600, seed=4)):
        index.add([row], [tokens])
    sizes = [len(part.terms) for part in index._postings._segments]
    assert all(left >= 2 * right for left, right in pairwise(sizes))
    assert len(sizes) < 12


def test_removing_most_documents_compacts():
    index = build(random_corpus(100))
    index.remove(range(80))
    assert len(index._postings._rows) < 60
    assert len(index) == 20


def test_compact_forgets_unused_terms():
    index = build([["a", "b"], ["b", "c"]])
    index.remove([0])
    index.compact()
    assert list(index._vocabulary) == ["b", "c"]


def test_save_and_load(tmp_path):
    index = build(random_corpus(300), variant="plus", k1=1.1, b=0.3, delta=0.7)
    index.add([300], [["한국", "\udc80", "😀", ""]])
    index.remove([5])
    index.save(tmp_path / "view", stamp={"seq": 7})
    loaded, stamp = BM25.load(tmp_path / "view")
    assert stamp == {"seq": 7}
    assert loaded.params == index.params
    assert len(loaded) == 300
    for tokens in (["w1", "w2"], ["한국"], ["\udc80"], [""]):
        for ours, theirs in zip(index.scores(tokens), loaded.scores(tokens), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    loaded.add([301], [["새", "w1"]])
    loaded.remove([300])
    assert loaded.search(["새"], 1)[0].tolist() == [301]
    again, _ = BM25.load(tmp_path / "view")
    assert again.search(["한국"], 1)[0].tolist() == [300], "the files were written to"


def test_load_refuses_a_snapshot_without_its_arrays(tmp_path):
    write_snapshot(tmp_path / "view", kind=BM25.kind, params={"segments": [0]}, arrays={})
    with pytest.raises(DamagedSnapshotError, match="not a snapshot of BM25"):
        BM25.load(tmp_path / "view")


def test_a_refused_batch_changes_nothing():
    index = build([["a"], ["b"]])
    before = index.scores(["a", "b"])
    for rows, documents, error, message in [
        ([1], [["c"]], DuplicateIdError, "row 1 is in the index already"),
        ([5, 5], [["c"], ["c"]], DuplicateIdError, "row 5 is given twice"),
        ([-1], [["c"]], InvalidInputError, "negative"),
        ([5], [["c"], ["d"]], InvalidInputError, "1 rows were given for 2 documents"),
        ([5.5], [["c"]], InvalidInputError, "integers"),
        ([5], ["text"], InvalidInputError, "tokenize it first"),
        ([5], [["c", 3]], InvalidInputError, "tokens of type str, not int"),
    ]:
        with pytest.raises(error, match=message):
            index.add(rows, documents)
        assert len(index) == 2
        np.testing.assert_array_equal(index.scores(["a", "b"]), before)
    index.add([2], [["c"]])
    index.compact()
    assert index.search(["c"], 1)[0].tolist() == [2]
    assert list(index._vocabulary) == ["a", "b", "c"]


def test_a_row_too_high_for_memory_changes_nothing():
    index = build([["a"]])
    with pytest.raises(MemoryError):
        index.add([2**60], [["a"]])
    assert len(index) == 1
    assert index.search(["a"], 2)[0].tolist() == [0, -1]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"variant": "bm26"}, "unknown; choose one of lucene"),
        ({"k1": -1}, "k1=-1"),
        ({"k1": float("nan")}, "k1=nan"),
        ({"b": 1.5}, "b=1.5"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(InvalidInputError, match=message):
        BM25(**params)


def test_bad_queries():
    index = build([["a"]])
    with pytest.raises(InvalidInputError, match="k=0"):
        index.search(["a"], 0)
    with pytest.raises(InvalidInputError, match="not the string"):
        index.search("a", 1)


def test_document_frequencies_follow_the_documents():
    documents = random_corpus(200, seed=9)
    index = build(documents)
    index.remove(range(0, 200, 3))
    live = [tokens for row, tokens in enumerate(documents) if row % 3]
    wanted = Counter(term for tokens in live for term in set(tokens))
    df = index._postings.df
    assert {term: df[n] for term, n in index._vocabulary.items() if df[n]} == wanted
