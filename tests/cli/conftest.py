from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llamaindex_vecx.cli.app import app
from llamaindex_vecx.stores.local import LocalVectorStore

REPO = Path(__file__).resolve().parents[2]

Vecx = Callable[..., Result]


@pytest.fixture
def vecx(monkeypatch: pytest.MonkeyPatch) -> Vecx:
    """Run a command line in this process; other exceptions than ours end the test."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Three files: Markdown with headings, plain text, Korean."""
    folder = tmp_path / "notes"
    (folder / "sub").mkdir(parents=True)
    (folder / "kitchen.md").write_text(
        "# Kitchen\n\n## Bread\n\nBread needs yeast and time.\n\n## Tea\n\nTea is dried leaves.\n"
    )
    (folder / "sub" / "plain.txt").write_text(
        "The harbour froze in the winter of the great storm.\n"
    )
    (folder / "sub" / "학교.md").write_text("# 학교\n\n학교에서 점심을 먹는다.\n", encoding="utf-8")
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "llamaindex_vecx", *map(str, arguments)]


def environment() -> dict[str, str]:
    """For a subprocess that may import ``tests``."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(REPO / "src"), str(REPO)])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}


def run_vecx(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


def documents(store: LocalVectorStore) -> dict[str, list[str]]:
    """Document id → the texts of its nodes, sorted."""
    found: dict[str, list[str]] = {}
    for node in store.get_nodes():
        assert node.ref_doc_id is not None
        found.setdefault(node.ref_doc_id, []).append(node.get_content())
    return {name: sorted(texts) for name, texts in found.items()}
