"""Which graphs take removed nodes out when others come: those that four bits tell apart."""

from __future__ import annotations

import numpy as np
import pytest

from llamaindex_vecx.index import HNSW, Flat
from llamaindex_vecx.index.hnsw.layout import COARSE

from .helpers import clustered, normal, recall


def spread(count: int, seed: int) -> np.ndarray:
    """Rows of ten hidden dimensions in 64, as sentences are of few: four bits tell them apart."""
    turn = np.linalg.qr(normal(64, 64))[0][:10]
    return (normal(count, 10, seed) @ turn).astype(np.float32)


def tight(count: int, seed: int) -> np.ndarray:
    return clustered(9000, 32, 12, 0.3)[seed * count : (seed + 1) * count]


@pytest.mark.parametrize("metric", ["cosine", "ip"])
@pytest.mark.parametrize("rows", [spread, tight])
def test_half_is_replaced_a_tenth_at_a_time(rows, metric: str) -> None:  # type: ignore[no-untyped-def]
    before, others, asked = rows(4000, 0), rows(2000, 2), rows(200, 40)
    index, flat = HNSW(before.shape[1], metric), Flat(before.shape[1], metric)
    for one in (index, flat):
        one.add(np.arange(4000), before)
    for start in range(0, 2000, 400):
        some = np.arange(start, start + 400)
        for one in (index, flat):
            one.remove(some)
            one.add(some, others[some])
    coarse = bool(index._store.view.graph.state[COARSE])
    assert coarse == (rows is spread)
    assert (index._store.view.parted > 0) == (coarse and metric != "ip")
    fresh = HNSW(before.shape[1], metric)
    fresh.add(np.arange(4000), np.concatenate([others, before[2000:]]))
    truth = flat.search(asked, 10)[0]
    found, expected = (recall(one.search(asked, 10)[0], truth) for one in (index, fresh))
    assert found >= expected - 0.01
