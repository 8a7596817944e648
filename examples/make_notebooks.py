"""Make a notebook of each numbered script, with what its cells print and draw: ``make notebooks``.

The scripts are the text; jupytext reads their cells. Nothing of this machine is kept: no progress bars, no
times of cells, no version of its Python.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
SCRIPTS = sorted(HERE.glob("[0-9]*.py"))


def read_script(script: Path) -> NotebookNode:
    """The script's cells as a notebook that has not run."""
    notebook = jupytext.read(script)
    for number, cell in enumerate(notebook.cells):
        cell.id = str(number)
        cell.metadata = NotebookNode()
    notebook.metadata = NotebookNode(
        kernelspec={"name": "python3", "display_name": "Python 3", "language": "python"},
        language_info={"name": "python"},
    )
    return notebook


def run(notebook: NotebookNode) -> NotebookNode:
    """The same with outputs; an error in a cell is raised."""
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(HERE)}},
    )
    done = client.execute()
    done.metadata.language_info = NotebookNode(name="python")
    for cell in done.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return done


def main(names: list[str]) -> None:
    for script in SCRIPTS:
        if not names or script.stem in names:
            print(script.stem, flush=True)
            notebook = run(read_script(script))
            nbformat.validate(notebook)
            nbformat.write(notebook, script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main(sys.argv[1:])
