"""Every kind of factory string that was tried, and the way that filters and removals take there.

The table is what FAISS 1.15.1 does; where another version does more or less, the way is found at run time and
the answers stay right, so only this table would have to follow.
"""

from __future__ import annotations

import numpy as np
import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.index import FAISS, Flat

from .helpers import normal, recall

DIM, N = 16, 700
PUSHED, SCANNED = "selector", "exact scan of the allowed rows"
REMOVED, REBUILT = "remove_ids", "tombstones, then a rebuild"

# factory string: how a filter is answered, how removed rows go, whether vectors are compared and not codes
KINDS: dict[str, tuple[str, str, bool]] = {
    "Flat": (PUSHED, REMOVED, True),
    "HNSW16": (PUSHED, REBUILT, True),
    "HNSW16,SQ8": (PUSHED, REBUILT, False),
    "HNSW8_PQ4x4": (PUSHED, REBUILT, False),
    "IVF8,Flat": (PUSHED, REMOVED, True),
    "IVF8_HNSW8,Flat": (PUSHED, REMOVED, True),
    "IVF8,PQ8x4": (PUSHED, REMOVED, False),
    "IVF8,PQ8x4fs": (PUSHED, REBUILT, False),  # its remove_ids spoils what is added later
    "IVF8,SQ8": (PUSHED, REMOVED, False),
    "OPQ4,IVF4,PQ4x4": (PUSHED, REMOVED, False),
    "PCA8,Flat": (PUSHED, REMOVED, False),
    "PCA8,IVF8,Flat": (PUSHED, REMOVED, False),
    "SQ8": (PUSHED, REMOVED, False),
    "SQfp16": (PUSHED, REMOVED, False),
    "PQ8x4": (SCANNED, REMOVED, False),
    "PQ8x4fs": (SCANNED, REBUILT, False),
    "RQ4x4": (SCANNED, REMOVED, False),
    "Flat,RFlat": (PUSHED, REBUILT, True),
    "IVF8,PQ8x4,RFlat": (PUSHED, REBUILT, False),
    "PQ8x4fs,RFlat": (SCANNED, REBUILT, False),
    "SQ8,RFlat": (PUSHED, REBUILT, False),
    "IDMap2,Flat": (PUSHED, REMOVED, True),
}
ONCE = ("NSG8", "NSG8,Flat")  # take vectors only once: refused

VECTORS = normal(N, DIM)
QUERIES = normal(12, DIM, 1)


@pytest.fixture(scope="module")
def built() -> dict[str, FAISS]:
    """One index of each kind, with every row, trained on half of them."""
    indexes = {}
    for factory in KINDS:
        index = FAISS(DIM, "l2", factory, train_at=300)
        index.add(np.arange(350), VECTORS[:350])
        while index.due:
            index.improve()
        assert index.trained, factory
        index.add(np.arange(350, N), VECTORS[350:])
        indexes[factory] = index
    return indexes


def exact(alive: np.ndarray) -> Flat:
    flat = Flat(DIM, "l2")
    flat.add(alive, VECTORS[alive])
    return flat


@pytest.mark.parametrize("factory", KINDS)
@pytest.mark.parametrize("share", [0.9, 0.4, 0.02])
def test_a_filter_returns_k_of_the_allowed_rows(built, factory, share):
    index = built[factory]
    allowed = np.random.default_rng(2).random(N) < share
    truth, _ = exact(np.arange(N)).search(QUERIES, 10, allowed=allowed)
    found, scores = index.search(QUERIES, 10, allowed=allowed)
    assert (found >= 0).sum() == (truth >= 0).sum()
    assert allowed[found[found >= 0]].all()
    assert (np.diff(scores, axis=1) <= 0).all()
    unfiltered = recall(index.search(QUERIES, 10)[0], exact(np.arange(N)).search(QUERIES, 10)[0])
    assert recall(found, truth) >= (1.0 if share < 0.1 else unfiltered - 0.15)


@pytest.mark.parametrize("factory", KINDS)
def test_the_way_a_filter_takes(built, factory):
    core = built[factory]._core
    allowed = np.random.default_rng(3).random(N) < 0.5
    core.search(QUERIES, 10, allowed, 1, None, None, None)
    assert (PUSHED if core.honours else SCANNED) == KINDS[factory][0]


@pytest.mark.parametrize("factory", KINDS)
def test_scores_are_those_of_the_vectors_and_not_of_codes(built, factory):
    rows, scores = built[factory].search(QUERIES, 5)
    distances = np.linalg.norm(QUERIES[:, None] - VECTORS[rows], axis=2)
    np.testing.assert_allclose(scores, 1 / (1 + distances), rtol=1e-4)


@pytest.mark.parametrize("factory", KINDS)
def test_the_way_removed_rows_go(factory):
    index = FAISS(DIM, "l2", factory, train_at=300)
    index.add(np.arange(N), VECTORS)
    if index.due:
        index.improve()
    before = index._core
    gone = np.arange(0, N, 3)
    index.remove(gone)
    alive = np.setdiff1d(np.arange(N), gone)
    assert not np.isin(index.search(QUERIES, N)[0], gone).any()
    assert (index.search(QUERIES, N)[0] >= 0).sum() == len(QUERIES) * len(alive)
    assert index.due
    index.improve()
    assert not index.due
    assert index.tombstones == 0
    assert (REMOVED if index._core is before else REBUILT) == KINDS[factory][1]
    assert index._core.index.ntotal == len(alive)
    # no label has come to mean another row
    rows, scores = index.search(VECTORS[alive], 1, k_factor=64, threads=2)
    own = scores[:, 0] > 0.999
    assert (rows[own, 0] == alive[own]).all()
    assert own.mean() > 0.8
    index.add(gone, VECTORS[gone])
    assert len(index) == N
    found, _ = index.search(VECTORS[gone[:50]], 1, k_factor=64)
    assert (found[:, 0] == gone[:50]).mean() > 0.8


@pytest.mark.parametrize("factory", KINDS)
def test_a_snapshot_answers_the_same(built, factory, tmp_path):
    index = built[factory]
    index.save(tmp_path / "it", stamp={"seq": 1})
    loaded, stamp = FAISS.load(tmp_path / "it")
    assert stamp == {"seq": 1}
    assert repr(loaded) == repr(index)
    for one, other in zip(index.search(QUERIES, 10), loaded.search(QUERIES, 10), strict=True):
        np.testing.assert_array_equal(one, other)
    loaded.add([N + 5], VECTORS[:1] + 9)
    assert loaded.search(VECTORS[:1] + 9, 1, k_factor=64)[0][0, 0] == N + 5


def test_codes_are_told_from_vectors():
    for factory, (_, _, lossless) in KINDS.items():
        index = FAISS(DIM, "l2", factory)
        assert index.anatomy.lossy is not lossless, factory


@pytest.mark.parametrize("factory", ONCE)
def test_what_takes_vectors_only_once_is_refused(factory):
    with pytest.raises(InvalidInputError, match="only once"):
        FAISS(DIM, "l2", factory)
