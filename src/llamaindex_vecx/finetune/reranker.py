"""Fine-tuning a cross-encoder on labelled queries."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.base.base_retriever import BaseRetriever

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.device import choose_device
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.measures import get_measure
from llamaindex_vecx.finetune.checkpoints import check_output, checkpoints_of, put_in_place
from llamaindex_vecx.finetune.data import TrainingData
from llamaindex_vecx.finetune.measuring import Values, rerank_scores, reranking_values
from llamaindex_vecx.finetune.negatives import Candidates, mine_negatives, retrieve_candidates
from llamaindex_vecx.finetune.report import Line, Report, line
from llamaindex_vecx.finetune.split import divide
from llamaindex_vecx.finetune.training import Settings, require_training, train
from llamaindex_vecx.fusion import FittedFusion, fit_fusion
from llamaindex_vecx.fusion.fit import MINIMUM_QUERIES

__all__ = ["LOSSES", "finetune_reranker"]

LOSSES = ("bce", "mnrl", "cached_mnrl")


def finetune_reranker(
    data: TrainingData,
    base: str | Path,
    output: str | Path,
    *,
    held_out: TrainingData | float | None = 0.25,
    loss: str = "bce",
    negatives: int = 4,
    candidates: int = 20,
    retriever: BaseRetriever | None = None,
    measure: str = "ndcg@10",
    overwrite: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Train a cross-encoder to tell passages that answer a query from those that only look like it.

    Its quality depends on how much it has seen: from a plain language model and some hundreds of queries
    comes a weak reranker. Begin with a pretrained one where you can, and look at the report's line "mixed".

    Parameters
    ----------
    data : TrainingData
    base : str or Path
        A cross-encoder, or any encoder, which gets a new head.
    output : str or Path
        A new folder for the model; load it by ``CrossEncoderRerank(model=output)``.
    held_out
        As for :func:`~llamaindex_vecx.finetune.finetune_embedding`.
    loss : str
        ``"bce"``: a pair is right or wrong. ``"mnrl"``, ``"cached_mnrl"``: the right passage against its
        negatives and the batch's other passages.
    negatives : int
        Hard negatives a pair.
    candidates : int
        How many of the first stage's passages are put in order, for the figures.
    retriever : BaseRetriever, optional
        The first stage, which also mines negatives; None is BM25 over the corpus.
    measure : str
    overwrite, settings
        As for :func:`~llamaindex_vecx.finetune.finetune_embedding`.

    Returns
    -------
    Report
        Its lines are the first stage, the reranker alone, and both mixed.

    Raises
    ------
    InvalidInputError
        Too few queries, a split that leaks, a base that can't be trained.
    FormatError
        With ``resume``, a checkpoint that was cut short.
    MissingExtraError
    """
    settings = settings or Settings(max_length=None)
    if loss not in LOSSES:
        raise InvalidInputError(f"loss={loss!r} must be one of {', '.join(LOSSES)}")
    check_count(negatives, "negatives")
    check_count(candidates, "candidates")
    folder = check_output(output, overwrite=overwrite)
    train_part, test_part = divide(data, held_out, settings.seed)
    require_training()
    model = _load(base, settings)
    found = {} if test_part is None else retrieve_candidates(test_part, retriever, depth=candidates)
    values = None if test_part is None else reranking_values(test_part, measure, found)
    rows = _rows(train_part, loss, negatives, retriever, settings)
    trained = train(
        model,
        rows,
        _loss(model, loss, negatives),
        None if values is None else lambda current: float(np.mean(values(current))),
        settings,
        checkpoints_of(folder),
    )
    lines, mix = [], None
    if test_part is not None:
        before = _values(found, test_part, measure)
        scored = rerank_scores(model, test_part, found)
        mix = _mix(found, scored, test_part, measure, settings.seed)
        reranked = line("reranked", _values(scored, test_part, measure), before)
        lines = [line("first stage", before), reranked]
        lines += [] if mix is None else [_mixed_line(mix, before)]
    put_in_place(folder, model.save_pretrained)
    report = Report(
        kind="reranker",
        path=str(folder),
        base=str(base),
        measure=measure,
        lines=lines,
        train_queries=len(train_part),
        pairs=len(rows),
        held_out_queries=0 if test_part is None else len(test_part),
        curve=trained.curve,
        best_epoch=trained.best_epoch,
        seconds=trained.seconds,
        cpu_seconds=trained.cpu_seconds,
        settings={"loss": loss, "negatives": negatives, **asdict(settings)},
        mix=None if mix is None else mix.settings,
    )
    report.save()
    return report


def _rows(
    data: TrainingData,
    loss: str,
    negatives: int,
    retriever: BaseRetriever | None,
    settings: Settings,
) -> list[dict[str, Any]]:
    found = retrieve_candidates(data, retriever, show_progress=settings.show_progress)
    mined = mine_negatives(data, found, negatives, seed=settings.seed)
    if loss == "bce":
        return [
            {"query": data.queries[query], "passage": data.corpus[id_], "label": label}
            for query, positive in data.pairs()
            for id_, label in [(positive, 1.0), *((id_, 0.0) for id_ in mined[query])]
        ]
    return [
        {
            "query": data.queries[query],
            "passage": data.corpus[positive],
            **{f"negative_{n}": data.corpus[id_] for n, id_ in enumerate(mined[query], 1)},
        }
        for query, positive in data.pairs()
    ]


def _values(found: Candidates, data: TrainingData, measure: str) -> Values:
    value = get_measure(measure)
    return np.array(
        [value.of([id_ for id_, _ in found[query]], data.grades(query)) for query in data.qrels]
    )


def _mix(
    before: Candidates, scored: Candidates, data: TrainingData, measure: str, seed: int
) -> FittedFusion | None:
    """How both stages are best mixed; None where there are too few queries to choose on."""
    if len(data) < MINIMUM_QUERIES:
        return None
    runs = {"before": before, "reranker": scored}
    return fit_fusion(runs, data.qrels, measure=measure, baseline="before", seed=seed)


def _mixed_line(mix: FittedFusion, before: Values) -> Line:
    """Each query scored as the others chose; where mixing does not help, the first stage is kept."""
    if not mix.adopted:
        return Line("mixed", float(np.mean(before)), 0.0, (0.0, 0.0))
    return Line("mixed", mix.held_out, mix.gain, mix.interval)


def _loss(model: Any, loss: str, negatives: int) -> Any:
    from sentence_transformers.cross_encoder import losses

    if loss == "bce":
        return losses.BinaryCrossEntropyLoss(model)
    if loss == "mnrl":
        return losses.MultipleNegativesRankingLoss(model, num_negatives=negatives)
    return losses.CachedMultipleNegativesRankingLoss(model, num_negatives=negatives)


def _load(base: str | Path, settings: Settings) -> Any:
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(settings.seed)  # a new head is drawn at random
    # Reading a model fails in as many ways as there are formats; each means that the base is of no use.
    try:
        return CrossEncoder(
            str(base),
            num_labels=1,
            device=choose_device(settings.device),
        )
    except Exception as error:
        raise InvalidInputError(
            f"base={str(base)!r} can't be loaded as an encoder ({error}); give a Hugging Face name or "
            "a folder"
        ) from error
