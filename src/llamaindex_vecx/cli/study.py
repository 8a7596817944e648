"""``vecx study``: which settings an index should have, measured on the user's own vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from llamaindex_vecx.cli.console import err, out, print_json, print_note
from llamaindex_vecx.cli.eval_report import print_rows
from llamaindex_vecx.cli.opening import require_folder
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import InvalidInputError, MissingExtraError
from llamaindex_vecx.evaluation.study.applying import apply_row
from llamaindex_vecx.evaluation.study.choosing import describe, recommend
from llamaindex_vecx.evaluation.study.plans import PRESETS, Plan, sweep
from llamaindex_vecx.evaluation.study.record import Row, StudyRecord
from llamaindex_vecx.evaluation.study.report import tables, write_report
from llamaindex_vecx.evaluation.study.running import run_study
from llamaindex_vecx.evaluation.study.vectors import StudyVectors, load_vectors

__all__ = ["study"]


def study(
    file: Annotated[
        Path | None, typer.Argument(help="A .npy file of vectors, shape (n, dim).")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="DIR", help="Or a collection.")
    ] = None,
    to: Annotated[
        Path, typer.Option(metavar="DIR", help="For the study; one that is there goes on.")
    ] = Path("vecx-study"),
    preset: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(PRESETS)} instead of a sweep of your own."),
    ] = None,
    M: Annotated[str, typer.Option("--M", metavar="LIST")] = "8,16,32",
    ef_construction: Annotated[str, typer.Option(metavar="LIST")] = "100,200,400",
    ef_search: Annotated[str, typer.Option(metavar="LIST")] = "16,32,64,128,256",
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LIST", help="Any other parameter of HNSW; may be repeated."),
    ] = None,
    faiss: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FACTORY", help="Beside ours, e.g. HNSW{M} or IVF256,PQ48; may be repeated."
        ),
    ] = None,
    nprobe: Annotated[str, typer.Option(metavar="LIST")] = "1,2,4,8,16,32,64",
    k: Annotated[int, typer.Option(min=1, help="Neighbours to ask for.")] = 10,
    metric: Annotated[str, typer.Option(help="Of a file; a collection knows its own.")] = "cosine",
    queries: Annotated[
        Path | None, typer.Option(help="A .npy file of queries; else some vectors are held out.")
    ] = None,
    hold_out: Annotated[int, typer.Option(min=1, help="How many, at most a tenth.")] = 1000,
    target: Annotated[float, typer.Option(help="Least recall that will do.")] = 0.95,
    budget_ms: Annotated[
        float | None, typer.Option(help="Most milliseconds a query, of the index alone.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Give the collection the recommended settings.")
    ] = False,
    wandb: Annotated[
        str | None, typer.Option(metavar="PROJECT", help="Log everything to a W&B run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Measure indexes with many settings on your vectors, and recommend one. Run again, it goes on."""
    if (file is None) == (source is None):
        raise InvalidInputError("give either a .npy file of vectors, or --from DIR, a collection")
    if apply and source is None:
        raise InvalidInputError("--apply needs --from DIR, the collection to give the settings to")
    if preset is not None and preset not in PRESETS:
        raise InvalidInputError(f"--preset {preset!r} is none of {', '.join(PRESETS)}")
    plan = (
        PRESETS[preset]()
        if preset is not None
        else sweep(
            M=_numbers("--M", M),
            ef_construction=_numbers("--ef-construction", ef_construction),
            ef_search=_numbers("--ef-search", ef_search),
            vary=dict(_varied(text) for text in vary or []),
            faiss=faiss or (),
            nprobe=_numbers("--nprobe", nprobe),
            k=k,
        )
    )
    vectors, kind = _vectors(file, source, metric, queries, hold_out)
    record = _run(vectors, plan, to)
    written = _report(record)
    if wandb is not None:
        _log(wandb, record, vectors.name)
    if not as_json:
        for title, rows in tables(record).items():
            print_rows(f"{record.title}: {title}", rows)
        out.print(Text(f"Written: {', '.join(map(str, written))}", style="dim"), soft_wrap=True)
    for remark in record.remarks:
        print_note(remark)
    # A collection can't change its kind of index, so only what can be applied is recommended for it.
    row = recommend(record.table(), target, budget_ms=budget_ms, engine=kind if apply else None)
    changes = _apply(source, row) if apply and source is not None else None
    if as_json:
        print_json({**_json(record), "recommended": row, "applied": changes})
        return
    within = "" if budget_ms is None else f" within {budget_ms:g} ms"
    measured = ", ".join(f"{name} {row[name]:.4f}" for name in row if name.startswith("recall@"))
    out.print(
        Text(
            f"Recommended for recall {target:g}{within}: {describe(row)} ({measured}, {row['ms']:.4f} ms, "
            f"{row['mb']:.1f} MB, indexed in {row['index_s']:.1f} s)",
            style="bold",
        ),
        soft_wrap=True,
    )
    if changes is not None:
        said = ", ".join(f"{name}={value}" for name, value in changes.items())
        done = f"has now {said}" if said else "has these settings already"
        out.print(f"{source} {done}", soft_wrap=True)


