"""One HTML file that needs nothing else: tables, and plots as SVG inside."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from llamaindex_vecx.evaluation.comparing import Comparison
from llamaindex_vecx.evaluation.plots import as_svg, plot_differences, plot_latency, plot_means
from llamaindex_vecx.evaluation.results import Evaluation

__all__ = ["html_table", "page", "summary", "write_page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 62em; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; } th, td { padding: .2em .7em; text-align: left; }
th { border-bottom: 2px solid #888; } td { border-bottom: 1px solid #ddd; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } .remark { color: #a33; }
svg { max-width: 100%; height: auto; }
"""


def page(title: str, *parts: str) -> str:
    """A whole document around parts that are HTML already."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def html_table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of plain JSON; the columns are the keys of all of them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{escape(str(name))}</th>" for name in columns)
    body = "\n".join(
        "<tr>" + "".join(_cell(row.get(name)) for name in columns) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def write_page(
    path: str | Path, evaluations: Sequence[Evaluation], comparisons: Sequence[Comparison] = ()
) -> None:
    """Write evaluations of the same data as one page: means, plots, comparisons, every query.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed: extra ``eval``.
    """
    first = evaluations[0]
    parts = [html_table([summary(evaluation) for evaluation in evaluations])]
    for evaluation in evaluations:
        parts += [
            f'<p class="remark">{escape(evaluation.name)}: {escape(remark)}</p>'
            for remark in evaluation.remarks
        ]
    parts.append(as_svg(plot_means(evaluations)))
    if len(evaluations) > 1 and all(evaluation.costs for evaluation in evaluations):
        parts.append(as_svg(plot_latency(evaluations, first.measures[0])))
    by_name = {evaluation.name: evaluation for evaluation in evaluations}
    for comparison in comparisons:
        parts.append(f"<p>{escape(str(comparison))}</p>")
        if comparison.baseline in by_name:
            pair = by_name[comparison.name], by_name[comparison.baseline]
            parts.append(as_svg(plot_differences(*pair, comparison.measure)))
    for evaluation in evaluations:
        parts += [f"<h2>{escape(evaluation.name)}, every query</h2>", html_table(evaluation.rows())]
    Path(path).write_text(page(f"Evaluation on {first.data}", *parts), "utf-8")


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """One row: name, queries, means and costs."""
    row: dict[str, Any] = {
        "configuration": evaluation.name + ("" if evaluation.complete else " (partial)"),
        "queries": len(evaluation.results),
        **evaluation.means,
    }
    if evaluation.costs is not None:
        row["p50 ms"], row["p95 ms"] = evaluation.costs.p50_ms, evaluation.costs.p95_ms
        row["CPU ms"] = evaluation.costs.cpu_ms
        row["tokens"] = evaluation.costs.embedding_tokens
        if evaluation.costs.usd_per_1000 is not None:
            row["USD per 1,000"] = evaluation.costs.usd_per_1000
    return row


def _cell(value: Any) -> str:
    if value is None:
        return "<td>–</td>"
    if isinstance(value, float):
        return f'<td class="n">{value:.4g}</td>'
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"
