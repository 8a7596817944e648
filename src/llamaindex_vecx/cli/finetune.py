"""``vecx finetune``: an embedding model or a reranker trained on labelled queries."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from llamaindex_vecx.cli.console import err, out, print_json
from llamaindex_vecx.cli.models import DEFAULT_MODEL, hush_huggingface, minilm_folder
from llamaindex_vecx.errors import InvalidInputError, MissingExtraError
from llamaindex_vecx.finetune.data import TrainingData
from llamaindex_vecx.finetune.embedding import finetune_embedding
from llamaindex_vecx.finetune.report import Report
from llamaindex_vecx.finetune.reranker import finetune_reranker
from llamaindex_vecx.finetune.sources import from_beir, from_squad
from llamaindex_vecx.finetune.training import Settings, require_training

__all__ = ["finetune"]

finetune: typer.Typer = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train an embedding model or a reranker on labelled queries.",
)


class EmbeddingLoss(str, Enum):
    """What training lowers."""

    mnrl = "mnrl"
    cached_mnrl = "cached_mnrl"


class RerankerLoss(str, Enum):
    """What training lowers."""

    bce = "bce"
    mnrl = "mnrl"
    cached_mnrl = "cached_mnrl"


Data = Annotated[
    Path,
    typer.Argument(help="A folder in BEIR's layout, or a file in SQuAD's (.json, .json.gz)."),
]
Output = Annotated[Path, typer.Option("--to", metavar="DIR", help="A new folder for the model.")]
Base = Annotated[str, typer.Option(metavar="NAME_OR_FOLDER", help="The model to begin with.")]
Split = Annotated[str, typer.Option(help="BEIR: which judgements to train on.")]
HeldOut = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT", help="BEIR: judgements to choose on; otherwise a share of the queries."
    ),
]
Share = Annotated[
    float,
    typer.Option(help="Of the queries held out to choose on; 0 trains on all for just --epochs."),
]
Negatives = Annotated[int, typer.Option(help="Hard negatives a pair.")]
Epochs = Annotated[int, typer.Option(min=1, help="At most; the best one is kept.")]
Batch = Annotated[int, typer.Option("--batch-size", min=1, help="Pairs a step.")]
Rate = Annotated[float, typer.Option("--learning-rate", help="Its highest.")]
Length = Annotated[int | None, typer.Option("--max-length", help="Tokens a text is cut at.")]
Patience = Annotated[
    int | None, typer.Option(min=1, help="Stop after this many epochs without a gain.")
]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn at random.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where a run was stopped.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what --to holds.")]
Wandb = Annotated[str | None, typer.Option("--wandb", metavar="PROJECT", help="Log to a W&B run.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@finetune.command()
def embedding(
    data: Data,
    to: Output,
    base: Base = DEFAULT_MODEL,
    split: Split = "train",
    held_out: HeldOut = None,
    share: Share = 0.25,
    loss: Annotated[EmbeddingLoss, typer.Option()] = EmbeddingLoss.mnrl,
    negatives: Negatives = 1,
    epochs: Epochs = 3,
    batch_size: Batch = 32,
    learning_rate: Rate = 3e-5,
    max_length: Length = 256,
    patience: Patience = None,
    seed: Seed = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
    wandb: Wandb = None,
    as_json: Json = False,
) -> None:
    """Bring questions closer to the passages that answer them."""
    report = finetune_embedding(
        _read(data, split),
        _base(base),
        to,
        held_out=_held_out(data, held_out, share),
        loss=loss.value,
        negatives=negatives,
        overwrite=overwrite,
        settings=_settings(
            epochs, batch_size, learning_rate, max_length, patience, seed, resume, wandb, as_json
        ),
    )
    _show(report, as_json, f"HuggingFaceEmbedding(model_name={str(to)!r})")


@finetune.command()
def reranker(
    data: Data,
    to: Output,
    base: Base = DEFAULT_MODEL,
    split: Split = "train",
    held_out: HeldOut = None,
    share: Share = 0.25,
    loss: Annotated[RerankerLoss, typer.Option()] = RerankerLoss.bce,
    negatives: Negatives = 4,
    epochs: Epochs = 3,
    batch_size: Batch = 32,
    learning_rate: Rate = 3e-5,
    max_length: Length = None,
    patience: Patience = None,
    seed: Seed = 0,
    resume: Resume = False,
    overwrite: Overwrite = False,
    wandb: Wandb = None,
    as_json: Json = False,
) -> None:
    """Tell passages that answer a question from those that only look like it."""
    report = finetune_reranker(
        _read(data, split),
        _base(base),
        to,
        held_out=_held_out(data, held_out, share),
        loss=loss.value,
        negatives=negatives,
        overwrite=overwrite,
        settings=_settings(
            epochs, batch_size, learning_rate, max_length, patience, seed, resume, wandb, as_json
        ),
    )
    _show(report, as_json, f"CrossEncoderRerank(model={str(to)!r})")


def _read(data: Path, split: str) -> TrainingData:
    if data.is_dir():
        return from_beir(data, split)
    return from_squad(data)


def _held_out(data: Path, split: str | None, share: float) -> TrainingData | float | None:
    if split is None:
        return share or None
    if not data.is_dir():
        raise InvalidInputError(
            "--held-out names a split of a BEIR folder; with a file give --share"
        )
    return from_beir(data, split)


def _base(name: str) -> str:
    if name != DEFAULT_MODEL:
        return name
    folder = minilm_folder()
    if folder is None:
        raise MissingExtraError(DEFAULT_MODEL, "demo")
    return str(folder)


def _settings(
    epochs: int,
    batch_size: int,
    learning_rate: float,
    max_length: int | None,
    patience: int | None,
    seed: int,
    resume: bool,
    wandb: str | None,
    quiet: bool,
) -> Settings:
    require_training()
    hush_huggingface()
    return Settings(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        max_length=max_length,
        patience=patience,
        seed=seed,
        resume=resume,
        wandb=wandb or False,
        show_progress=not quiet and err.is_terminal,
    )


def _show(report: Report, as_json: bool, use: str) -> None:
    body: dict[str, Any] = report.to_dict()
    if as_json:
        print_json(body)
        return
    out.print(report.table())
    out.print(str(report).rsplit("\n", 1)[-1], soft_wrap=True)
    out.print(f"Use it: {use}", style="dim", soft_wrap=True)
