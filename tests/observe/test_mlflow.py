from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.errors import DimensionError, MissingExtraError
from llamaindex_vecx.observe import MLflowHandler

from ..conformance.library import library, near
from .pipeline import QUESTION, engine

mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store of plain files: MLflow's skinny package has no database."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return (tmp_path / "mlruns").as_uri()


def test_a_query_is_a_trace(files, tmp_path):
    asked = engine()
    store = FlatVectorStore()
    store.add(library())
    with MLflowHandler("rag", tracking_uri=files) as handler:
        asked.query(f"{QUESTION}, my password=hunter2pass")
        with pytest.raises(DimensionError):
            store.query(near(1).__class__(query_embedding=[1.0], similarity_top_k=1))
        handler.flush()
        found = mlflow.search_traces(locations=[handler._experiment_id], return_type="list")
    failed, trace = sorted(found, key=lambda one: len(one.data.spans))
    spans = {span.name: span for span in trace.data.spans}
    root = next(span for span in trace.data.spans if span.parent_id is None)
    assert (root.name, root.outputs["answer"]) == ("query", "The whale did.")
    assert root.inputs["query"].startswith(QUESTION)
    assert {"retrieve", "search", "fuse", "postprocess", "synthesize", "llm"} <= set(spans)
    assert spans["fuse"].outputs["nodes"][0]["id"] == "whale"
    assert spans["search"].span_type == "RETRIEVER"
    assert trace.info.token_usage == {"input_tokens": 11, "output_tokens": 4, "total_tokens": 15}
    assert failed.info.state == "ERROR"
    assert "DimensionError" in failed.data.spans[0].attributes["error"]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"captain" in written
    assert b"hunter2pass" not in written


def test_without_the_extra_the_pip_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"llamaindex-vecx\[mlflow\]"):
        MLflowHandler()
