import bm25s
import numpy as np
import pytest
import rank_bm25
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.text import BM25
from tests.text.conftest import build, random_corpus

ORACLES = {
    "okapi": rank_bm25.BM25Okapi,
    "l": rank_bm25.BM25L,
    "plus": rank_bm25.BM25Plus,
}
document = st.lists(st.sampled_from("abcdefgh"), max_size=12)
query = st.lists(st.sampled_from("abcdefghz"), max_size=6)


def expected(live, tokens, variant, **params):
    """rank-bm25's scores of the documents that have one of the tokens."""
    rows = list(live)
    if not any(live.values()):
        return {}
    scores = ORACLES[variant]([live[row] for row in rows], **params).get_scores(tokens)
    return {
        row: score for row, score in zip(rows, scores, strict=True) if set(tokens) & set(live[row])
    }


def assert_same_scores(index, live, tokens, variant):
    rows, scores = index.scores(tokens)
    wanted = expected(live, tokens, variant)
    assert dict(zip(rows.tolist(), scores.tolist(), strict=True)) == pytest.approx(
        wanted, rel=1e-9, abs=1e-9
    )
    order = list(zip(-scores, rows, strict=True))
    assert order == sorted(order)


@pytest.mark.parametrize("variant", ORACLES)
@settings(max_examples=40, deadline=None)
@given(documents=st.lists(document, min_size=1, max_size=12), tokens=query)
def test_scores_equal_rank_bm25(variant, documents, tokens):
    live = dict(enumerate(documents))
    assert_same_scores(build(documents, variant=variant), live, tokens, variant)


step = st.one_of(
    st.tuples(st.just("add"), st.lists(document, min_size=1, max_size=5)),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 30), max_size=5)),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("reopen"), st.none()),
)


@pytest.mark.parametrize("variant", ORACLES)
@settings(max_examples=30, deadline=None)
@given(steps=st.lists(step, max_size=9), tokens=query)
def test_scores_equal_rank_bm25_after_any_updates(variant, steps, tokens, tmp_path_factory):
    index, live, fresh_row = BM25(variant), {}, 0
    for action, argument in steps:
        if action == "add":
            rows = range(fresh_row, fresh_row + len(argument))
            fresh_row += len(argument)
            index.add(rows, argument)
            live |= dict(zip(rows, argument, strict=True))
        elif action == "remove":
            gone = {row for row in argument if row in live}
            assert index.remove(argument) == len(gone)
            live = {row: text for row, text in live.items() if row not in gone}
        elif action == "compact":
            index.compact()
        else:
            folder = tmp_path_factory.mktemp("bm25") / "view"
            index.save(folder)
            index, _ = BM25.load(folder)
        assert len(index) == len(live)
        assert_same_scores(index, live, tokens, variant)


@pytest.mark.parametrize("variant", ["lucene", "robertson", "atire"])
def test_scores_equal_bm25s(variant):
    documents = random_corpus(300)
    peer = bm25s.BM25(method=variant, k1=1.2, b=0.6, dtype="float64")
    peer.index([document or ["nothing"] for document in documents], show_progress=False)
    index = build(
        [document or ["nothing"] for document in documents], variant=variant, k1=1.2, b=0.6
    )
    for tokens in (["w1"], ["w2", "w5", "w2"], ["w7", "w11", "w13", "w17"]):
        wanted = peer.get_scores(tokens)
        rows, scores = index.scores(tokens)
        assert len(rows) == sum(bool(set(tokens) & set(d)) for d in documents)
        np.testing.assert_allclose(scores, wanted[rows], rtol=1e-6)


def test_more_pairs_than_the_first_table_holds():
    documents = [["a"] * n for n in range(1, 1500)]
    index = build(documents, variant="okapi")
    assert len(index._postings.pairs) > 1499
    assert_same_scores(index, dict(enumerate(documents)), ["a"], "okapi")
