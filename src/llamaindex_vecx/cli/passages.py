"""Show an answer in the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from llamaindex_vecx.cli.answers import Answer, Passage
from llamaindex_vecx.cli.console import human_seconds

__all__ = ["render_answer", "render_seconds"]

_NAMES = {"dense": "dense", "bm25": "BM25"}


def render_answer(answer: Answer, *, lines: int | None = None) -> RenderableType:
    """Panels, best first, and the time of each stage.

    Parameters
    ----------
    answer : Answer
    lines : int, optional
        Cut each passage after that many lines of text.
    """
    if not answer.passages:
        return Text("No passage matches.", style="yellow")
    panels = [_panel(passage, answer.mode, lines) for passage in answer.passages]
    return Group(*panels, render_seconds(answer.seconds))


def render_seconds(seconds: Mapping[str, float]) -> Text:
    """One dim line: ``embed 11.2 ms · dense 0.4 ms · …``."""
    parts = [f"{_NAMES.get(name, name)} {human_seconds(value)}" for name, value in seconds.items()]
    return Text(" · ".join(parts), style="dim")


def _panel(passage: Passage, mode: str, lines: int | None) -> Panel:
    where = passage.file
    if passage.heading:
        where = f"{where}: {passage.heading}" if where else passage.heading
    title = Text(f" {passage.rank}  {where} ", style="bold")
    ranks = []
    if mode == "hybrid":
        ranks.append(f"fused {passage.score:.4f}")
    for name, hit in passage.sources.items():
        score = "" if hit.score is None else f" ({hit.score:.3f})"
        ranks.append(f"{_NAMES.get(name, name)} #{hit.rank}{score}")
    text = passage.text.strip()
    if lines is not None and text.count("\n") >= lines:
        text = "\n".join(text.split("\n")[:lines]) + " …"
    return Panel(
        Text(text),
        title=title,
        title_align="left",
        subtitle=Text(f" {' · '.join(ranks)} "),
        subtitle_align="right",
        border_style="cyan",
    )
