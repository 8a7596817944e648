"""Where the commands print, and how they write sizes and times."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

__all__ = [
    "command_line",
    "err",
    "human_bytes",
    "human_seconds",
    "out",
    "print_error",
    "print_json",
    "print_note",
]

out: Console = Console(highlight=False)
"""Answers. Nothing else, so that they can be piped."""

err: Console = Console(stderr=True, highlight=False)
"""Progress, notes and errors."""


def print_error(message: str) -> None:
    """Print one red line to stderr."""
    err.print(Text.assemble(("Error: ", "bold red"), (message, "red")), soft_wrap=True)


def print_note(message: str) -> None:
    """Print one yellow line to stderr."""
    err.print(Text(message, style="yellow"), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON for machines: not coloured, not wrapped, Korean as it is."""
    out.print(
        json.dumps(value, ensure_ascii=False, indent=2), markup=False, soft_wrap=True, emoji=False
    )


def command_line() -> str:
    """What to type for this program: ``vecx``, or its path where the shell would not find this one."""
    called, found = Path(sys.argv[0]), shutil.which("vecx")
    if called.name != "vecx" or (found and Path(found).resolve() == called.resolve()):
        return "vecx"
    return str(called)


def human_bytes(size: int) -> str:
    """``1536`` as ``1.5 KB``."""
    if size < 1024:
        return f"{size} B"
    value = float(size)
    for unit in ("KB", "MB", "GB"):
        value /= 1024
        if value < 1024:
            return f"{value:.1f} {unit}"
    return f"{value / 1024:.1f} TB"


def human_seconds(seconds: float) -> str:
    """``0.0123`` as ``12.3 ms``, ``75`` as ``1 min 15 s``."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
