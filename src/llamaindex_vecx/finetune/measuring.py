"""What a model is worth on held-out queries, while it trains and before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.device import choose_dtype
from llamaindex_vecx.evaluation.measures import get_measure
from llamaindex_vecx.finetune.data import TrainingData

__all__ = ["Values", "rerank_scores", "reranking_values", "retrieval_values"]

Values = NDArray[np.float64]
"""The measure of each held-out query, in the order of its ``qrels``."""

_BATCH = 32


def retrieval_values(
    held_out: TrainingData,
    measure: str,
    *,
    distractors: int | None = 500,
    seed: int = 0,
) -> Callable[[Any], Values]:
    """A function of an embedding model: search the passages for each held-out query, exactly.

    Parameters
    ----------
    held_out : TrainingData
    measure : str
        See :func:`~llamaindex_vecx.evaluation.get_measure`.
    distractors : int, optional
        Passages drawn at random beside the judged ones: embedding a large corpus after every epoch takes
        longer than training. None is all.
    seed : int
    """
    value = get_measure(measure)
    judged = {id_ for grades in held_out.qrels.values() for id_ in grades}
    others = [id_ for id_ in held_out.corpus if id_ not in judged]
    if distractors is not None and len(others) > distractors:
        drawn = np.random.default_rng(seed).choice(len(others), distractors, replace=False)
        others = [others[place] for place in sorted(drawn)]
    ids = [*(id_ for id_ in held_out.corpus if id_ in judged), *others]

    def values(model: Any) -> Values:
        passages = _embed(model, [held_out.corpus[id_] for id_ in ids], "document")
        asked = _embed(model, [held_out.queries[query] for query in held_out.qrels], "query")
        order = np.argsort(-(asked @ passages.T), axis=1, kind="stable")
        return np.array(
            [
                value.of([ids[row] for row in rows], held_out.grades(query))
                for query, rows in zip(held_out.qrels, order, strict=True)
            ]
        )

    return values


def _embed(model: Any, texts: list[str], kind: str) -> NDArray[np.float32]:
    encode = getattr(model, f"encode_{kind}", model.encode)
    with _as_in_training(model):
        vectors = encode(
            texts, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
        )
    return np.asarray(vectors, dtype=np.float32)


def _as_in_training(model: Any) -> AbstractContextManager[Any]:
    """bfloat16 where training has it: measuring would otherwise take as long as the epoch."""
    import torch

    device = model.device.type
    enabled = choose_dtype(None, device) == torch.bfloat16
    context: AbstractContextManager[Any] = torch.autocast(
        device, dtype=torch.bfloat16, enabled=enabled
    )
    return context


def rerank_scores(
    model: Any, data: TrainingData, candidates: Mapping[str, list[tuple[str, float]]]
) -> dict[str, list[tuple[str, float]]]:
    """The candidates of each query with a cross-encoder's scores, best first."""
    pairs = [(query, id_) for query in data.qrels for id_, _ in candidates.get(query, [])]
    if not pairs:
        return {query: [] for query in data.qrels}
    with _as_in_training(model):
        scores = model.predict(
            [(data.queries[query], data.corpus[id_]) for query, id_ in pairs],
            batch_size=_BATCH,
            show_progress_bar=False,
        )
    found: dict[str, list[tuple[str, float]]] = {query: [] for query in data.qrels}
    for (query, id_), score in zip(pairs, scores, strict=True):
        found[query].append((id_, float(score)))
    return {query: sorted(hits, key=lambda hit: -hit[1]) for query, hits in found.items()}


def reranking_values(
    held_out: TrainingData, measure: str, candidates: Mapping[str, list[tuple[str, float]]]
) -> Callable[[Any], Values]:
    """A function of a cross-encoder: put the candidates of each held-out query in its order."""
    value = get_measure(measure)

    def values(model: Any) -> Values:
        scored = rerank_scores(model, held_out, candidates)
        return np.array(
            [
                value.of([id_ for id_, _ in scored[query]], held_out.grades(query))
                for query in held_out.qrels
            ]
        )

    return values
