"""Scores: the service's to ours, and ours for records that are at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llamaindex_vecx.metrics import as_metric
from llamaindex_vecx.stores.pinecone.api import Ask
from llamaindex_vecx.stores.pinecone.records import Found

__all__ = ["ranked_here", "similarity_of"]


def similarity_of(metric: str, score: float) -> float:
    """Pinecone's score as the stores' similarity: its euclidean one is the squared distance."""
    if metric == "l2":
        return 1.0 / (1.0 + math.sqrt(max(score, 0.0)))
    if metric == "cosine":
        return min(max(score, -1.0), 1.0)
    return score


def ranked_here(found: Sequence[Found], ask: Ask, metric: str) -> list[Found]:
    """Records at hand with the scores that a search would give them, best first.

    Records without the vector that is asked for are left out; in a sparse search also those that share
    no term.
    """
    scored = _dense(found, ask.dense, metric) if ask.dense is not None else _sparse(found, ask)
    return sorted(scored, key=lambda one: (-one.score, one.id))


def _dense(found: Sequence[Found], query: list[float], metric: str) -> list[Found]:
    there = [one for one in found if one.values]
    if not there:
        return []
    measure = as_metric(metric)
    vectors = measure.prepare(np.array([one.values for one in there], dtype=np.float32))
    asked = measure.prepare(np.array([query], dtype=np.float32))
    scores = measure.similarity(measure.distances(asked, vectors)[0]).tolist()
    for one, score in zip(there, scores, strict=True):
        one.score = score
    return there


def _sparse(found: Sequence[Found], ask: Ask) -> list[Found]:
    assert ask.sparse is not None
    weights = dict(zip(*ask.sparse, strict=True))
    for one in found:
        pairs = zip(*one.sparse, strict=True) if one.sparse else ()
        one.score = math.fsum(weights.get(term, 0.0) * weight for term, weight in pairs)
    return [one for one in found if one.score > 0.0]
