"""Each message that the troubleshooting page is searched by is one that is still given."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import llama_index.core
import pytest

from llamaindex_vecx import errors

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "troubleshooting.md").read_text("utf-8")
_HEADING = re.compile(r"^### (.*`.*)$", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")


def messages(page: str) -> list[list[str]]:
    return [_CODE.findall(heading) for heading in _HEADING.findall(page)]


def templates(file: Path) -> Iterator[str]:
    """Every string of a module, with … in the place of what is put in."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.replace("%s", "…")
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )


@pytest.fixture(scope="module")
def given() -> str:
    """All that we say, what LlamaIndex says when it wants a model, and what SQLite says of a full disk."""
    core = Path(llama_index.core.__path__[0])
    files = [*Path(errors.__file__).parent.rglob("*.py"), core / "embeddings" / "utils.py"]
    said = [text for file in [*files, core / "llms" / "utils.py"] for text in templates(file)]
    with pytest.raises(sqlite3.OperationalError) as full:
        sqlite3.connect(":memory:").executescript(
            "PRAGMA max_page_count = 2; CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(99999));"
        )
    return "\n".join([*said, str(full.value), *errors.__all__])


def pattern(message: str) -> str:
    return r"[^\n]*".join(re.escape(part.strip()) for part in message.split("…"))


@pytest.mark.parametrize("message", sorted({m for group in messages(PAGE) for m in group}))
def test_a_message_is_still_given(message: str, given: str) -> None:
    assert re.search(pattern(message), given), f"nothing says {message!r}"


def test_the_korean_page_has_the_same_messages() -> None:
    korean = (DOCS / "troubleshooting.ko.md").read_text("utf-8")
    assert messages(korean) == messages(PAGE)
