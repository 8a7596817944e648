"""sentence-transformers' trainer, set up for a small model on one machine."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.device import before_torch, choose_device, choose_dtype
from llamaindex_vecx.errors import InvalidInputError, MissingExtraError
from llamaindex_vecx.finetune.checkpoints import last_checkpoint

__all__ = ["Settings", "Trained", "require_training", "train"]

Measured = Callable[[Any], float]
"""Model to the mean of the measure on held-out queries."""


@dataclass(frozen=True)
class Settings:
    """How a model is trained; the defaults are those that did well on SciFact.

    Attributes
    ----------
    epochs : int
        At most; with held-out queries the best of them is kept.
    batch_size : int
        Pairs a step. For MultipleNegativesRanking the other pairs of the batch are negatives, so more is
        better.
    learning_rate : float
        Its highest, reached after ``warmup``, falling linearly to 0.
    warmup : float
        Share of all steps.
    dropout : float
        0 trains faster: torch's CPU attention has a slow path for anything above.
    max_length : int, optional
        Tokens a text (for a reranker: a pair) is cut at while training; None is the model's own.
    patience : int, optional
        Stop after this many epochs without a gain on the held-out queries.
    seed : int
    device : str, optional
        None is the best there is.
    resume : bool
        Go on from the last checkpoint, where an earlier run was stopped.
    wandb : bool or str
        Log to a W&B run; a string is the project's name.
    show_progress : bool
    """

    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 3e-5
    warmup: float = 0.1
    dropout: float = 0.0
    max_length: int | None = 256
    patience: int | None = None
    seed: int = 0
    device: str | None = None
    resume: bool = False
    wandb: bool | str = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        check_count(self.epochs, "epochs")
        check_count(self.batch_size, "batch_size")
        if self.max_length is not None:
            check_count(self.max_length, "max_length")
        if self.patience is not None:
            check_count(self.patience, "patience")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise InvalidInputError(f"learning_rate={self.learning_rate!r} must be above 0")
        for name in ("warmup", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidInputError(f"{name}={getattr(self, name)!r} must lie in [0, 1)")


@dataclass(frozen=True)
class Trained:
    """What came of a training; the model was changed in place.

    Attributes
    ----------
    seconds, cpu_seconds : float
        Of the training with what was measured meanwhile: by the clock, and of all cores together.
    curve : list of float
        The measure on the held-out queries after each epoch.
    best_epoch : int
        From 1; the last where nothing was held out.
    """

    seconds: float
    cpu_seconds: float
    curve: list[float] = field(default_factory=list)
    best_epoch: int = 0


def require_training() -> None:
    """Import what training needs.

    Raises
    ------
    MissingExtraError
    """
    before_torch()
    for package in ("sentence_transformers", "datasets", "accelerate"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError(package, "finetune") from error


def train(
    model: Any,
    rows: Sequence[dict[str, Any]],
    loss: Any,
    measured: Measured | None,
    settings: Settings,
    checkpoints: Path,
) -> Trained:
    """Train a SentenceTransformer or a CrossEncoder in place.

    Parameters
    ----------
    model : SentenceTransformer or CrossEncoder
    rows : sequence of dict
        Columns as the loss wants them.
    loss : torch module
        One of sentence-transformers'.
    measured : callable, optional
        Called after each epoch; the epoch with the highest value is kept. None keeps the last.
    settings : Settings
    checkpoints : Path
        A folder for one checkpoint an epoch, so that a stopped run can go on; removed at the end.

    Raises
    ------
    MissingExtraError, FormatError
    """
    from datasets import Dataset
    from transformers import EarlyStoppingCallback, PrinterCallback

    trainer_class, arguments_class = _classes(model)
    _set_dropout(model, settings.dropout)
    finish = _wandb_finish() if settings.wandb else None
    device = choose_device(settings.device)
    resume = last_checkpoint(checkpoints) if settings.resume else None
    steps = math.ceil(len(rows) / settings.batch_size) * settings.epochs
    arguments = arguments_class(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        warmup_steps=math.ceil(settings.warmup * steps),
        bf16=str(choose_dtype(None, device)) == "torch.bfloat16",
        use_cpu=device == "cpu",
        seed=settings.seed,
        # A passage of the batch that answers another of its queries would count as a wrong one.
        batch_sampler="batch_sampler" if "label" in rows[0] else "no_duplicates",
        eval_strategy="no" if measured is None else "epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=measured is not None,
        metric_for_best_model=None if measured is None else "eval_measure",
        greater_is_better=None if measured is None else True,
        logging_steps=10,
        disable_tqdm=not settings.show_progress,
        report_to="wandb" if settings.wandb else "none",
        project=settings.wandb if isinstance(settings.wandb, str) else "llamaindex-vecx",
    )
    own_length = model.max_seq_length

    def at_full_length(current: Any) -> float:
        """Held-out queries are measured as the finished model will read them."""
        cut, current.max_seq_length = current.max_seq_length, own_length
        try:
            return measured(current) if measured is not None else 0.0
        finally:
            current.max_seq_length = cut

    callbacks = []
    if settings.patience is not None and measured is not None:
        callbacks.append(EarlyStoppingCallback(settings.patience))
    trainer = trainer_class(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(list(rows)),
        loss=loss,
        evaluator=None if measured is None else _evaluator(at_full_length),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    start, cpu_start = perf_counter(), process_time()
    try:
        if settings.max_length is not None:
            model.max_seq_length = min(settings.max_length, own_length or settings.max_length)
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    finally:
        model.max_seq_length = own_length
        if finish is not None:
            finish()
    seconds, cpu_seconds = perf_counter() - start, process_time() - cpu_start
    curve = [
        float(line["eval_measure"]) for line in trainer.state.log_history if "eval_measure" in line
    ]
    best = max(range(len(curve)), key=curve.__getitem__) + 1 if curve else settings.epochs
    shutil.rmtree(checkpoints, ignore_errors=True)
    return Trained(seconds, cpu_seconds, curve, best)


def _classes(model: Any) -> tuple[Any, Any]:
    import sentence_transformers as library
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments

    if isinstance(model, library.CrossEncoder):
        return library.CrossEncoderTrainer, CrossEncoderTrainingArguments
    return library.SentenceTransformerTrainer, library.SentenceTransformerTrainingArguments


def _set_dropout(model: Any, share: float) -> None:
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = share


def _wandb_finish() -> Callable[[], None]:
    """What ends the run that training begins; a run that is open already is the user's to end."""
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError("wandb", "wandb") from error
    own = wandb.run is None

    def finish() -> None:
        if own and wandb.run is not None:
            wandb.finish()

    return finish


def _evaluator(measured: Measured) -> Any:
    from sentence_transformers.base.evaluation import BaseEvaluator

    class HeldOut(BaseEvaluator):
        """The measure on the held-out queries, as the trainer wants it."""

        def __init__(self) -> None:
            super().__init__()
            self.primary_metric = "measure"

        def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
            return {"measure": measured(model)}

    return HeldOut()
