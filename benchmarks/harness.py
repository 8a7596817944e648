"""What every benchmark shares: its arguments, its first line, its tables, its JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("VECX_DATA", ROOT.parent / "shared" / "data"))
PACKAGES = ("llamaindex-vecx", "numpy", "numba", "llama-index-core")

console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)


def arguments(description: str, **more: dict[str, Any]) -> argparse.Namespace:
    """The arguments of every benchmark: ``--json PATH`` and ``--quick``; ``more`` of this one by name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the rows here as JSON")
    parser.add_argument("--quick", action="store_true", help="smaller data, under a minute")
    for name, settings in more.items():
        parser.add_argument(f"--{name}", **settings)
    return parser.parse_args()


def describe(data: str, packages: Sequence[str] = ()) -> str:
    """The first line of a benchmark: machine, versions (``packages`` beside our own), data."""
    versions = [
        f"{name} {_version(name)}" for name in dict.fromkeys((*PACKAGES, *packages)) if name
    ]
    return (
        f"{_cpu()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"
        f" · Python {platform.python_version()}, {', '.join(versions)} · {data}"
    )


def table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print ``rows``; the columns are the keys of the first row, floats with 4 digits."""
    out = Table(title=title, title_justify="left")
    columns = list(rows[0]) if rows else []
    for column in columns:
        numbers = all(isinstance(row.get(column), int | float) for row in rows)
        out.add_column(column, justify="right" if numbers else "left")
    for row in rows:
        out.add_row(*(_cell(row.get(column)) for column in columns))
    console.print(out)


def tables(
    titles: dict[str, str], found: dict[str, list[dict[str, Any]]], json_path: Path | None
) -> None:
    """Print the tables that have rows, and write them all to ``json_path``, each row naming its table."""
    for name, rows in found.items():
        if rows:
            table(titles[name], rows)
    finish([{"table": name, **row} for name, rows in found.items() for row in rows], json_path)


def finish(rows: Sequence[dict[str, Any]], json_path: Path | None) -> None:
    """Write ``rows`` to ``json_path``, where one was asked for."""
    if json_path is None:
        return
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(list(rows), indent=1, ensure_ascii=False) + "\n", "utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
