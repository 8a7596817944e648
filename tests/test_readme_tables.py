"""Figures on the front page are those of benchmarks/results: nobody types them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.readme_table import PAGES, filled

REPO = Path(__file__).resolve().parents[1]


def test_every_table_agrees_with_the_results() -> None:
    command = [sys.executable, "benchmarks/readme_table.py", "--check"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, f"{done.stdout}run python benchmarks/readme_table.py"


@pytest.mark.parametrize("page", PAGES)
def test_a_changed_figure_is_noticed(page: str) -> None:
    text = (REPO / page).read_text("utf-8")
    korean = page.endswith(".ko.md")
    assert "<!-- table: " in text
    head, mark, tail = text.partition("<!-- table: stores -->\n")
    altered = head + mark + tail.replace("0.", "9.", 1)
    assert altered != text
    assert filled(altered, korean=korean) == text
