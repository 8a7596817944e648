"""Show evaluations in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from llamaindex_vecx.cli.console import out
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.comparing import Comparison
from llamaindex_vecx.evaluation.page import summary
from llamaindex_vecx.evaluation.results import Evaluation

if TYPE_CHECKING:
    from llamaindex_vecx.evaluation.judging import Judged

__all__ = ["check_outputs", "print_report", "print_rows", "write_plots"]

_WORST = 5


def check_outputs(*paths: Path | None) -> None:
    """Refuse a file in a folder that isn't there, before anything is measured.

    Raises
    ------
    InvalidInputError
    """
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise InvalidInputError(f"{path} can't be written: there is no folder {path.parent}")


def print_report(
    evaluations: Sequence[Evaluation],
    comparisons: Sequence[Comparison],
    judged: Judged | None,
    measure: str,
) -> None:
    """Means and costs, comparisons, and where the first configuration does worst."""
    first = evaluations[0]
    print_rows(first.data, _turned([summary(evaluation) for evaluation in evaluations]))
    stages = _stages(first)
    if stages:
        out.print(Text(f"mean ms of {first.name}: {stages}", style="dim"))
    for comparison in comparisons:
        out.print(Text(str(comparison)), soft_wrap=True)
    if judged is not None:
        print_rows("answers", [{"answers": len(judged.answers), **judged.means}])
        for remark in judged.remarks:
            out.print(Text(remark, style="yellow"), soft_wrap=True)
    worst = [result for result in first.worst(measure, _WORST) if result.values[measure] < 1]
    if worst:
        out.print(Text(f"\nWorst of {first.name} by {measure}:"))
        for result in worst:
            rank = "not found" if result.first_relevant is None else f"rank {result.first_relevant}"
            line = f"  {result.values[measure]:.3f}  {result.query}  ({rank})  {result.text}"
            out.print(Text(line), soft_wrap=True)


def print_rows(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Rows of plain JSON as a table; the columns are those of all rows."""
    table = Table(title=title, title_justify="left")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for column in columns:
        numbers = all(isinstance(row.get(column), (int, float, type(None))) for row in rows)
        table.add_column(column, justify="right" if numbers else "left")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    out.print(table)


def write_plots(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """The plot of the means, as PNG or SVG by the path's suffix.

    Raises
    ------
    InvalidInputError
        Another suffix.
    """
    from llamaindex_vecx.evaluation.plots import as_png, as_svg, plot_means

    figure = plot_means(evaluations)
    if path.suffix == ".svg":
        path.write_text(as_svg(figure), "utf-8")
    elif path.suffix == ".png":
        path.write_bytes(as_png(figure))
    else:
        raise InvalidInputError(f"{path} must end in .png or .svg")


def _turned(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Columns as rows: few configurations with many values fit a terminal better that way."""
    title, *names = list(dict.fromkeys(name for row in rows for name in row))
    return [{"": name, **{row[title]: row.get(name) for row in rows}} for name in names]


def _stages(evaluation: Evaluation) -> str:
    totals: dict[str, float] = {}
    for result in evaluation.results:
        for name, seconds in result.stages.items():
            totals[name] = totals.get(name, 0.0) + seconds
    count = len(evaluation.results)
    return " · ".join(f"{name} {1e3 * total / count:.2f}" for name, total in totals.items())


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
