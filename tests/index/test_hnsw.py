"""HNSW against Flat: recall, filters, hard data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw import searcher
from llamaindex_vecx.index.hnsw.layout import COARSE

from .helpers import METRICS, clustered, normal, recall, score_recall

N, DIM = 4000, 40


@pytest.fixture(scope="module", params=METRICS)
def pair(request: pytest.FixtureRequest) -> tuple[HNSW, Flat]:
    metric = request.param
    vectors = clustered(N, DIM, clusters=20, spread=0.5)
    if metric == "ip":
        vectors *= np.random.default_rng(1).uniform(0.3, 3.0, (N, 1)).astype(np.float32)
    graph, flat = HNSW(DIM, metric), Flat(DIM, metric)
    for index in (graph, flat):
        index.add(np.arange(N), vectors)
    return graph, flat


def queries(n: int = 100) -> np.ndarray:
    return clustered(n, DIM, clusters=20, spread=0.5, seed=0) + normal(n, DIM, 5) * 0.1


def test_recall_and_exact_scores(pair: tuple[HNSW, Flat]) -> None:
    graph, flat = pair
    rows, scores = graph.search(queries(), 10, ef_search=100)
    truth, true_scores = flat.search(queries(), 10)
    assert recall(rows, truth) >= 0.95
    same = rows == truth
    assert scores[same] == pytest.approx(true_scores[same], rel=1e-5, abs=1e-6)
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5, 0.2, 0.1, 0.01, 0.001, 0.0])
@pytest.mark.parametrize("correlated", [False, True])
def test_filters_always_give_k_allowed_rows(
    pair: tuple[HNSW, Flat], share: float, correlated: bool
) -> None:
    graph, flat = pair
    order = np.random.default_rng(2).permutation(N)
    if correlated:  # the rows that are farthest from the first query: anti-correlated with it
        order = flat.search(queries(1), N)[0][0][::-1]
    allowed = np.zeros(N, bool)
    allowed[order[: int(share * N)]] = True
    for k in (1, 10, 50):
        rows, scores = graph.search(queries(), k, allowed=allowed, ef_search=200)
        again, _ = graph.search(queries(), k, allowed=np.flatnonzero(allowed), ef_search=200)
        assert np.array_equal(rows, again)
        truth, _ = flat.search(queries(), k, allowed=allowed)
        count = min(k, int(allowed.sum()))
        assert (rows[:, :count] >= 0).all()
        assert allowed[rows[:, :count]].all()
        assert (rows[:, count:] == -1).all()
        assert (scores[:, count:] == -np.inf).all()
        if count:
            assert recall(rows, truth) >= 0.95


def test_a_traversal_that_finds_too_little_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    # islands: no traversal from one reaches the other, so a filter on the other finds nothing
    monkeypatch.setattr(searcher, "prefers_scan", lambda *_: False)
    vectors = clustered(3000, 16, clusters=2, spread=0.01) * 100
    near = np.linalg.norm(vectors - vectors[0], axis=1) < 10
    graph = HNSW(16, "l2", M=4, ef_construction=20)
    graph.add(np.arange(3000), vectors)
    for allowed in (near, ~near):
        rows, _ = graph.search(vectors[:40], 30, allowed=allowed, ef_search=30)
        assert allowed[rows].all()
        assert (rows >= 0).all()


@pytest.fixture(scope="module")
def apart() -> tuple[HNSW, Flat]:
    """Four bits tell these rows apart, so a scan looks at no more of the codes."""
    base = normal(4000, 8) @ normal(8, 64, 1)
    graph, flat = HNSW(64), Flat(64)
    for index in (graph, flat):
        index.add(np.arange(0, 8000, 2), base)
    assert graph._store.view.graph.state[COARSE]
    return graph, flat


@given(
    st.integers(0, 2**32),
    st.integers(1, 70),
    st.sampled_from([1, 10, 40]),
    st.floats(0.0, 0.3),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_a_scan_is_exact(
    apart: tuple[HNSW, Flat], seed: int, asked: int, k: int, share: float, named: bool
) -> None:
    graph, flat = apart
    rng = np.random.default_rng(seed)
    mask = rng.random(8000) < share
    allowed = np.flatnonzero(mask) if named else mask
    queries = (rng.standard_normal((asked, 8)) @ normal(8, 64, 1)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searcher, "prefers_scan", lambda *_: True)
        rows, scores = graph.search(queries, k, allowed=allowed)
    truth, true_scores = flat.search(queries, k, allowed=allowed)
    assert ((rows >= 0) == (truth >= 0)).all()
    assert (scores < true_scores - 1e-5).sum() <= 1 + rows.size // 1000
    assert np.isin(rows[rows >= 0], np.flatnonzero(mask)).all()
    same = rows == truth
    assert scores[same] == pytest.approx(true_scores[same], abs=1e-5)


def test_a_filter_that_the_caller_changes_in_place_counts_as_it_is_now() -> None:
    base = normal(2000, 16)
    graph = HNSW(16)
    graph.add(np.arange(2000), base)
    mask = np.zeros(2000, bool)
    mask[:40] = True
    assert graph.search(base[50], 1, allowed=mask)[0] < 40
    mask[50] = True
    assert graph.search(base[50], 1, allowed=mask)[0] == 50
    graph.remove([50])
    assert graph.search(base[50], 1, allowed=mask)[0] < 40
    graph.add([50], base[:1])
    assert graph.search(base[0], 2, allowed=mask)[0].tolist() == [[0, 50]]


def test_a_walk_gives_up_early_where_the_region_of_a_query_is_not_allowed() -> None:
    base = clustered(6000, 24, clusters=30, spread=0.5)
    graph, flat = HNSW(24), Flat(24)
    for index in (graph, flat):
        index.add(np.arange(6000), base)
    asked = base[:40]
    nearest = flat.search(asked, 3000)[0]
    for query, near in zip(asked, nearest, strict=True):
        allowed = np.ones(6000, bool)
        allowed[near] = False
        found = graph.search(query, 10, allowed=allowed, ef_search=10)[0]
        assert recall(found, flat.search(query, 10, allowed=allowed)[0]) >= 0.9


@pytest.mark.parametrize("k", [3000, 5000])
def test_k_as_large_as_the_index_returns_every_row(k: int) -> None:
    graph = HNSW(16)
    graph.add(np.arange(3000), normal(3000, 16))
    rows, scores = graph.search(normal(2, 16, 1), k)
    for row in rows:
        assert sorted(row[row >= 0].tolist()) == list(range(3000))
    assert (scores[:, 3000:] == -np.inf).all()


@pytest.mark.parametrize("metric", METRICS)
def test_thousands_of_equal_vectors_do_not_hide_the_others(metric: str) -> None:
    others = clustered(3000, 24, clusters=10, spread=0.6)
    base = np.concatenate([others[:1000], np.repeat(others[:1], 4000, axis=0), others[1000:]])
    base = base[np.random.default_rng(3).permutation(len(base))]
    graph, flat = HNSW(24, metric), Flat(24, metric)
    for index in (graph, flat):
        index.add(np.arange(len(base)), base)
    asked = np.concatenate([others[::60], others[:1]])
    _, scores = graph.search(asked, 10, ef_search=100)
    truth, true_scores = flat.search(asked, 10)
    assert score_recall(scores, true_scores) >= 0.95
    rows, _ = graph.search(others[0], 4001, ef_search=64)
    expected, _ = flat.search(others[0], 4001)
    assert recall(rows, expected) >= 0.99
    # the k of equal distance come by row
    if metric != "ip":
        assert rows[0, :10].tolist() == truth[-1].tolist()


def test_nearly_equal_vectors_stay_apart() -> None:
    base = normal(1, 32) + 1e-6 * normal(2000, 32, 1)
    base = np.concatenate([base, normal(2000, 32, 2)])
    graph, flat = HNSW(32, "l2"), Flat(32, "l2")
    for index in (graph, flat):
        index.add(np.arange(4000), base)
    asked = np.concatenate([normal(20, 32, 2), base[:1]])
    rows, scores = graph.search(asked, 10, ef_search=100)
    truth, true_scores = flat.search(asked, 10)
    assert recall(rows[:-1], truth[:-1]) >= 0.95
    assert score_recall(scores, true_scores) >= 0.95


def test_tight_clusters_with_few_links_between() -> None:
    base = clustered(6000, 32, clusters=300, spread=0.02)
    graph, flat = HNSW(32, "l2"), Flat(32, "l2")
    for index in (graph, flat):
        index.add(np.arange(6000), base)
    asked = base[::40] + 0.02 * normal(150, 32, 4)
    assert recall(graph.search(asked, 10, ef_search=100)[0], flat.search(asked, 10)[0]) >= 0.95


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("spread", [0.01, 0.001])
def test_clusters_finer_than_the_codes(metric: str, spread: float) -> None:
    base = clustered(6000, 32, clusters=30, spread=spread)
    graph, flat = HNSW(32, metric), Flat(32, metric)
    for index in (graph, flat):
        index.add(np.arange(6000), base)
    asked = base[::40] + spread * normal(150, 32, 4)
    float32 = 2**-22  # cosines of the finest clusters differ by less than they are rounded to
    for allowed in (None, np.arange(6000) % 2 == 0):
        _, scores = graph.search(asked, 10, allowed=allowed)
        truth = flat.search(asked, 10, allowed=allowed)[1]
        assert score_recall(scores, truth, float32) >= 0.95


@pytest.mark.parametrize("metric", METRICS)
def test_recall_after_half_is_removed_and_after_compact(metric: str) -> None:
    base = clustered(5000, 32, clusters=30, spread=0.5)
    gone = np.random.default_rng(5).permutation(5000)[:2500]
    graph, flat = HNSW(32, metric), Flat(32, metric)
    for index in (graph, flat):
        index.add(np.arange(5000), base)
        assert index.remove(gone) == 2500
    asked = base[::50] + 0.1 * normal(100, 32, 6)
    truth, _ = flat.search(asked, 10)
    rows, _ = graph.search(asked, 10, ef_search=64)
    assert not np.isin(rows, gone).any()
    assert recall(rows, truth) >= 0.95
    assert graph.tombstones == 2500
    graph.compact()
    assert graph.tombstones == 0
    assert len(graph) == 2500
    assert recall(graph.search(asked, 10, ef_search=64)[0], truth) >= 0.95


@pytest.mark.parametrize("coarse", [True, False])
def test_traversals_read_four_bits_only_where_these_tell_the_rows_apart(coarse: bool) -> None:
    if coarse:  # eight directions in 64: neighbours lie far apart
        base = normal(4200, 8) @ normal(8, 64, 1)
    else:
        base = clustered(4200, 64, clusters=10, spread=0.1)
    graph, flat = HNSW(64, "l2"), Flat(64, "l2")
    for index in (graph, flat):
        index.add(np.arange(4000), base[:4000])
    assert bool(graph._store.view.graph.state[COARSE]) == coarse
    found, scores = graph.search(base[4000:], 10, ef_search=60)
    truth, true_scores = flat.search(base[4000:], 10)
    assert recall(found, truth) >= 0.95
    same = found == truth
    assert scores[same] == pytest.approx(true_scores[same], rel=1e-5)


def test_ef_search_below_k_is_raised() -> None:
    graph, flat = HNSW(24), Flat(24)
    for index in (graph, flat):
        index.add(np.arange(5000), clustered(5000, 24, 10, 0.5))
    asked = clustered(50, 24, 10, 0.5)
    rows, _ = graph.search(asked, 100, ef_search=1)
    assert (rows >= 0).all()
    assert recall(rows, flat.search(asked, 100)[0]) >= 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_a_zero_vector(metric: str) -> None:
    graph, flat = HNSW(12, metric), Flat(12, metric)
    base = normal(2000, 12)
    base[[3, 50, 900]] = 0
    for index in (graph, flat):
        index.add(np.arange(2000), base)
        rows, scores = index.search(np.zeros(12, np.float32), 5)
        assert (rows >= 0).all()
        if metric != "l2":
            assert (scores == 0).all()
    assert graph.search(base[3], 3)[0].tolist()[0] == flat.search(base[3], 3)[0].tolist()[0] or (
        metric != "l2"
    )


def test_rows_need_not_begin_at_zero_nor_follow_each_other() -> None:
    graph, flat = HNSW(16), Flat(16)
    rows = np.random.default_rng(7).permutation(np.arange(1000, 9000, 2))
    for index in (graph, flat):
        index.add(rows, normal(4000, 16))
    allowed = np.zeros(8000, bool)
    allowed[2000:6000] = True
    asked = normal(50, 16, 8)
    assert recall(graph.search(asked, 10)[0], flat.search(asked, 10)[0]) >= 0.9
    found, _ = graph.search(asked, 10, allowed=allowed)
    assert recall(found, flat.search(asked, 10, allowed=allowed)[0]) >= 0.95
    assert 1000 in graph
    assert 1001 not in graph
    assert -1 not in graph
    assert 10**12 not in graph


def test_extreme_lengths_do_not_break_anything() -> None:
    base = normal(1500, 8) * np.logspace(-30, 15, 1500)[:, None].astype(np.float32)
    for metric in METRICS:
        graph, flat = HNSW(8, metric), Flat(8, metric)
        for index in (graph, flat):
            index.add(np.arange(1500), base)
        rows, scores = graph.search(base[::30], 5, ef_search=100)
        assert (rows >= 0).all()
        assert not np.isnan(scores).any()
        if metric == "cosine":
            assert recall(rows, flat.search(base[::30], 5)[0]) >= 0.95


def test_a_small_index_is_walked_unless_a_filter_makes_it_smaller(monkeypatch) -> None:
    """Without a filter ``ef_search`` means what it says, however small the index."""
    index = HNSW(DIM, M=2, ef_construction=4)
    index.add(np.arange(800), normal(800, DIM))
    scans: list[int] = []
    scan = searcher.scan_codes

    def counted(*arguments: object) -> bool:
        scans.append(1)
        return scan(*arguments)

    monkeypatch.setattr(searcher, "scan_codes", counted)
    flat = Flat(DIM)
    flat.add(np.arange(800), normal(800, DIM))
    asked = normal(60, DIM, 1)
    truth = flat.search(asked, 10)[0]
    few, many = (recall(index.search(asked, 10, ef_search=ef)[0], truth) for ef in (10, 400))
    assert few < many
    assert not scans
    allowed = np.arange(800) < 40
    index.search(asked, 10, ef_search=10, allowed=allowed)
    assert scans
    scans.clear()
    index.search(asked, 10, ef_search=800)  # which covers all there is
    assert scans


@pytest.mark.parametrize("removed", [0, 3])
def test_a_search_that_widens_ends(monkeypatch, removed: int) -> None:
    """Every answer looks blurred: it is asked again with more candidates, until all are measured."""
    index, flat = HNSW(DIM), Flat(DIM)
    for one in (index, flat):
        one.add(np.arange(90), normal(90, DIM))
        one.remove(np.arange(removed))
    walk = searcher.answer

    def blurred(*arguments: object) -> bool:
        walk(*arguments)
        counts, start, stop = arguments[-2], arguments[3], arguments[4]
        counts[start:stop] = searcher.BLURRED
        return False

    monkeypatch.setattr(searcher, "answer", blurred)
    asked = normal(7, DIM, 1)
    rows, _ = index.search(asked, 5, ef_search=8)
    np.testing.assert_array_equal(rows, flat.search(asked, 5)[0])


@pytest.mark.parametrize("case", ["plain", "near-duplicates", "few"])
def test_a_query_alone_and_among_others_is_answered_the_same(case: str) -> None:
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((5 if case == "few" else 3000, 48)).astype(np.float32)
    if case == "near-duplicates":
        vectors = vectors[:1] + 1e-5 * vectors
    index = HNSW(48, "l2")
    index.add(np.arange(len(vectors)), vectors)
    queries = vectors[:40] + np.float32(1e-6)
    together = index.search(queries, 10, ef_search=12)
    for i, query in enumerate(queries):
        alone = index.search(query, 10, ef_search=12)
        for one, many in zip(alone, together, strict=True):
            assert one.shape == (1, 10)
            np.testing.assert_array_equal(one[0], many[i])
    with pytest.raises(InvalidInputError, match="NaN"):
        index.search(np.full(48, np.nan, np.float32), 10)


@pytest.mark.parametrize("where", ["anywhere", "around the queries"])
def test_few_removed_rows_are_passed_over(where: str) -> None:
    """Where they are around a query, the walk that passes over them isn't enough."""
    vectors = clustered(4000, 16, 40, 0.3)
    graph, flat = HNSW(16), Flat(16)
    for index in (graph, flat):
        index.add(np.arange(4000), vectors)
    gone = np.random.default_rng(0).permutation(4000)[:300]
    if where != "anywhere":
        gone = flat.search(vectors[:1], 300)[0][0]
    for index in (graph, flat):
        index.remove(gone)
    queries = vectors[gone]
    found, truth = graph.search(queries, 10, ef_search=40)[0], flat.search(queries, 10)[0]
    assert (found >= 0).all()
    assert not np.isin(found, gone).any()
    assert recall(found, truth) > 0.99
