"""A study as tables and plots."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaindex_vecx.evaluation.page import html_table, page
from llamaindex_vecx.evaluation.plots import COLOURS, as_png, as_svg, log_milliseconds, new_figure
from llamaindex_vecx.evaluation.study.choosing import describe, pareto, recall_name
from llamaindex_vecx.evaluation.study.record import Row, StudyRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["markdown", "plot_pareto", "plot_tables", "tables", "write_report"]

_ORDER = ("M", "ef_construction", "ef_search")
_USUAL = {"M": 32, "ef_construction": 160, "ef_search": 64}


def tables(record: StudyRecord) -> dict[str, list[dict[str, Any]]]:
    """By title: for the classic lesson one for each parameter, else one of all configurations."""
    rows = record.table()
    if _is_classic(record):
        return {
            f"{name} at {', '.join(f'{n} {v}' for n, v in _USUAL.items() if n != name)}": table
            for name in _ORDER
            if (table := _along(rows, name))
        }
    return {"all configurations": [_flat(row) for row in rows]}


def markdown(record: StudyRecord) -> str:
    """Title, remarks, and the tables as Markdown."""
    lines = [f"{record.title}; k = {record.k}. {'; '.join(record.machines)}.", ""]
    lines += [f"**{remark}**\n" for remark in record.remarks]
    for title, rows in tables(record).items():
        columns = list(rows[0])
        lines += [f"### {title}", "", "| " + " | ".join(columns) + " |"]
        lines.append("|" + " --- |" * len(columns))
        lines += [
            "| " + " | ".join(_shown(name, row[name]) for name in columns) + " |" for row in rows
        ]
        lines.append("")
    return "\n".join(lines)


def plot_pareto(record: StudyRecord) -> Figure:
    """Recall over milliseconds a query: every configuration, a line through the best of each engine."""
    rows = record.table()
    name = recall_name(rows)
    figure = new_figure(6.4, 4.0)
    axes: Any = figure.subplots()
    for number, engine in enumerate(dict.fromkeys(row["engine"] for row in rows)):
        some = [row for row in rows if row["engine"] == engine]
        colour = COLOURS[number % len(COLOURS)]
        axes.scatter(
            [row["ms"] for row in some], [row[name] for row in some], s=14, alpha=0.5, color=colour
        )
        front = pareto(some, name)
        label = "llamaindex-vecx" if engine == "hnsw" else engine
        axes.plot(
            [row["ms"] for row in front],
            [row[name] for row in front],
            marker="o",
            markersize=4,
            color=colour,
            label=label,
        )
    log_milliseconds(axes, "ms a query (CPU, one thread)")
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower right")
    axes.set_title(record.title + (" (partial)" if not record.complete else ""))
    return figure


def plot_tables(record: StudyRecord) -> Figure:
    """The classic lesson's curves: recall, time, index time and memory over each parameter."""
    wanted = ("recall@1", "ms", "index_s", "mb")
    labels = ("R@1", "ms a query", "index s", "MB")
    found = {name: table for name in _ORDER if (table := _along(record.table(), name))}
    figure = new_figure(10.0, 2.5 * len(found))
    grid: Any = figure.subplots(len(found), len(wanted), squeeze=False)
    for line, (name, table) in zip(grid, found.items(), strict=True):
        for axes, measure, label in zip(line, wanted, labels, strict=True):
            for number, engine in enumerate(("vecx", "FAISS")):
                values = [row[f"{engine} {measure}"] for row in table]
                axes.plot(
                    [row[name] for row in table],
                    values,
                    marker="o",
                    color=COLOURS[number],
                    label=engine,
                )
            axes.set_xscale("log", base=2)
            axes.set_xticks([row[name] for row in table], [str(row[name]) for row in table])
            axes.set_xlabel(name)
            axes.set_title(label)
            if measure != "recall@1":
                axes.set_ylim(0, 1.1 * axes.dataLim.y1)
            axes.grid(alpha=0.3)
    grid[0][0].legend(frameon=False)
    return figure


def write_report(record: StudyRecord) -> list[Path]:
    """Write tables.md, pareto.png, pareto.svg and study.html beside study.json; for the classic lesson
    classic.svg and classic.png too.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed: extra ``eval``. The tables are written all the same.
    """
    folder = record.folder
    (folder / "tables.md").write_text(markdown(record), "utf-8")
    figures = {"pareto": plot_pareto(record)}
    if _is_classic(record):
        figures["classic"] = plot_tables(record)
    written = [folder / "tables.md"]
    for name, figure in figures.items():
        (folder / f"{name}.svg").write_text(as_svg(figure), "utf-8")
        (folder / f"{name}.png").write_bytes(as_png(figure))
        written += [folder / f"{name}.svg", folder / f"{name}.png"]
    parts = [f"<p>{escape('; '.join(record.machines))}, k = {record.k}</p>"]
    parts += [f'<p class="remark">{escape(remark)}</p>' for remark in record.remarks]
    parts += [as_svg(figure) for figure in figures.values()]
    for title, rows in tables(record).items():
        parts += [f"<h2>{escape(title)}</h2>", html_table(rows)]
    (folder / "study.html").write_text(page(f"Study of {record.title}", *parts), "utf-8")
    return [*written, folder / "study.html"]


def _is_classic(record: StudyRecord) -> bool:
    rows = record.table()
    return (
        record.k == 1 and any(row["engine"] == "faiss" for row in rows) and bool(_along(rows, "M"))
    )


def _along(rows: Sequence[Row], name: str) -> list[dict[str, Any]]:
    """One parameter varied and the others as usual, ours and FAISS's graph side by side."""
    found: dict[int, dict[str, Row]] = {}
    for row in rows:
        values = _graph_values(row)
        if values is not None and all(
            values[other] == _USUAL[other] for other in _ORDER if other != name
        ):
            found.setdefault(values[name], {})[row["engine"]] = row
    return [
        {
            name: value,
            **{
                f"{shown} {measure}": pair[engine][measure]
                for measure in ("index_s", "mb", "ms", "recall@1")
                for engine, shown in (("hnsw", "vecx"), ("faiss", "FAISS"))
            },
        }
        for value, pair in sorted(found.items())
        if set(pair) == {"hnsw", "faiss"}
    ]


def _graph_values(row: Row) -> dict[str, int] | None:
    build, search = row["build"], row["search"]
    if row["engine"] == "hnsw":
        return {**{n: build[n] for n in ("M", "ef_construction")}, "ef_search": search["ef_search"]}
    factory = str(build["factory"])
    if not factory.removeprefix("HNSW").isdigit():
        return None
    return {
        "M": int(factory.removeprefix("HNSW")),
        "ef_construction": build["efConstruction"],
        "ef_search": search["efSearch"],
    }


def _flat(row: Row) -> dict[str, Any]:
    measured = {name: row[name] for name in row if name.startswith("recall@")}
    return {
        "configuration": describe(row),
        "index_s": row["index_s"],
        "mb": row["mb"],
        "ms": row["ms"],
        **measured,
    }


def _shown(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if name.endswith(("index_s", "mb")):
        return f"{value:.1f}"
    return f"{value:.4f}"
