"""What a fine-tuning did, with figures on queries that it has not seen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from llamaindex_vecx.evaluation.significance import bootstrap_interval
from llamaindex_vecx.finetune.measuring import Values

__all__ = ["Line", "Report", "line"]

FILE = "finetune.json"


@dataclass(frozen=True)
class Line:
    """One way to rank, on the held-out queries.

    Attributes
    ----------
    name : str
    value : float
        Mean of the measure.
    gain : float or None
        Over the report's first line; None there.
    interval : (float, float) or None
        95 % confidence interval of the gain, by paired bootstrap.
    """

    name: str
    value: float
    gain: float | None = None
    interval: tuple[float, float] | None = None


def line(name: str, values: Values, first: Values | None = None) -> Line:
    """A line of a report, beside its first line's values."""
    mean = float(np.mean(values))
    if first is None:
        return Line(name, mean)
    return Line(name, mean, float(np.mean(values - first)), bootstrap_interval(values - first))


@dataclass(frozen=True)
class Report:
    """The record of a fine-tuning; print it for a table.

    Attributes
    ----------
    kind : str
        ``"embedding"`` or ``"reranker"``.
    path : str
        The model's folder, for ``HuggingFaceEmbedding(model_name=…)`` or ``CrossEncoderRerank(model=…)``.
    base : str
        What it was trained from.
    measure : str
    lines : list of Line
        Before, after, and what else there is to compare; none where nothing was held out.
    train_queries, pairs, held_out_queries : int
    curve : list of float
        The measure after each epoch on the held-out queries.
    best_epoch : int
        The epoch that was kept, chosen on the held-out queries.
    seconds, cpu_seconds : float
        All training together, by the clock and of all cores.
    settings : dict
    mix : dict, optional
        A reranker's: method, k and weights of the mix with the stage before that did best on the held-out
        queries; see :meth:`~llamaindex_vecx.CrossEncoderRerank.use`.
    """

    kind: str
    path: str
    base: str
    measure: str
    lines: list[Line]
    train_queries: int
    pairs: int
    held_out_queries: int
    curve: list[float]
    best_epoch: int
    seconds: float
    cpu_seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    mix: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    def save(self) -> None:
        """Write the record into the model's folder, as ``finetune.json``."""
        body = json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"
        (Path(self.path) / FILE).write_text(body, "utf-8")

    def table(self) -> Table:
        """Before and after, on the held-out queries."""
        title = f"{self.measure} on {self.held_out_queries} held-out queries"
        out = Table(title=title, title_justify="left")
        for column in ("", self.measure, "gain", "95 %"):
            out.add_column(column, justify="left" if not column else "right")
        for row in self.lines:
            low_high = "" if row.interval is None else "[{:+.3f}, {:+.3f}]".format(*row.interval)
            gain = "" if row.gain is None else f"{row.gain:+.3f}"
            out.add_row(row.name, f"{row.value:.3f}", gain, low_high)
        return out

    def __str__(self) -> str:
        console = Console(width=100, no_color=True)
        with console.capture() as capture:
            if self.lines:
                console.print(self.table())
        curve = ", ".join(f"{value:.3f}" for value in self.curve)
        return (
            f"{capture.get()}{self.base} on {self.train_queries} queries ({self.pairs} pairs), "
            f"{self.seconds:.0f} s; after each epoch {curve or '–'}; epoch {self.best_epoch} kept: "
            f"{self.path}"
        )
