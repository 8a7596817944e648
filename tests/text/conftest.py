"""Random corpora, and segments small enough for them."""

import numpy as np
import pytest

from llamaindex_vecx.text import BM25, postings


@pytest.fixture(autouse=True)
def small_segments(monkeypatch):
    """Random corpora are small: let a few documents already fill segments and call for compaction."""
    monkeypatch.setattr(postings, "_TAIL_POSTINGS", 12)
    monkeypatch.setattr(postings, "_COMPACT_FROM", 6)


def build(documents, **params):
    index = BM25(**params)
    index.add(np.arange(len(documents)), documents)
    return index


def random_corpus(size, seed=0, words=40, length=12):
    rng = np.random.default_rng(seed)
    ids = rng.zipf(1.4, size=(size, length)) % words
    return [[f"w{i}" for i in row[: rng.integers(0, length + 1)]] for row in ids]
