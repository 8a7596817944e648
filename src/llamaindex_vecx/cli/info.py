"""``vecx info``: what a collection is and how far its views have come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from llamaindex_vecx.cli.console import human_bytes, out, print_json
from llamaindex_vecx.cli.models import NOTE_KEY
from llamaindex_vecx.cli.opening import require_folder
from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import DamagedSnapshotError
from llamaindex_vecx.snapshot import read_stamp

__all__ = ["describe", "info"]


def info(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The collection.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show size, settings, embedding model and views of a collection."""
    require_folder(folder)
    with Collection.open(folder, read_only=True) as collection:
        facts = describe(collection, folder)
    if as_json:
        print_json(facts)
        return
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _shown(name, value), style=None)
    out.print(table)


def describe(collection: Collection, folder: Path) -> dict[str, Any]:
    """The facts as plain JSON."""
    settings = collection.settings
    tokenizer = collection.tokenizer
    return {
        "path": str(folder),
        "passages": len(collection),
        "dim": collection.dim,
        "metric": collection.metric,
        "index": settings["index"],
        "index_params": settings["index_params"],
        "tokenizer": f"{tokenizer.name} (version {tokenizer.version})",
        "embed_model": collection.note(NOTE_KEY),
        "durability": settings["durability"],
        "seq": collection.seq,
        "bytes_on_disk": _size(folder),
        "views": _views(folder, collection.seq),
    }


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _views(folder: Path, seq: int) -> dict[str, dict[str, Any]]:
    """Snapshots on disk, from their manifests alone: an opening reads and checks the arrays."""
    views: dict[str, dict[str, Any]] = {}
    for manifest in sorted((folder / "views").glob("*/manifest.json")):
        try:
            reached = int(read_stamp(manifest.parent)["seq"])
        except (DamagedSnapshotError, KeyError, ValueError):
            views[manifest.parent.name] = {"state": "damaged, will be rebuilt"}
            continue
        behind = seq - reached
        state = "up to date" if behind == 0 else f"{behind} changes behind, catches up when asked"
        views[manifest.parent.name] = {"seq": reached, "state": state}
    return views


def _shown(name: str, value: Any) -> str:
    if name == "bytes_on_disk":
        return human_bytes(value)
    if name == "embed_model":
        return "not recorded" if value is None else f"{value['name']} ({value['dimension']})"
    if name == "views":
        if not value:
            return "no snapshot yet: built from the rows when asked"
        return "\n".join(f"{view}: {facts['state']}" for view, facts in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return str(value)
