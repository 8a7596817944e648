from __future__ import annotations

import json
import sys

import pytest

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.errors import DimensionError, MissingExtraError
from llamaindex_vecx.observe import OpenTelemetryHandler

from ..conformance.library import library, near
from .pipeline import QUESTION, engine

pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk, of the extra dev")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exported) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return provider


def test_a_query_is_a_tree_of_spans_below_the_apps_own(provider, exported):
    asked = engine()
    with OpenTelemetryHandler(provider) as handler:
        with provider.get_tracer("app").start_as_current_span("request"):
            asked.query(QUESTION)
        handler.flush()
    spans = {span.name: span for span in exported.get_finished_spans()}
    request, query = spans["request"], spans["query RetrieverQueryEngine"]
    retrieve, fuse = spans["retrieve HybridRetriever"], spans["fuse HybridRetriever"]
    llm = spans["llm TellingLLM"]
    assert query.parent.span_id == request.context.span_id
    assert retrieve.parent.span_id == query.context.span_id
    assert fuse.parent.span_id == retrieve.context.span_id
    assert {span.context.trace_id for span in spans.values()} == {request.context.trace_id}
    assert request.start_time <= query.start_time <= query.end_time <= request.end_time
    for span in spans.values():
        if span.parent is not None and span is not query:
            assert query.start_time <= span.start_time <= span.end_time
            assert span.end_time <= query.end_time + 50_000, "steps lie within their query"
    assert query.attributes["vecx.query"] == QUESTION
    assert query.attributes["vecx.answer"] == "The whale did."
    assert retrieve.attributes["vecx.ids"][0] == "whale"
    assert len(json.loads(retrieve.attributes["vecx.scores"])) == 3
    assert json.loads(fuse.attributes["vecx.parameters"])["method"] == "rrf"
    assert llm.attributes["gen_ai.usage.input_tokens"] == 11
    assert llm.attributes["gen_ai.usage.output_tokens"] == 4
    assert llm.attributes["gen_ai.request.model"] == "teller"


def test_an_error_is_a_status_without_its_secret(provider, exported):
    store = FlatVectorStore()
    store.add(library())
    with OpenTelemetryHandler(provider), pytest.raises(DimensionError):
        store.query(near(1).__class__(query_embedding=[1.0], similarity_top_k=1))

    class Broken(FlatVectorStore):
        def _found(self, query, params):
            raise ConnectionError("redis://:hunter2pass@cache:6379 is away")

    with OpenTelemetryHandler(provider), pytest.raises(ConnectionError):
        Broken().query(near(1))
    wrong, broken = exported.get_finished_spans()
    assert wrong.status.status_code is StatusCode.ERROR
    assert wrong.attributes["error.type"] == "DimensionError"
    assert "cache:6379" in broken.status.description
    assert "hunter2pass" not in broken.to_json()


def test_without_the_extra_the_pip_line_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    with pytest.raises(MissingExtraError, match=r"llamaindex-vecx\[opentelemetry\]"):
        OpenTelemetryHandler()
