"""What the quality benchmark ranks by, and how rankings are valued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.evaluation import bootstrap_interval, get_measure
from llamaindex_vecx.fusion import FittedFusion, fuse
from llamaindex_vecx.text import BM25, get_tokenizer
from quality_data import Dataset

POOL = 50

Run = dict[str, list[tuple[str, float]]]
"""What a source found: by query, (document, score) pairs, best first."""


# Sources


def dense(vectors: NDArray[np.float32], queries: NDArray[np.float32], pool: int = POOL) -> Run:
    """The nearest documents; exact."""
    return _best(queries @ vectors.T, pool)


def best_sentence(
    sentences: NDArray[np.float32], of: NDArray[np.int64], queries: NDArray[np.float32], pool: int
) -> Run:
    """Documents by their nearest sentence, as ``group_by="ref_doc_id"`` returns them; exact."""
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    parts = [
        np.maximum.reduceat(queries[at : at + 100] @ sentences.T, starts, axis=1)
        for at in range(0, len(queries), 100)
    ]
    return _best(np.concatenate(parts), pool)


def _best(scores: NDArray[np.float32], pool: int) -> Run:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :pool]
    return {
        str(query): [(str(row), float(scores[query, row])) for row in rows]
        for query, rows in enumerate(order)
    }


def bm25(data: Dataset, pool: int = POOL, tokenizer: str = "default", **params: Any) -> Run:
    tokens = get_tokenizer(tokenizer)
    index = BM25(**params)
    index.add(np.arange(len(data.documents)), [tokens(text) for text in data.documents])
    run: Run = {}
    for query, text in enumerate(data.queries):
        rows, scores = index.search(tokens(text), pool)
        run[str(query)] = [
            (str(row), float(score)) for row, score in zip(rows, scores, strict=True) if row >= 0
        ]
    return run


def cut(run: Run, pool: int) -> Run:
    return {query: hits[:pool] for query, hits in run.items()}


# Results


@dataclass
class Results:
    """The value of a measure for each query of some rankings."""

    values: dict[str, NDArray[np.float64]]

    @classmethod
    def of(cls, rankings: Mapping[str, Sequence[str]], data: Dataset, *measures: str) -> Results:
        return cls(
            {
                name: np.array([get_measure(name).of(rankings[q], data.qrels[q]) for q in rankings])
                for name in measures
            }
        )

    def mean(self, measure: str, which: NDArray[np.bool_] | slice = slice(None)) -> float:
        return float(self.values[measure][which].mean())


def alone(run: Run) -> dict[str, list[str]]:
    return {query: [key for key, _ in hits] for query, hits in run.items()}


def fused(
    runs: Sequence[Run], method: str = "rrf", pool: int = POOL, **options: Any
) -> dict[str, list[str]]:
    return {
        query: [
            key
            for key, _ in fuse(
                [run[query] for run in runs], method, depths=[pool] * len(runs), **options
            )
        ]
        for query in runs[0]
    }


def by_choice(
    runs: Mapping[str, Run], fitted: FittedFusion, pool: int = POOL
) -> dict[str, list[str]]:
    weights = [fitted.weights[name] for name in runs]
    return fused(list(runs.values()), fitted.method, pool, k=fitted.k, weights=weights)


def interval(values: NDArray[np.float64], base: NDArray[np.float64]) -> str:
    low, high = bootstrap_interval(values - base)
    return f"{(values - base).mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def by_entropy(runs: Mapping[str, Run]) -> dict[str, list[str]]:
    """RRF with weights of ``(1 - H)²``, H the entropy of a source's scores (softmax of z, over its log n)."""
    rankings = {}
    for query in next(iter(runs.values())):
        hits = [run[query] for run in runs.values()]
        weights = [max((1 - _entropy(np.array([s for _, s in run]))) ** 2, 1e-6) for run in hits]
        rankings[query] = [key for key, _ in fuse(hits, weights=weights)]
    return rankings


def _entropy(scores: NDArray[np.float64]) -> float:
    if len(scores) < 2 or scores.std() == 0:
        return 0.0
    shares = np.exp((scores - scores.max()) / scores.std())
    shares /= shares.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(scores)))
