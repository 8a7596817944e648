"""Where a stopped training goes on from, and where a finished model is put."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from llamaindex_vecx.errors import FormatError, InvalidInputError
from llamaindex_vecx.hub import check_weights_file

__all__ = ["check_output", "checkpoints_of", "last_checkpoint", "put_in_place"]

_NAME = re.compile(r"checkpoint-(\d+)")
_NEEDED = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "model.safetensors")


def checkpoints_of(output: Path) -> Path:
    """The folder beside ``output`` that holds the checkpoints of its training."""
    return output.with_name(output.name + ".checkpoints")


def check_output(output: str | Path, *, overwrite: bool) -> Path:
    """The folder for the finished model, which must be new unless it may be replaced.

    Raises
    ------
    InvalidInputError
    """
    folder = Path(output)
    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(
            f"output={str(output)!r} exists already; give another folder, or overwrite=True"
        )
    return folder


def put_in_place(output: Path, save: Callable[[str], None]) -> None:
    """Write a model aside and move it to ``output`` whole: nobody ever sees half of it."""
    aside = output.with_name(output.name + ".partial")
    shutil.rmtree(aside, ignore_errors=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    save(str(aside))
    shutil.rmtree(output, ignore_errors=True)
    aside.rename(output)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint of a training; None where there is none.

    Raises
    ------
    FormatError
        It was cut short, say by a kill while it was written.
    """
    found = {
        int(match[1]): path
        for path in (folder.iterdir() if folder.is_dir() else [])
        if (match := _NAME.fullmatch(path.name))
    }
    if not found:
        return None
    newest = found[max(found)]
    remedy = f"remove {newest}, so that training goes on from the one before or from the beginning"
    missing = [name for name in _NEEDED if not (newest / name).is_file()]
    if missing:
        raise FormatError(f"checkpoint {newest} lacks {', '.join(missing)}; {remedy}")
    try:
        json.loads((newest / "trainer_state.json").read_text("utf-8"))
    except ValueError as error:
        raise FormatError(f"{newest / 'trainer_state.json'} was cut short; {remedy}") from error
    check_weights_file(newest / "model.safetensors", remedy)
    _check_torch_file(newest / "optimizer.pt", remedy)
    return newest


def _check_torch_file(file: Path, remedy: str) -> None:
    """torch writes a zip archive, whose directory stands at the end."""
    from zipfile import is_zipfile

    if not is_zipfile(file):
        raise FormatError(f"{file} is damaged or was cut short; {remedy}")
