"""The docs site builds strictly, in both languages, and asks no other server for anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("mkdocs", "material", "mkdocstrings", "mkdocs_static_i18n"):
    pytest.importorskip(package, reason="pip install '.[docs]'")

REPO = Path(__file__).resolve().parents[1]
_ELSEWHERE = re.compile(
    r'<(?:script[^>]*src|link[^>]*rel="(?:stylesheet|preconnect|icon)"[^>]*href|img[^>]*src)="(https?:[^"]*)'
)


pytestmark = pytest.mark.slow  # `make docs` builds it strictly, too


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=REPO,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    (folder / "log.txt").write_text(done.stderr, "utf-8")
    return folder


def test_every_page_has_its_place_in_the_navigation(site: Path) -> None:
    assert "not included in the" not in (site / "log.txt").read_text("utf-8")


def test_the_front_page_speaks_both_languages_and_leads_to_the_other(site: Path) -> None:
    english = (site / "index.html").read_text("utf-8")
    korean = (site / "ko" / "index.html").read_text("utf-8")
    assert 'lang="en"' in english
    assert 'lang="ko"' in korean
    assert "Retrieval for LlamaIndex, in your process" in english
    assert "프로세스 안에서 도는" in korean
    assert re.search(r'href="[^"]*ko/" hreflang="ko"', english)
    assert re.search(r'href="[^"]*" hreflang="en"', korean)


def test_every_korean_page_is_there_in_korean(site: Path) -> None:
    for page in (REPO / "docs").rglob("*.ko.md"):
        name = page.relative_to(REPO / "docs").as_posix().removesuffix(".ko.md")
        html = site / "ko" / ("" if name == "index" else name) / "index.html"
        title = re.search(r"^# (.+)$", page.read_text("utf-8"), re.MULTILINE)
        assert title is not None
        assert title[1] in html.read_text("utf-8"), page.name


def test_the_reference_holds_every_public_name(site: Path) -> None:
    import llamaindex_vecx

    reference = "".join(
        page.read_text("utf-8") for page in (site / "reference").glob("*/index.html")
    )
    for name in set(llamaindex_vecx.__all__) - {"__version__"}:
        home = getattr(llamaindex_vecx, name).__module__.split(".")[1]
        assert re.search(rf'id="llamaindex_vecx\.{home}(\.\w+)*\.{name}"', reference), name
    assert 'id="llamaindex_vecx.errors.LockedError"' in reference


def test_the_examples_are_pages(site: Path) -> None:
    for example in (REPO / "examples").glob("[0-9]*.py"):
        assert (site / "examples" / example.stem / "index.html").exists()


def test_search_knows_both_languages(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    assert set(index["config"]["lang"]) == {"en", "ko"}
    texts = " ".join(entry["text"] for entry in index["docs"])
    assert "reciprocal rank fusion" in texts.lower()
    assert "상호 순위 융합" in texts


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    asked = {
        (page.relative_to(site).as_posix(), url)
        for page in site.rglob("*.html")
        for url in _ELSEWHERE.findall(page.read_text("utf-8"))
    }
    assert asked == set()
