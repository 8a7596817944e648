"""Candidates by four bits, estimated again by eight: what is left out can't matter."""

from __future__ import annotations

import numpy as np
import pytest

from llamaindex_vecx.addresses import address, seen_as
from llamaindex_vecx.index import HNSW
from llamaindex_vecx.index.exact import prepare
from llamaindex_vecx.index.hnsw.distance import as_query, encode, estimate, shape_of
from llamaindex_vecx.index.hnsw.refine import refine
from llamaindex_vecx.index.keys import START, buffer, clear, insert, pack
from llamaindex_vecx.jit import kernel
from llamaindex_vecx.metrics import as_metric

from .helpers import METRICS

N, DIM, K = 400, 150, 10


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
    used = refine(upper, whole, floats, query, norm, keys, coarse.shape[0], k)
    return used if code[0] < 128 else 0  # the query reads the code, so it must still be there


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("spread", [0.01, 0.3, 3.0])
def test_what_is_left_out_lies_beyond(metric: str, spread: float) -> None:
    """By four standard errors: hardly one in a thousand of the nearest is left out."""
    rng = np.random.default_rng(5)
    missed = estimated = 0
    for _ in range(40):
        query = rng.standard_normal(DIM).astype(np.float32)
        reach = rng.uniform(0, spread, (N, 1))
        vectors = (query + reach * rng.standard_normal((N, DIM))).astype(np.float32)
        index = HNSW(DIM, metric)  # type: ignore[arg-type]
        index.add(np.arange(N), vectors)
        keys, coarse, fine = buffer(N), np.empty(N, np.float32), np.empty(N, np.float32)
        blocks = index._store.view.graph.blocks
        used = refined(as_metric(metric).code, blocks, query, K, keys, coarse, fine)
        slots = (keys[START : START + N] & 0xFFFFFFFF) >> 1
        assert sorted(slots) == list(range(N))
        assert np.all(np.diff(fine[slots[:used]]) >= 0)
        assert np.all(np.diff(coarse[slots[used:]]) >= 0)
        missed += len(set(np.argsort(fine)[:K]) - set(slots[:used]))
        estimated += used
    assert missed / (40 * K) < 0.003
    assert K <= estimated / 40 <= (N if spread < 1 else N / 2)
