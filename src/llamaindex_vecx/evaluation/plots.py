"""Plots of evaluations, by matplotlib: files for people, SVG for pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llamaindex_vecx.errors import MissingExtraError
from llamaindex_vecx.evaluation.results import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "as_png",
    "as_svg",
    "log_milliseconds",
    "new_figure",
    "plot_differences",
    "plot_latency",
    "plot_means",
]

COLOURS = ("#1f6fb4", "#e07a1f", "#3b9c4f", "#b03a6a", "#7a5cb0", "#8a6d3b")


def new_figure(width: float, height: float) -> Figure:
    """An empty figure that belongs to no window.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed: extra ``eval``.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "eval") from error
    return Figure(figsize=(width, height), layout="constrained")


def as_svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element, to stand in a page."""
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "vecx"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def as_png(figure: Figure) -> bytes:
    """The figure as PNG, at 120 dots an inch."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    return out.getvalue()


def log_milliseconds(axes: Any, label: str) -> None:
    """A logarithmic axis whose ticks are plain numbers: 0.05, 0.1, 0.2."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(label)


def plot_means(evaluations: Sequence[Evaluation]) -> Figure:
    """Bars of every measure, with 95 % confidence intervals, one colour a configuration."""
    measures = evaluations[0].measures
    figure = new_figure(max(5.0, 1.3 * len(measures)), 3.4)
    axes: Any = figure.subplots()
    places, width = np.arange(len(measures)), 0.8 / len(evaluations)
    for number, evaluation in enumerate(evaluations):
        means = [evaluation.means[name] for name in measures]
        intervals = np.array([evaluation.interval(name) for name in measures])
        errors = np.abs(np.array(means)[:, None] - intervals).T
        label = evaluation.name + ("" if evaluation.complete else " (partial)")
        axes.bar(
            places + (number - (len(evaluations) - 1) / 2) * width,
            means,
            width,
            yerr=errors,
            capsize=2,
            label=label,
            color=COLOURS[number % len(COLOURS)],
        )
    axes.set_xticks(places, measures)
    axes.set_ylim(0, 1.02)
    axes.set_title(f"{evaluations[0].data}: {len(evaluations[0].results)} queries, 95 % intervals")
    axes.legend(frameon=False, ncols=min(3, len(evaluations)), loc="upper right")
    return figure


def plot_differences(evaluation: Evaluation, baseline: Evaluation, measure: str) -> Figure:
    """The difference of each query, sorted: how many gain, how many lose, and how much."""
    theirs = {result.query: result.values[measure] for result in baseline.results}
    values = np.sort(
        [
            result.values[measure] - theirs[result.query]
            for result in evaluation.results
            if result.query in theirs
        ]
    )[::-1]
    figure = new_figure(6.0, 3.0)
    axes: Any = figure.subplots()
    colours = [COLOURS[0] if value > 0 else COLOURS[1] for value in values]
    axes.bar(np.arange(len(values)), values, 1.0, color=colours)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xlabel("queries, sorted")
    axes.set_ylabel(measure)
    axes.set_title(f"{evaluation.name} minus {baseline.name}")
    return figure


def plot_latency(evaluations: Sequence[Evaluation], measure: str) -> Figure:
    """Quality over the median latency, one dot a configuration."""
    figure = new_figure(5.0, 3.2)
    axes: Any = figure.subplots()
    for number, evaluation in enumerate(evaluations):
        if evaluation.costs is None:
            continue
        at = (evaluation.costs.p50_ms, evaluation.means[measure])
        axes.scatter(*at, color=COLOURS[number % len(COLOURS)], zorder=3)
        axes.annotate(evaluation.name, at, xytext=(5, 5), textcoords="offset points")
    log_milliseconds(axes, "median ms a query")
    axes.margins(x=0.25, y=0.3)
    axes.set_ylabel(measure)
    axes.grid(alpha=0.3)
    axes.set_title("quality and latency")
    return figure