def _numbers(option: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise InvalidInputError(
            f"{option} {text!r} must be whole numbers, as in 8,16,32"
        ) from error


def _varied(text: str) -> tuple[str, list[Any]]:
    """``name=1,2`` or ``name=true,false`` or ``name=a,b``."""
    name, sign, values = text.partition("=")
    if not sign or not name.isidentifier() or not values:
        raise InvalidInputError(f"--vary {text!r} must be NAME=VALUE,VALUE")
    return name, [_value(part) for part in values.split(",")]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _vectors(
    file: Path | None, source: Path | None, metric: str, queries: Path | None, hold_out: int
) -> tuple[StudyVectors, str | None]:
    """The vectors, and the kind of index of a collection."""
    if source is None:
        assert file is not None, "one of the two is given"
        return StudyVectors.from_file(file, metric, queries=queries, hold_out=hold_out), None
    require_folder(source)
    asked = None if queries is None else load_vectors(queries)
    with Collection.open(source, read_only=True) as collection:
        kind = str(collection.settings["index"])
        return StudyVectors.from_collection(collection, queries=asked, hold_out=hold_out), kind


def _run(vectors: StudyVectors, plan: Plan, folder: Path) -> StudyRecord:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("reading", total=len(plan))

        def show(done: int, total: int, what: str) -> None:
            progress.update(task, completed=done, total=total, description=what)

        return run_study(vectors, plan, folder, progress=show)


def _report(record: StudyRecord) -> list[Path]:
    if not record.rows:
        raise InvalidInputError(f"nothing could be measured: {'; '.join(record.remarks)}")
    try:
        return write_report(record)
    except MissingExtraError as error:
        print_note(f"No plots: {error}")
        return [record.folder / "tables.md"]


def _apply(source: Path, row: Row) -> dict[str, Any]:
    with (
        Collection.open(source) as collection,
        Progress(
            TextColumn("building the index anew"),
            BarColumn(),
            MofNCompleteColumn(),
            console=err,
            transient=True,
        ) as progress,
    ):
        task = progress.add_task("", total=None)
        return apply_row(
            collection,
            row,
            lambda _, done, total: progress.update(task, completed=done, total=total),
        )


def _json(record: StudyRecord) -> dict[str, Any]:
    return {
        "title": record.title,
        "complete": record.complete,
        "remarks": record.remarks,
        "k": record.k,
        "rows": record.table(),
    }


def _log(project: str, record: StudyRecord, name: str) -> None:
    from llamaindex_vecx.evaluation.plots import as_png
    from llamaindex_vecx.evaluation.study.report import plot_pareto
    from llamaindex_vecx.evaluation.wandb_run import log_run

    log_run(
        project,
        name=f"study {name}",
        config={"vectors": record.title, "k": record.k, "machines": record.machines},
        metrics={
            f"{describe(row)}/{measure}": row[measure]
            for row in record.table()
            for measure in ("ms", "mb", "index_s")
        },
        tables=tables(record),
        plots={"pareto": as_png(plot_pareto(record))},
    )
