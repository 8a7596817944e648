"""Candidates by four bits, estimated again by eight: what is left out can't matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.addresses import address, seen_as
from llamaindex_vecx.index import HNSW
from llamaindex_vecx.index.exact import prepare
from llamaindex_vecx.index.hnsw.distance import as_query, encode, estimate, shape_of
from llamaindex_vecx.index.hnsw.refine import refine
from llamaindex_vecx.index.keys import START, buffer, clear, insert, pack
from llamaindex_vecx.jit import kernel
from llamaindex_vecx.metrics import as_metric

from .helpers import METRICS

N, DIM = 400, 150


@kernel
def refined(metric, blocks, vector, k, keys, coarse, fine):  # type: ignore[no-untyped-def]
    """The keys of all nodes, refined; how many were; all their estimates by four bits and by eight."""
    upper = shape_of(blocks, vector.shape[0], metric, False)
    whole = shape_of(blocks, vector.shape[0], metric, True)
    floats = seen_as(blocks, np.float32)
    prepared = np.zeros(upper.chunks * 128, np.float32)
    code = np.empty(upper.chunks * 128, np.int8)
    prepare(metric, vector, prepared)
    total, factor, norm, _ = encode(prepared, code)
    query = as_query(metric, address(code), total, factor, norm)
    clear(keys)
    for slot in range(coarse.shape[0]):
        coarse[slot] = estimate(upper, floats, query, slot)
        fine[slot] = estimate(whole, floats, query, slot)
        insert(keys, pack(coarse[slot], slot << 1))
    used = refine(whole, floats, query, norm, keys, coarse.shape[0], k)
    return used if code[0] < 128 else 0  # the query reads the code, so it must still be there


@pytest.mark.parametrize("metric", METRICS)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), k=st.integers(1, 40), spread=st.sampled_from([0.01, 0.3, 3.0]))
def test_what_is_left_out_lies_beyond(metric: str, seed: int, k: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    query = rng.standard_normal(DIM).astype(np.float32)
    reach = rng.uniform(0, spread, (N, 1))
    vectors = (query + reach * rng.standard_normal((N, DIM))).astype(np.float32)
    index = HNSW(DIM, metric)  # type: ignore[arg-type]
    index.add(np.arange(N), vectors)
    keys, coarse, fine = buffer(N), np.empty(N, np.float32), np.empty(N, np.float32)
    blocks = index._store.view.graph.blocks
    used = refined(as_metric(metric).code, blocks, query, k, keys, coarse, fine)
    slots = (keys[START : START + N] & 0xFFFFFFFF) >> 1
    assert sorted(slots) == list(range(N))
    assert np.all(np.diff(fine[slots[:used]]) >= 0)
    assert np.all(np.diff(coarse[slots[used:]]) >= 0)
    assert used >= min(k, N)
    nearest = set(np.argsort(fine)[:k].tolist())
    missed = nearest - set(slots[:used].tolist())
    assert len(missed) <= max(1, k // 20)  # three standard errors: one in some hundreds
    if spread == 3.0 and k < 20:
        assert used < N
