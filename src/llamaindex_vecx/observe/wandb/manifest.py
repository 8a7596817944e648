"""What a saved collection says of itself: which files, with which digests, and what made it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from llamaindex_vecx.errors import FormatError

__all__ = ["CONTENT", "MANIFEST", "check_manifest", "write_manifest"]

MANIFEST = "manifest.json"
CONTENT = "content"
_FORMAT = 1


def write_manifest(root: Path, facts: dict[str, Any]) -> None:
    """Note the SHA-256 of every file under ``root``, beside ``facts``."""
    body = {"format": _FORMAT, **facts, "files": _digests(root)}
    text = json.dumps(body, indent=1, ensure_ascii=False, default=str)
    (root / MANIFEST).write_text(text, encoding="utf-8")


def check_manifest(root: Path) -> dict[str, Any]:
    """The facts of a folder whose files are all there and as they were.

    Raises
    ------
    FormatError
        Names the file that is missing, altered or unknown.
    """
    try:
        body: dict[str, Any] = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        files, version = body["files"], int(body["format"])
    except FileNotFoundError as error:
        raise FormatError(f"{root} has no {MANIFEST}: no collection was saved there") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{root / MANIFEST} is damaged: {error}; download it again") from error
    if version > _FORMAT:
        raise FormatError(
            f"{root} has format {version}, this version of llamaindex-vecx reads up to {_FORMAT}; "
            "run: pip install -U llamaindex-vecx"
        )
    there = _digests(root)
    for name in sorted(set(files) | set(there)):
        if name not in there:
            raise FormatError(f"{root / name} is missing; download the artifact again")
        if name not in files:
            raise FormatError(f"{root / name} is not in {MANIFEST}; download the artifact again")
        if files[name] != there[name]:
            raise FormatError(f"{root / name} was altered; download the artifact again")
    return body


def _digests(root: Path) -> dict[str, str]:
    return {
        file.relative_to(root).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(root.rglob("*"))
        if file.is_file() and file != root / MANIFEST
    }
