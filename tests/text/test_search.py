"""The search with its bounds and windows of code beside sums made by hand."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llamaindex_vecx.text import BM25, postings, segments
from tests.text.conftest import build

LETTERS = "abcdefgh"
document = st.lists(st.sampled_from(LETTERS), max_size=12)
query = st.lists(st.sampled_from(LETTERS + "z"), max_size=6)
step = st.one_of(
    st.tuples(st.just("add"), st.lists(document, min_size=1, max_size=9)),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 60), max_size=8)),
    st.tuples(st.just("compact"), st.none()),
    st.tuples(st.just("reopen"), st.none()),
    st.tuples(st.just("ask"), st.just(200)),
)


def naive(live, tokens, k, allowed=None):
    """Lucene's BM25, straight from its formula: (row, score), best first, ties by row."""
    average = sum(map(len, live.values())) / max(len(live), 1)
    found = []
    for row, words in live.items():
        if not set(tokens) & set(words) or (allowed is not None and row not in allowed):
            continue
        total = 0.0
        for token in tokens:
            df = sum(token in other for other in live.values())
            idf = math.log(1 + (len(live) - df + 0.5) / (df + 0.5))
            tf = words.count(token)
            total += idf * tf / (tf + 1.2 * (0.25 + 0.75 * len(words) / average)) if tf else 0.0
        found.append((row, total))
    # What differs by rounding alone is a tie.
    return sorted(found, key=lambda hit: (-round(hit[1], 9), hit[0]))[:k]


def assert_found(index, wanted, tokens, k, allowed=None):
    rows, scores = index.search(tokens, k, allowed=allowed)
    kept = rows >= 0
    assert rows[kept].tolist() == [row for row, _ in wanted]
    np.testing.assert_allclose(scores[kept], [score for _, score in wanted], rtol=1e-6)
    assert (scores[~kept] == -np.inf).all()


@pytest.fixture(params=["16 bits", "32 bits", "nothing common", "tiny segments"])
def layout(request, monkeypatch):
    if request.param == "32 bits":
        monkeypatch.setattr(segments, "_NARROW", 5)
    if request.param == "nothing common":
        monkeypatch.setattr(segments, "_COMMON", 0)
    if request.param == "tiny segments":
        monkeypatch.setattr(postings, "LARGEST", 7)
    return request.param


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(step, max_size=9),
    queries=st.lists(query, min_size=1, max_size=3),
    k=st.integers(1, 6),
    chosen=st.one_of(st.none(), st.sets(st.integers(0, 60))),
)
@example(  # with codes of five pairs in 16 bits, the tail outgrows them before it is a segment
    steps=[
        ("add", [["a"]]),
        ("compact", None),
        ("add", [["a", "a", "a", "b"], ["a", "a", "b"]]),
    ],
    queries=[["a"]],
    k=3,
    chosen=None,
)
def test_search_after_any_updates(layout, tmp_path_factory, steps, queries, k, chosen):
    index, live, fresh_row = BM25(), {}, 0
    prepared = BM25.prepare(queries)
    for action, argument in steps:
        index.search_many(prepared, 2)  # its numbers are old after the next step
        if action == "add":
            rows = range(fresh_row, fresh_row + len(argument))
            fresh_row += len(argument) + 1  # a gap: rows of two batches don't follow on
            index.add(rows, argument)
            live |= dict(zip(rows, argument, strict=True))
        elif action == "remove":
            index.remove(argument)
            live = {row: words for row, words in live.items() if row not in argument}
        elif action == "compact":
            index.compact()
        elif action == "ask":  # so many that parts are merged
            index.search_many([["a"]] * argument, 1)
        else:
            folder = tmp_path_factory.mktemp("bm25") / "view"
            index.save(folder)
            index, _ = BM25.load(folder)
    allowed = None
    if chosen is not None:
        allowed = np.zeros(40, dtype=bool)
        allowed[[row for row in chosen if row < 40]] = True
        chosen = {row for row in chosen if row < 40}
    for tokens in queries:
        assert_found(index, naive(live, tokens, k, chosen), tokens, k, allowed)
    many, _ = index.search_many(queries, k, allowed=allowed)
    one_by_one = [index.search(tokens, k, allowed=allowed)[0] for tokens in queries]
    np.testing.assert_array_equal(many, one_by_one)
    np.testing.assert_array_equal(index.search_many(prepared, k, allowed=allowed)[0], many)


