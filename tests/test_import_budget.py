"""What ``import llamaindex_vecx`` costs, beside importing llama_index.core alone."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "pinecone",
    "wandb",
    "weave",
    "prometheus_client",
    "opentelemetry",
    "mlflow",
    "kiwipiepy",
    "starlette",
    "uvicorn",
    "streamlit",
)
ROUNDS = 5
EVERYTHING = "from llamaindex_vecx import *"
"""Names of the package are imported when they are first used; this uses them all."""


def cpu_seconds(statement: str) -> float:
    code = (
        f"import time; start = time.process_time(); {statement}; print(time.process_time() - start)"
    )
    return float(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    )


def test_nothing_heavy_is_imported() -> None:
    code = f"{EVERYTHING}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    imported = set(json.loads(done.stdout))
    assert "llamaindex_vecx.stores.hnsw" in imported
    assert not set(HEAVY) & imported


@pytest.mark.slow
def test_the_import_takes_less_than_twice_that_of_llama_index_core() -> None:
    """CPU time, interleaved, the median: wall clock lies on a shared machine."""
    cpu_seconds(EVERYTHING)  # compiled files and numba's cache are there afterwards
    core, ours = [], []
    for _ in range(ROUNDS):
        core.append(cpu_seconds("import llama_index.core"))
        ours.append(cpu_seconds(EVERYTHING))
    assert statistics.median(ours) < 2 * statistics.median(core), (ours, core)
