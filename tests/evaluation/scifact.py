"""SciFact's test claims and what BM25 finds for them; tests skip where the data isn't."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from llamaindex_vecx.evaluation import LabelledQueries, load_labelled
from llamaindex_vecx.text import BM25, get_tokenizer

REPO = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("VECX_DATA", REPO.parent / "shared" / "data"))


def folder(name: str) -> Path:
    """A folder of the shared data."""
    if not (DATA / name).is_dir():
        pytest.skip(f"{name} is not in {DATA}: set VECX_DATA to the folder of shared data")
    return DATA / name


def scifact() -> LabelledQueries:
    return load_labelled(folder("scifact"))


@cache
def bm25_run() -> dict[str, dict[str, float]]:
    labelled = scifact()
    assert labelled.read_corpus is not None
    corpus = list(labelled.read_corpus())
    tokens = get_tokenizer("default")
    index = BM25()
    index.add(np.arange(len(corpus)), [tokens(f"{p.title} {p.text}") for p in corpus])
    run = {}
    for query, text in labelled.queries.items():
        rows, scores = index.search(tokens(text), 100)
        hits = zip(rows, scores, strict=True)
        run[query] = {corpus[row].id: float(score) for row, score in hits if row >= 0}
    return run


def rounded(run: dict[str, dict[str, float]], digits: int) -> dict[str, dict[str, float]]:
    return {
        q: {id_: round(score, digits) for id_, score in found.items()} for q, found in run.items()
    }
