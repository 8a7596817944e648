from __future__ import annotations

import json
import re
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from llamaindex_vecx import FlatVectorStore, PrometheusHandler, set_global_handler
from llamaindex_vecx.errors import DimensionError, InvalidInputError, MissingExtraError
from llamaindex_vecx.observe import grafana_dashboard

from ..conformance.library import library, near
from .pipeline import QUESTION, engine

client = pytest.importorskip("prometheus_client", reason="needs the extra prometheus")
parser = pytest.importorskip("prometheus_client.parser")


ORDER = ("stage", "component", "error", "kind", "model", "le")


def scrape(handler: PrometheusHandler) -> dict[tuple[str, ...], float]:
    """Samples by name, stage, component and other labels, as the client library's parser reads them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{handler.port}/metrics", timeout=5) as response:
        text = response.read().decode()
    return {
        (sample.name, *(sample.labels[key] for key in ORDER if key in sample.labels)): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def handler() -> Iterator[PrometheusHandler]:
    with PrometheusHandler(port=0) as handler:
        yield handler


def test_a_scrape_shows_what_was_done(handler):
    asked = engine()
    before = scrape(handler)
    for _ in range(3):
        asked.query(QUESTION)
    after = scrape(handler)
    count = "vecx_stage_duration_seconds_count"
    assert ("vecx_stage_duration_seconds_count", "query", "RetrieverQueryEngine") not in before
    assert after[count, "query", "RetrieverQueryEngine"] == 3
    assert after[count, "search", "FlatVectorStore"] == 6
    assert after[count, "fuse", "HybridRetriever"] == 3
    assert after[count, "llm", "TellingLLM"] == 3
    total = "vecx_stage_duration_seconds_sum"
    query, search = (total, "query", "RetrieverQueryEngine"), (total, "search", "FlatVectorStore")
    assert 0 < after[search] < after[query]
    assert after["vecx_stage_duration_seconds_bucket", "query", "RetrieverQueryEngine", "+Inf"] == 3
    assert after["vecx_llm_tokens_total", "prompt", "teller"] == 33
    assert after["vecx_stage_nodes_total", "postprocess", "SimilarityPostprocessor"] == 3
    assert after["vecx_top_score_count", "retrieve", "HybridRetriever"] == 3
    assert before["vecx_stage_nodes_total", "add", "FlatVectorStore"] == 4, (
        "the engine's own filling"
    )


def test_errors_and_empty_answers(handler):
    store = FlatVectorStore()
    store.query(near(1))
    store.add(library())
    with pytest.raises(DimensionError):
        store.query(near(1).__class__(query_embedding=[1.0], similarity_top_k=1))
    shown = scrape(handler)
    assert shown["vecx_stage_errors_total", "search", "FlatVectorStore", "DimensionError"] == 1
    assert shown["vecx_stage_empty_total", "search", "FlatVectorStore"] == 1


def test_nothing_of_a_query_is_shown(handler):
    asked = engine()
    asked.query(f"{QUESTION} password=hunter2secret")
    assert "hunter2secret" not in handler.text()
    assert "captain" not in handler.text()


def test_an_apps_own_registry():
    registry = client.CollectorRegistry()
    with PrometheusHandler(registry=registry) as handler:
        FlatVectorStore().add(library())
        assert handler.port is None
    assert b"vecx_stage_duration_seconds_count" in client.generate_latest(registry)
    with pytest.raises(InvalidInputError, match="one handler a registry"):
        PrometheusHandler(registry=registry)


def test_the_endpoint_closes_and_a_second_takes_its_port():
    first = set_global_handler("prometheus", port=0)
    assert isinstance(first, PrometheusHandler)
    port = first.port
    second = set_global_handler("prometheus", port=port)
    assert isinstance(second, PrometheusHandler)
    assert (first.port, second.port) == (None, port)
    set_global_handler(None)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1)


def test_bad_input_is_named(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InvalidInputError, match="can't be listened on"):
            PrometheusHandler(port=taken.getsockname()[1])
    with pytest.raises(InvalidInputError, match="port=70000"):
        PrometheusHandler(port=70000)
    with pytest.raises(InvalidInputError, match="buckets"):
        PrometheusHandler(buckets=(2.0, 1.0))
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match=r"llamaindex-vecx\[prometheus\]"):
        PrometheusHandler()


def test_the_dashboard_asks_only_for_what_a_scrape_shows(handler):
    engine().query(QUESTION)
    store = FlatVectorStore()
    store.query(near(1))
    store.add(library())
    with pytest.raises(DimensionError):
        store.query(near(1).__class__(query_embedding=[1.0], similarity_top_k=1))
    shown = {name for name, *_ in scrape(handler)}
    board = json.loads(grafana_dashboard())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    names = {name for expr in asked for name in re.findall(r"vecx_\w+", expr)}
    assert names <= shown
    assert len(names) >= 6
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


def test_no_two_panels_lie_on_each_other():
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(grafana_dashboard())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells
