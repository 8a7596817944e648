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
from llamaindex_vecx.index.lookup import (
    LOOKS_UP,
    MOST,
    RECORD,
    fill_tables,
    gather_signs,
    look_up,
    lowest,
)
from llamaindex_vecx.jit import kernel
from llamaindex_vecx.metrics import as_metric

from .helpers import METRICS, clustered, normal, recall

N = 6000


pytestmark = pytest.mark.skipif(not LOOKS_UP, reason="this CPU has no AVX-512 VBMI")


@kernel
def gathered(codes: np.ndarray, chunks: int, out: np.ndarray) -> int:
    return gather_signs(address(codes), chunks, address(out))


@kernel
def filled(counts: np.ndarray, out: np.ndarray) -> None:
    fill_tables(address(counts), counts.shape[1], address(out))


@kernel
def looked_up(
    rows: np.ndarray,
    table: np.ndarray,
    most: float,
    weight: float,
    limit: float,
    distances: np.ndarray,
    near: np.ndarray,
) -> None:
    look_up(
        address(rows), address(table), table.shape[0], most, weight, limit, address(distances),
        address(near),
    )  # fmt: skip


@kernel
def lowest_of(bits: int) -> int:
    return lowest(bits)


def seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**32)


@given(st.integers(1, 9), seeds())
@settings(max_examples=40, deadline=None)
def test_places_are_the_highest_bits_of_codes(chunks: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 256, (chunks, 64), np.uint8)
    out = np.zeros((-(-chunks // 3), 64), np.uint8)
    total = gathered(codes, chunks, out)
    halves = np.stack([codes & 15, codes >> 4]).astype(int)
    assert total == np.maximum(halves, 15 - halves).sum()
    for group in range(len(out)):
        expected = np.zeros(64, int)
        for chunk in range(3 * group, min(3 * group + 3, chunks)):
            low, high = halves[:, chunk] > 7
            expected = expected << 2 | low | high << 1
        assert np.array_equal(out[group], expected)


@given(st.sampled_from([8, 64, 128]), seeds())
@settings(max_examples=40, deadline=None)
def test_looking_up_is_summing_what_bits_count(tables: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    there, not_there = rng.integers(0, MOST + 1, (2, tables, 6), np.int8)
    unset = not_there.reshape(tables, 2, 3).sum(axis=2, dtype=np.int8)
    counts = np.concatenate([(there - not_there).T, unset.T])
    table = np.zeros((tables, 64), np.uint8)
    filled(np.ascontiguousarray(counts), table)
    bits = (np.arange(64)[:, None] >> np.arange(6)) & 1
    sums = bits @ there.T.astype(int) + (1 - bits) @ not_there.T.astype(int)
    assert np.array_equal(table, sums.T)
    places = rng.integers(0, 64, (tables, RECORD), np.uint8)
    factors, norms = rng.random((2, RECORD), np.float32)
    rows = np.concatenate([places.ravel(), factors.view(np.uint8), norms.view(np.uint8)])
    distances, near = np.zeros(RECORD, np.float32), np.zeros(RECORD // 64, np.uint64)
    most, weight, limit = np.float32(40 * tables), np.float32(-0.01), np.float32(0.3)
    looked_up(rows, table, most, weight, limit, distances, near)
    order = np.arange(RECORD).reshape(-1, 32, 2).transpose(0, 2, 1).ravel()
    found = table[np.arange(tables)[:, None], places].sum(axis=0, dtype=int)[order]
    assert distances == pytest.approx(
        norms + weight * factors * (most - 2 * found), rel=1e-4, abs=1e-4
    )
    assert np.array_equal(np.unpackbits(near.view(np.uint8), bitorder="little"), distances < limit)


@given(st.integers(1, 2**64 - 1))
def test_the_lowest_bit(bits: int) -> None:
    assert lowest_of(np.uint64(bits)) == (bits & -bits).bit_length() - 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [40, 64, 130, 384, 450, 768])
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
    signs = np.zeros((-(-len(slots) // RECORD), record(dim)), np.uint64)
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
    calls: list[str] = []

    def counted(name: str) -> None:
        kernel = getattr(searcher, name)

        def call(*arguments: object) -> object:
            calls.append(name)
            return kernel(*arguments)

        monkeypatch.setattr(searcher, name, call)

    counted("find_likely")
    index.search(asked[:1], 10, allowed=allowed)
    assert not calls
    index.search(asked[:1], 10, allowed=allowed)  # trust is measured
    calls.clear()
    counted("scan_codes")
    found = [index.search(query[None], 10, allowed=allowed)[0] for query in asked]
    assert calls.count("find_likely") == 100
    assert calls.count("scan_codes") <= 110  # hardly any asked again without signs
    assert recall(np.concatenate(found), truth) >= 0.98
