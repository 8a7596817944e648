"""Fine-tuning an embedding model on labelled queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.base.base_retriever import BaseRetriever

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.finetune.checkpoints import check_output, checkpoints_of, put_in_place
from llamaindex_vecx.finetune.data import TrainingData
from llamaindex_vecx.finetune.measuring import retrieval_values
from llamaindex_vecx.finetune.negatives import mine_negatives, retrieve_candidates
from llamaindex_vecx.finetune.report import Report, line
from llamaindex_vecx.finetune.split import divide
from llamaindex_vecx.finetune.training import Settings, require_training, train

__all__ = ["LOSSES", "finetune_embedding"]

LOSSES = ("mnrl", "cached_mnrl")


def finetune_embedding(
    data: TrainingData,
    base: str | Path,
    output: str | Path,
    *,
    held_out: TrainingData | float | None = 0.25,
    loss: str = "mnrl",
    negatives: int = 1,
    retriever: BaseRetriever | None = None,
    measure: str = "ndcg@10",
    overwrite: bool = False,
    settings: Settings | None = None,
) -> Report:
    """Train an embedding model so that queries come closer to the passages that answer them.

    MultipleNegativesRanking (Henderson et al. 2017, arXiv:1705.00652): each query's passage is to stand
    above all other passages of the batch, among them mined hard negatives. The epoch is chosen on held-out
    queries.

    Parameters
    ----------
    data : TrainingData
    base : str or Path
        A sentence-transformers model: a name or a folder.
    output : str or Path
        A new folder for the model; load it by ``HuggingFaceEmbedding(model_name=output)``.
    held_out : TrainingData or float
        Queries to choose and to report on: your own, or the share to set aside by :func:`hold_out`.
        None trains on all for just as many epochs as ``settings`` say, and measures nothing: for a last
        training, after everything was chosen.
    loss : str
        ``"mnrl"``, or ``"cached_mnrl"`` (GradCache, Gao et al. 2021, arXiv:2101.06983): the same for
        batches larger than memory.
    negatives : int
        Hard negatives a pair; 0 for none.
    retriever : BaseRetriever, optional
        What mines them; None is BM25 over the corpus.
    measure : str
    overwrite : bool
        Replace what ``output`` holds.
    settings : Settings, optional

    Returns
    -------
    Report
        It is also kept in the folder.

    Raises
    ------
    InvalidInputError
        Too few queries, a split that leaks, a base that is no embedding model.
    FormatError
        With ``resume``, a checkpoint that was cut short.
    MissingExtraError
    """
    settings = settings or Settings()
    if loss not in LOSSES:
        raise InvalidInputError(f"loss={loss!r} must be one of {', '.join(LOSSES)}")
    if isinstance(negatives, bool) or not isinstance(negatives, int) or negatives < 0:
        raise InvalidInputError(f"negatives={negatives!r} must be a whole number of at least 0")
    folder = check_output(output, overwrite=overwrite)
    train_part, test_part = divide(data, held_out, settings.seed)
    require_training()
    model = _load(base, settings)
    values = None if test_part is None else retrieval_values(test_part, measure, seed=settings.seed)
    before = None if values is None else values(model)
    rows = _rows(train_part, negatives, retriever, settings)
    trained = train(
        model,
        rows,
        _loss(model, loss, settings),
        None if values is None else lambda current: float(np.mean(values(current))),
        settings,
        checkpoints_of(folder),
    )
    lines = []
    if values is not None and before is not None:
        lines = [line("before", before), line("after", values(model), before)]
    put_in_place(folder, model.save_pretrained)
    report = Report(
        kind="embedding",
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
    )
    report.save()
    return report


def _rows(
    data: TrainingData, negatives: int, retriever: BaseRetriever | None, settings: Settings
) -> list[dict[str, str]]:
    mined: Mapping[str, list[str]] = {}
    if negatives:
        found = retrieve_candidates(data, retriever, show_progress=settings.show_progress)
        mined = mine_negatives(data, found, negatives, seed=settings.seed)
    return [
        {
            "anchor": data.queries[query],
            "positive": data.corpus[passage],
            **{
                f"negative_{number}": data.corpus[id_]
                for number, id_ in enumerate(mined.get(query, []), start=1)
            },
        }
        for query, passage in data.pairs()
    ]


def _loss(model: Any, loss: str, settings: Settings) -> Any:
    from sentence_transformers.sentence_transformer import losses

    if loss == "mnrl":
        return losses.MultipleNegativesRankingLoss(model)
    return losses.CachedMultipleNegativesRankingLoss(
        model, mini_batch_size=min(32, settings.batch_size)
    )


def _load(base: str | Path, settings: Settings) -> Any:
    from sentence_transformers import SentenceTransformer

    from llamaindex_vecx.device import choose_device

    # Reading a model fails in as many ways as there are formats; each means that the base is of no use.
    try:
        model = SentenceTransformer(str(base), device=choose_device(settings.device))
    except Exception as error:
        raise InvalidInputError(
            f"base={str(base)!r} can't be loaded as an embedding model ({error}); give a "
            "sentence-transformers name or folder"
        ) from error
    return model
