"""What a release says about itself in several places is the same in all of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import llamaindex_vecx

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

REPO = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))
HEADING = re.compile(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)


def sections(changelog: str) -> dict[str, str]:
    """Text of each version's part, newest first."""
    parts = HEADING.split(changelog)[1:]
    return {parts[at]: parts[at + 2].strip() for at in range(0, len(parts), 3)}


def test_the_version_is_one() -> None:
    assert PROJECT["project"]["version"] == llamaindex_vecx.__version__


def test_the_changelog_knows_the_version_or_what_it_will_be() -> None:
    written = sections((REPO / "CHANGELOG.md").read_text("utf-8"))
    version = PROJECT["project"]["version"]
    newest = next((name for name in written if name != "Unreleased"), None)
    assert newest in (None, version), f"CHANGELOG.md ends at {newest}, the package is {version}"
    assert written.get(version) or written.get("Unreleased"), "nothing says what is in it"


def test_every_extra_is_in_all_or_for_developers() -> None:
    extras = set(PROJECT["project"]["optional-dependencies"])
    everything = " ".join(PROJECT["project"]["optional-dependencies"]["all"])
    listed = {name for group in re.findall(r"\[(.*?)\]", everything) for name in group.split(",")}
    apart = {"openvino", "weave"}  # they hold other packages back, and few want them
    assert listed == extras - {"all", "dev", "docs", "release"} - apart


def test_every_extra_stands_in_the_readme() -> None:
    for page in ("README.md", "README.ko.md"):
        text = (REPO / page).read_text("utf-8")
        missing = [
            name for name in PROJECT["project"]["optional-dependencies"] if f"`{name}`" not in text
        ]
        assert not missing, f"{page} does not name {missing}"


def test_llamahub_finds_what_it_reads() -> None:
    hub = PROJECT["tool"]["llamahub"]
    assert hub["import_path"] == "llamaindex_vecx"
    for name in hub["class_authors"]:
        assert name in llamaindex_vecx.__all__
    classes = {name for name in llamaindex_vecx.__all__ if name[0].isupper()}
    assert set(hub["class_authors"]) == classes


def test_the_wheel_is_typed_and_licensed() -> None:
    assert (REPO / "src/llamaindex_vecx/py.typed").exists()
    assert "Typing :: Typed" in PROJECT["project"]["classifiers"]
    for file in PROJECT["project"]["license-files"]:
        assert (REPO / file).exists()
    for python in ("3.10", "3.13"):
        assert f"Programming Language :: Python :: {python}" in PROJECT["project"]["classifiers"]
