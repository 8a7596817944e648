from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llamaindex_vecx import FlatVectorStore, WandbHandler, set_global_handler
from llamaindex_vecx.errors import InvalidInputError, MissingExtraError
from llamaindex_vecx.observe.recorder import trees

from ...conformance.library import library, near
from ..pipeline import QUESTION, engine, theirs
from ..wandb_files import everything, history, table, trace_trees

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")


def closed(handler: WandbHandler) -> Path:
    handler.close()
    (folder,) = Path(handler_dir(handler)).glob("wandb/*run-*")
    return folder


def handler_dir(handler: WandbHandler) -> str:
    return handler._run._arguments["dir"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a run that recorded two queries of ours, one of LlamaIndex's own, and writes."""
    patch = pytest.MonkeyPatch()
    patch.setenv("WANDB_MODE", "offline")
    folder = tmp_path_factory.mktemp("run")
    patch.setenv("WANDB_DATA_DIR", str(folder / "data"))
    ours, others = engine(), theirs()
    with WandbHandler("rag", dir=folder, name="first", interval=60) as handler:
        ours.query(QUESTION)
        ours.query("김치를 담그는 법")
        others.query(QUESTION)
        store = FlatVectorStore()
        store.add(library())
        handler.flush()
        ours.query("bread and butter")
        store.query(near(1))
        with pytest.raises(ValueError, match="dimension"):
            store.query(near(1).__class__(query_embedding=[1.0], similarity_top_k=1))
    patch.undo()
    return folder


def test_a_query_becomes_a_trace_tree(written):
    first = trace_trees(written)[0]
    assert (first["name"], first["span_kind"], first["status_code"]) == (
        "query",
        "AGENT",
        "SUCCESS",
    )
    assert first["results"][0]["inputs"] == {"query": QUESTION}
    assert first["results"][0]["outputs"]["answer"] == "The whale did."
    retrieve, postprocess, synthesize = first["child_spans"]
    assert retrieve["results"][0]["outputs"]["ids"][0] == "whale"
    assert retrieve["results"][0]["outputs"]["ranks"][:2] == [1, 2]
    assert retrieve["results"][0]["outputs"]["scores"][0] > 0
    assert [child["name"] for child in retrieve["child_spans"]] == ["retrieve", "retrieve", "fuse"]
    assert postprocess["attributes"]["component"] == "SimilarityPostprocessor"
    (llm,) = synthesize["child_spans"]
    assert llm["span_kind"] == "LLM"
    assert llm["results"][0]["outputs"]["prompt_tokens"] == 11
    assert first["start_time_ms"] <= llm["start_time_ms"] <= first["end_time_ms"]


def test_the_tree_is_what_wandb_itself_would_write(written):
    from wandb.sdk.data_types import trace_tree

    def rebuilt(span: dict[str, Any]) -> trace_tree.Span:
        children = span.pop("child_spans")
        (result,) = span.pop("results")
        span["status_code"] = trace_tree.StatusCode(span["status_code"])
        span["span_kind"] = trace_tree.SpanKind(span["span_kind"])
        made = trace_tree.Span(**span)
        made.add_named_result(**result)
        for child in children or []:
            made.add_child_span(rebuilt(child))
        return made

    for written_tree, again in zip(trace_trees(written), trace_trees(written), strict=True):
        theirs = trace_tree.WBTraceTree(rebuilt(again)).to_json(None)
        assert theirs["_type"] == "wb_trace_tree"
        assert json.loads(theirs["root_span_dumps"]) == written_tree


def test_each_query_is_a_row(written):
    rows = table(written, "queries")
    assert [row["query"] for row in rows[:4]] == [
        QUESTION,
        "김치를 담그는 법",
        QUESTION,
        "bread and butter",
    ]
    first = rows[0]
    assert (first["answer"], first["prompt_tokens"], first["completion_tokens"]) == (
        "The whale did.",
        11,
        4,
    )
    stages = {stage["stage"]: stage for stage in json.loads(first["stages"])}
    assert {"query", "retrieve", "search", "fuse", "postprocess", "synthesize", "llm"} <= set(
        stages
    )
    fuse = stages["fuse"]
    assert fuse["ranks"] == list(range(1, len(fuse["ids"]) + 1))
    assert len(fuse["scores"]) == len(fuse["ids"])
    assert fuse["latency_ms"] > 0
    assert rows[-1]["error"].startswith("DimensionError: ")
    assert rows[-1]["query"] is None


def test_metrics_and_histograms(written):
    logged = history(written)
    query = next(row for row in logged if "trace" in row)
    assert query["query/latency_ms"] > 0
    assert query["query/nodes"] == 1
    assert query["query/prompt_tokens"] == 11
    assert query["query/top_score"] > 0
    for stage in ("retrieve", "embed", "search", "fuse", "synthesize", "llm"):
        assert query[f"stage/{stage}/latency_ms"] > 0
    assert query["stage/retrieve/latency_ms"] <= query["query/latency_ms"]
    write = next(row for row in logged if "write/add/latency_ms" in row)
    assert write["write/add/nodes"] == 10
    last = next(row for row in reversed(logged) if "queries" in row)
    assert last["total/queries"] == 6
    assert last["total/errors"] == 1
    assert last["total/dropped"] == 0
    assert sum(last["histogram/latency_ms/query"]["values"]) == 6
    assert last["histogram/score/retrieve"]["_type"] == "histogram"


def test_the_handler_makes_no_run_before_the_first_query(tmp_path):
    with WandbHandler("rag", dir=tmp_path):
        pass
    assert not list(tmp_path.glob("wandb/*"))


def test_a_run_of_the_app_is_used_and_left_open(tmp_path):
    run = wandb.init(project="mine", dir=str(tmp_path), settings={"console": "off"})
    try:
        with WandbHandler("other") as handler:
            engine().query(QUESTION)
            handler.flush()
            assert handler.run is run
        run.log({"still": "open"})
    finally:
        run.finish()
    assert history(tmp_path)[-1]["still"] == "open"
    assert trace_trees(tmp_path)


def test_run_args_as_llama_index_spells_them(tmp_path):
    handler = set_global_handler(
        "wandb", run_args={"project": "theirs", "dir": str(tmp_path), "tags": ["a"]}
    )
    theirs().query(QUESTION)
    assert isinstance(handler, WandbHandler)
    assert handler.run.project == "theirs"
    assert handler.run.tags == ("a",)
    set_global_handler(None)
    assert trace_trees(tmp_path)


def test_disabled_costs_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    asked = engine()
    with WandbHandler("rag", dir=tmp_path):
        asked.query(QUESTION)
        assert not trees._open
    assert not list(tmp_path.glob("wandb/*"))


def test_without_an_api_key_the_run_is_written_to_files(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "online")
    code = _script(tmp_path, key=None)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "there is no API key" in done.stderr
    assert "wandb sync" in done.stderr
    assert trace_trees(next(tmp_path.glob("wandb/offline-run-*")))


def test_unreachable_fails_no_query_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    code = _script(tmp_path, key="0" * 40)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "W&B can't be used now: CommError" in done.stderr
    offline = next(tmp_path.glob("wandb/offline-run-*"))
    assert len(trace_trees(offline)) == 3


def _script(folder: Path, key: str | None) -> str:
    """A process of its own: W&B keeps what it knows of a login for as long as it lives."""
    return f"""
import logging, os
logging.basicConfig()
if {key!r}: os.environ["WANDB_API_KEY"] = {key!r}
from llamaindex_vecx import set_global_handler
from tests.observe.pipeline import engine, QUESTION
handler = set_global_handler("wandb", project="rag", dir={str(folder)!r}, timeout=1, interval=0.1)
asked = engine()
for _ in range(3):
    assert str(asked.query(QUESTION)) == "The whale did."
set_global_handler(None)
"""


def test_a_sink_that_fails_is_told_once_and_breaks_nothing(tmp_path, caplog):
    asked = engine()
    with WandbHandler("rag", dir=tmp_path) as handler, caplog.at_level(logging.WARNING):
        handler._run.get = lambda: 1 / 0
        for _ in range(3):
            assert str(asked.query(QUESTION)) == "The whale did."
            handler.flush()
    assert caplog.text.count("ZeroDivisionError") == 1


def test_sampling_records_a_share_of_whole_traces(tmp_path):
    store = FlatVectorStore()
    store.add(library())
    handler = WandbHandler("rag", dir=tmp_path, sample=0.3, interval=60)
    taken = []
    handler.take = taken.append
    with handler:
        for _ in range(400):
            store.query(near(1))
    assert 60 < len(taken) < 180


def test_the_queue_is_bounded_and_says_what_it_dropped(tmp_path):
    store = FlatVectorStore()
    store.add(library())
    with WandbHandler("rag", dir=tmp_path, queue_size=5, interval=60) as handler:
        for _ in range(8):
            store.query(near(1))
        assert handler.dropped == 3
    (folder,) = tmp_path.glob("wandb/*run-*")
    assert history(folder)[-1]["total/dropped"] == 3
    assert len(table(folder, "queries")) == 5


def test_flush_waits_no_longer_than_it_is_told(tmp_path):
    store = FlatVectorStore()
    store.add(library())
    with WandbHandler("rag", dir=tmp_path) as handler:
        handler.deliver = lambda traces: time.sleep(0.6)
        store.query(near(1))
        began = time.perf_counter()
        assert not handler.flush(timeout=0.1)
        assert time.perf_counter() - began < 0.5
        assert handler.flush()


def test_secrets_are_nowhere_in_what_was_written(tmp_path, monkeypatch):
    url = "postgresql://admin:hunter2pass@db.internal:5432/kb"
    key = "sk-proj-Zm9vYmFyYmF6cXV4MTIzNDU2"
    told = "correct-horse-battery"
    monkeypatch.setenv("MY_SERVICE_TOKEN", "envsecret0815")
    asked = theirs()

    class Broken(FlatVectorStore):
        def query(self, query, **kwargs):
            raise ConnectionError(f"can't connect to {url}, Authorization: Bearer abcDEF123456ghi")

    with WandbHandler("rag", dir=tmp_path, secrets=[told], texts=["questions", "answers", "errors",
                      "prompts", "nodes"]) as handler:  # fmt: skip
        asked.query(f"who hunted the captain? my api_key={key}, also {told} and envsecret0815")
        retriever = theirs().retriever
        retriever._vector_store = Broken()
        with pytest.raises(ConnectionError):
            retriever.retrieve(f"look into {url} please")
        handler.flush()
    (folder,) = tmp_path.glob("wandb/*run-*")
    trees_ = trace_trees(folder)
    assert len(trees_) == 2
    assert "who hunted the captain" in json.dumps(trees_)
    assert "db.internal" in json.dumps(trees_)
    written = everything(tmp_path)
    for secret in (key, "hunter2pass", "abcDEF123456ghi", told, "envsecret0815"):
        assert secret.encode() not in written, secret
    for secret in (key, "hunter2pass"):  # nor in another spelling of JSON or protobuf
        assert secret.encode("utf-16-le") not in written


def test_texts_that_nobody_wants_are_not_written(tmp_path):
    with WandbHandler("rag", dir=tmp_path, texts=()) as handler:
        engine().query(QUESTION)
        handler.flush()
    (folder,) = tmp_path.glob("wandb/*run-*")
    written = everything(folder)
    for text in (b"captain", b"The whale did"):
        assert text not in written
    assert table(folder, "queries")[0]["query"] == f"[{len(QUESTION)} characters]"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"sample": 0}, "sample=0"),
        ({"sample": 1.5}, "sample=1.5"),
        ({"sample": True}, "sample=True"),
        ({"interval": 0}, "interval=0"),
        ({"queue_size": 0}, "queue_size=0"),
        ({"texts": ["poems"]}, "poems"),
        ({"redact": "names"}, "redact"),
        ({"secrets": "one"}, "secrets"),
        ({"mode": "sometimes"}, "sometimes"),
        ({"run_args": "project"}, "run_args"),
    ],
)
def test_bad_input_is_named(options, says):
    with pytest.raises(InvalidInputError, match=says):
        WandbHandler("rag", **options)


def test_a_handler_that_is_none_is_named():
    with pytest.raises(InvalidInputError, match="wnadb.*wandb, prometheus"):
        set_global_handler("wnadb")
    with pytest.raises(InvalidInputError, match="projekt"):
        set_global_handler("wandb", projekt="rag")


def test_without_the_extra_the_pip_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"llamaindex-vecx\[wandb\]"):
        WandbHandler("rag")
