from __future__ import annotations

from collections.abc import Iterator

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.observe import StageEvent, events, stage

from ..conformance.library import library, near


class Ears(BaseEventHandler):
    heard: list[StageEvent]

    @classmethod
    def class_name(cls) -> str:
        return "Ears"

    def handle(self, event, **kwargs) -> None:
        if isinstance(event, StageEvent):
            self.heard.append(event)


@pytest.fixture
def heard() -> Iterator[list[StageEvent]]:
    root, ears = get_dispatcher(), Ears(heard=[])
    before = root.event_handlers
    root.event_handlers = [*before, ears]
    yield ears.heard
    root.event_handlers = before


def test_a_stage_says_what_it_did(heard):
    with stage("query", "component", mode="default") as done:
        done(ids=["a"], scores=[0.5], nodes=1)
    (event,) = heard
    assert (event.stage, event.component, event.error) == ("query", "str", None)
    assert event.parameters == {"mode": "default"}
    assert (event.ids, event.scores, event.counts) == (["a"], [0.5], {"nodes": 1})
    assert event.seconds >= 0


def test_a_stage_that_fails_says_so_and_still_raises(heard):
    with pytest.raises(ValueError, match="broken"), stage("add", "component"):
        raise ValueError("broken")
    assert heard[0].error == "ValueError: broken"


def test_nothing_is_built_where_nobody_listens(monkeypatch):
    monkeypatch.setattr(events, "StageEvent", None)
    with stage("query", "component") as done:
        done(nodes=1)


def test_the_stores_speak(heard):
    store = FlatVectorStore()
    store.add(library())
    store.query(near(2, top_k=2))
    store.delete("doc1")
    with pytest.raises(ValueError, match="dimension"):
        store.add([library()[0].model_copy(update={"embedding": [1.0]})])
    assert [(event.stage, event.component) for event in heard] == [
        ("add", "FlatVectorStore"),
        ("query", "FlatVectorStore"),
        ("delete", "FlatVectorStore"),
        ("add", "FlatVectorStore"),
    ]
    added, queried, deleted, failed = heard
    assert added.counts == {"nodes": 10}
    assert (queried.ids[0], queried.parameters["top_k"]) == ("b2", 2)
    assert deleted.counts == {"nodes": 2}
    assert "DimensionError" in (failed.error or "")
