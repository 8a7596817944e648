"""Scans by signs: the estimates to the bit, and answers that are right where signs say little too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.addresses import address
from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw import searcher
from llamaindex_vecx.index.hnsw.signs import find_likely, pack_signs, record
from llamaindex_vecx.index.simd import compare_signs, gather_signs
from llamaindex_vecx.jit import kernel
from llamaindex_vecx.metrics import as_metric

from .helpers import METRICS, clustered, normal, recall

N = 6000


@kernel
def gathered(codes: np.ndarray, words: int, out: np.ndarray) -> int:
    return gather_signs(address(codes), words, address(out))


@kernel
def compared(
    rows: np.ndarray,
    query: np.ndarray,
    most: int,
    weight: float,
    limit: float,
    out: np.ndarray,
) -> int:
    return compare_signs(
        address(rows), address(query), query.shape[0], most, weight, limit, address(out)
    )


@given(st.integers(1, 12), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_signs_are_the_highest_bits_of_codes(words: int, seed: int) -> None:
    chunks = (words + 1) // 2
    codes = np.random.default_rng(seed).integers(0, 256, chunks * 64, np.uint8)
    out = np.zeros((words, 8), np.uint64)
    total = gathered(codes, words, out)
    halves = np.stack([codes.reshape(chunks, 64) & 15, codes.reshape(chunks, 64) >> 4], axis=1)
    apart = halves.reshape(2 * chunks, 64).astype(int)
    assert total == np.maximum(apart, 15 - apart).sum()
    bits = np.packbits(apart[:words] > 7, axis=1, bitorder="little").view(np.uint64)
    assert np.array_equal(out[:, 0], bits[:, 0])


@given(st.integers(1, 12), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_eight_rows_are_compared_at_once(words: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2**64, (words + 1, 8), np.uint64)
    query = rng.integers(0, 2**64, (words, 2), np.uint64)
    factors, norms = rng.random((2, 8), np.float32)
    rows[-1] = np.concatenate([factors, norms]).view(np.uint64)
    out = np.zeros(8, np.float32)
    near = compared(rows, query, 1000, np.float32(-0.5), np.float32(0.0), out)
    different = rows[:-1] ^ query[:, :1]
    small, large = (
        np.bitwise_count(bits).sum(axis=0).astype(int)
        for bits in (different, different & query[:, 1:])
    )
    sums = (1000 - 2 * (small + 2 * large)).astype(np.float32)
    assert out == pytest.approx(norms - np.float32(0.5) * sums * factors, rel=1e-5, abs=1e-4)
    assert near == sum(int(distance < 0.0) << row for row, distance in enumerate(out))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [40, 64, 130, 384])
def test_likely_slots_hold_the_nearest(metric: str, dim: int) -> None:
    rng = np.random.default_rng(0)
    mixed = normal(dim // 3, dim, 1) / 3
    vectors = normal(N, dim // 3) @ mixed * rng.uniform(0.5, 1.5, (N, 1)).astype(np.float32)
    asked = normal(40, dim // 3, 2) @ mixed
    index, flat = HNSW(dim, metric), Flat(dim, metric)
    for each in (index, flat):
        each.add(np.arange(N), vectors)
    slots = np.flatnonzero(rng.random(N) < 0.7).astype(np.int32)
    blocks = index._store.view.graph.blocks
    code = as_metric(metric).code
    signs = np.zeros((-(-len(slots) // 8), record(dim)), np.uint64)
    pack_signs(code, dim, blocks, slots, signs)
    likely, counts = np.zeros((40, 5000), np.int32), np.zeros(40, np.int64)
    cuts = np.zeros(40, np.float32)
    find_likely(code, asked, 0, 40, slots, signs, 1000, likely, counts, cuts)
    assert (counts > 300).all()
    assert np.median(counts) == pytest.approx(1000, rel=0.3)
    truth, _ = flat.search(asked, 10, allowed=slots.astype(np.int64))
    for found, count, nearest in zip(likely, counts, truth, strict=True):
        assert np.isin(found[:count], slots).all()
        assert len(set(found[:count].tolist())) == count
        assert set(found[:count].tolist()) & set(nearest.tolist())
    hits = [np.isin(t, f[:n]).mean() for t, f, n in zip(truth, likely, counts, strict=True)]
    assert np.mean(hits) >= 0.9
    find_likely(code, asked, 0, 40, slots, signs, 1000, likely[:, :300].copy(), counts, cuts)
    assert (counts == 0).all()  # no room for so many


def data(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and queries, 64 components each."""
    if kind == "low-rank":
        both = normal(N + 100, 16) @ normal(16, 64, 1)
    elif kind == "gaussian":
        both = normal(N + 100, 64)
    elif kind == "positive":
        both = np.abs(normal(N + 100, 64)) + 3
    elif kind == "tight":
        both = clustered(N + 100, 64, 5, 0.02)
    else:
        both = np.repeat(normal((N + 100) // 50, 64), 50, axis=0)
    return both[:N], both[N:]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["low-rank", "gaussian", "positive", "tight", "equal"])
def test_filters_find_what_they_should_whatever_signs_tell(
    metric: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searcher, "prefers_scan", lambda *_: True)
    rows, asked = data(kind)
    index, flat = HNSW(64, metric), Flat(64, metric)
    for each in (index, flat):
        each.add(np.arange(N), rows)
    allowed = np.random.default_rng(1).random(N) < 0.6
    found, scores = index.search(asked, 10, allowed=allowed)
    _truth, true_scores = flat.search(asked, 10, allowed=allowed)
    assert allowed[found].all()
    assert (scores >= true_scores[:, -1:] - 1e-4 * np.abs(true_scores[:, -1:])).mean() >= 0.97


def test_signs_are_trusted_where_they_tell_and_only_there() -> None:
    trusted = {}
    for kind in ("low-rank", "positive", "tight"):
        rows, _asked = data(kind)
        index = HNSW(64)
        index.add(np.arange(N), rows)
        store, found = index._store, index._searcher
        trusted[kind] = found._trust.given(store, found._scan_rows)
    assert trusted == {"low-rank": True, "positive": False, "tight": False}


def test_a_row_that_was_removed_is_not_found_by_its_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searcher, "prefers_scan", lambda *_: True)
    rows, _ = data("low-rank")
    index = HNSW(64)
    index.add(np.arange(N), rows)
    allowed = np.arange(N) % 3 > 0
    asked = rows[allowed][:50]
    before, _ = index.search(asked, 1, allowed=allowed)
    assert np.array_equal(before[:, 0], np.flatnonzero(allowed)[:50])
    index.remove(before[:25, 0])
    after, _ = index.search(asked, 1, allowed=allowed)
    assert not np.isin(after[:25], before[:25]).any()
    assert np.array_equal(after[25:], before[25:])


def test_a_query_of_a_repeated_filter_is_answered_by_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searcher, "prefers_scan", lambda *_: True)
    rows, asked = data("low-rank")
    index, flat = HNSW(64), Flat(64)
    for each in (index, flat):
        each.add(np.arange(N), rows)
    allowed = np.random.default_rng(1).random(N) < 0.6
    truth, _ = flat.search(asked, 10, allowed=allowed)
    calls: list[int] = []

    def counted(*arguments: object) -> None:
        calls.append(1)
        find_likely(*arguments)

    monkeypatch.setattr(searcher, "find_likely", counted)
    index.search(asked[:1], 10, allowed=allowed)
    assert not calls
    found = np.concatenate(
        [index.search(asked[i : i + 1], 10, allowed=allowed)[0] for i in range(100)]
    )
    assert len(calls) >= 100
    assert recall(found, truth) >= 0.98