def zipf_corpus(size, seed):
    """Some terms in nearly all documents, most in a handful."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, size)
    ids = np.minimum(rng.zipf(1.25, lengths.sum()), 3000)
    words = [f"w{i}" for i in ids]
    ends = np.cumsum(lengths)
    return [words[end - n : end] for end, n in zip(ends.tolist(), lengths.tolist(), strict=True)]


@pytest.mark.parametrize(("variant", "shuffled"), [("lucene", False), ("okapi", True)])
def test_no_document_is_lost_to_a_bound(layout, variant, shuffled, monkeypatch):
    """The head of all scores, whatever is pruned on the way: many sizes, filters and k."""
    monkeypatch.setattr(postings, "_TAIL_POSTINGS", 3000)
    if layout == "tiny segments":
        monkeypatch.setattr(postings, "LARGEST", 700)
    documents = zipf_corpus(3000, seed=3)
    rng = np.random.default_rng(4)
    rows = rng.permutation(4000)[:3000] if shuffled else np.arange(3000)
    index = BM25(variant)
    index.add(rows, documents)
    index.remove(rows[rng.random(3000) < 0.1])
    for _ in range(4):
        tokens = documents[rng.integers(3000)][: rng.integers(1, 9)]
        all_rows, all_scores = index.scores(tokens)
        for share in (None, 0.5, 0.1, 0.01):
            allowed = None if share is None else rng.random(3900) < share
            keep = np.ones(len(all_rows), dtype=bool)
            if allowed is not None:
                keep = all_rows < len(allowed)
                keep[keep] = allowed[all_rows[keep]]
            for k in (1, 10, 100, 3000):
                found, scores = index.search(tokens, k, allowed=allowed)
                wanted = all_rows[keep][:k]
                assert found[found >= 0].tolist() == wanted.tolist()
                np.testing.assert_array_equal(
                    scores[found >= 0], all_scores[keep][:k].astype(np.float32)
                )


def test_a_search_leaves_nothing_behind():
    index = build(zipf_corpus(3000, seed=5))
    first = index.search(["w1", "w7", "w40"], 10)
    for tokens in (["w1"], ["w2", "w3", "w900"], ["w2500"], []):
        index.search(tokens, 5, allowed=np.random.default_rng(0).random(3000) < 0.02)
        index.search(tokens, 500)
    np.testing.assert_array_equal(index.search(["w1", "w7", "w40"], 10), first)


def test_very_long_queries():
    documents = zipf_corpus(500, seed=6)
    index = build(documents)
    tokens = [token for words in documents[:60] for token in words]
    rows, scores = index.search(tokens, 20)
    all_rows, all_scores = index.scores(tokens)
    assert rows.tolist() == all_rows[:20].tolist()
    np.testing.assert_array_equal(scores, all_scores[:20].astype(np.float32))


@pytest.mark.parametrize("delta", [-0.5, float("nan"), float("inf")])
def test_a_delta_that_breaks_the_bounds_is_refused(delta):
    with pytest.raises(ValueError, match="delta="):
        BM25("l", delta=delta)


@pytest.mark.parametrize("k", [1, 3, 10, 150, 1000])
@pytest.mark.parametrize("kept_in", ["tail", "segment"])
def test_more_hits_than_there_is_room_for_leave_the_best_and_equals_by_row(k, kept_in):
    draw = np.random.default_rng(k)
    documents = [
        [LETTERS[i] for i in draw.integers(0, 4, draw.integers(1, 5))] for _ in range(3000)
    ]
    index = BM25()
    index.add(draw.permutation(3000), documents)
    if kept_in == "segment":
        index.compact()
    for tokens in (["a"], ["a", "b"], ["d", "c", "b", "a"]):
        wanted, scores = index.scores(tokens)
        for allowed in (None, np.arange(3000) % 3 > 0):
            chosen = slice(None) if allowed is None else allowed[wanted]
            rows, found = index.search(tokens, k, allowed=allowed)
            size = min(k, len(wanted[chosen]))
            assert rows[:size].tolist() == wanted[chosen][:k].tolist()
            assert (rows[size:] == -1).all()
            np.testing.assert_allclose(found[:size], scores[chosen][:k], rtol=1e-6)
