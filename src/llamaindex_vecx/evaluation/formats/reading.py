"""Text, JSON and tables from files that may be gzipped, with the file and line in every complaint."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["read_json", "read_json_lines", "read_queries", "read_text", "suffix_of"]


def suffix_of(path: Path) -> str:
    """The suffix, in lower case, without ``.gz``."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower()


def read_text(path: Path) -> str:
    """The whole text of a file in UTF-8.

    Raises
    ------
    InvalidInputError
        It can't be read, or is no UTF-8.
    """
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} can't be read as UTF-8 text: {error}") from error


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises
    ------
    InvalidInputError
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"{path} is no JSON: {error}") from error


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and object of each line.

    Raises
    ------
    InvalidInputError
    """
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidInputError(f"{path}:{number} is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise InvalidInputError(f"{path}:{number} must be a JSON object, not {line[:60]!r}")
        yield number, value


def read_queries(path: Path) -> dict[str, str]:
    """Texts by id, of lines with ``_id`` and ``text``.

    Raises
    ------
    InvalidInputError
    """
    texts = {}
    for number, line in read_json_lines(path):
        if "_id" not in line or not isinstance(line.get("text"), str):
            raise InvalidInputError(f"{path}:{number} must have '_id' and 'text', not {list(line)}")
        texts[str(line["_id"])] = line["text"]
    return texts
