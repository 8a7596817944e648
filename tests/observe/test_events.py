from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llamaindex_vecx import BM25Retriever, FlatVectorStore, HybridRetriever
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
    monkeypatch.setattr(events, "uuid4", None)
    with stage("query", "component") as done:
        done(nodes=1)


class Spans(BaseSpanHandler):
    """Parents of spans, as any of LlamaIndex's span handlers is told them."""

    parents: dict[str, str | None] = Field(default_factory=dict)
    ended: list[str] = Field(default_factory=list)

    def new_span(self, id_, bound_args, instance=None, parent_span_id=None, tags=None, **kwargs):
        self.parents[id_[:-37]] = parent_span_id and parent_span_id[:-37]
        return BaseSpan(id_=id_, parent_id=parent_span_id)

    def prepare_to_exit_span(self, id_, bound_args, instance=None, result=None, **kwargs):
        self.ended.append(id_[:-37])
        return self.open_spans[id_]

    def prepare_to_drop_span(self, id_, bound_args, instance=None, err=None, **kwargs):
        self.ended.append(f"{id_[:-37]}: {err}")
        return self.open_spans[id_]


@pytest.fixture
def spans() -> Iterator[Spans]:
    root, handler = get_dispatcher(), Spans()
    before = root.span_handlers
    root.span_handlers = [*before, handler]
    yield handler
    root.span_handlers = before
    assert not handler.open_spans


def test_a_stage_is_a_span_for_every_span_handler(spans, heard):
    with stage("outer", "component"), stage("inner", "component"):
        pass
    assert spans.parents == {"str.outer": None, "str.inner": "str.outer"}
    assert spans.ended == ["str.inner", "str.outer"]
    assert [event.span_id[:-37] for event in heard] == ["str.inner", "str.outer"]
    with pytest.raises(ValueError, match="broken"), stage("failing", "component"):
        raise ValueError("broken")
    assert spans.ended[-1] == "str.failing: broken"


def test_a_coroutine_that_is_thrown_away_ends_its_stage(spans):
    async def forever() -> None:
        with stage("wait", "component"):
            await asyncio.sleep(60)

    async def start() -> None:
        asyncio.get_running_loop().create_task(forever())
        await asyncio.sleep(0)

    asyncio.run(start())
    assert spans.ended[0].startswith("str.wait: ")


def test_filters_and_reads_are_told(heard):
    store = FlatVectorStore()
    store.add(library())
    filters = MetadataFilters(filters=[MetadataFilter(key="lang", value="ko")])
    store.query(near(3, top_k=2, filters=filters))
    store.get_nodes(filters=filters)
    _, queried, read = heard
    assert queried.parameters["filters"] == filters
    assert (read.stage, read.counts) == ("get", {"nodes": 2})


async def test_the_pinecone_store_and_server_speak(heard):
    pinecone = pytest.importorskip("pinecone", reason="needs the extra pinecone")
    pytest.importorskip("uvicorn", reason="needs the extra server")
    from llamaindex_vecx import PineconeVectorStore
    from llamaindex_vecx.pinecone_local import PineconeLocal

    with PineconeLocal() as server:
        pinecone.Pinecone(api_key="local", host=server.url).create_index(
            name="kb",
            dimension=4,
            metric="cosine",
            spec=pinecone.ServerlessSpec(cloud="aws", region="us-east-1"),
        )
        with PineconeVectorStore("kb", host=server.url, api_key="local") as store:
            store.add(library()[:3])
            await store.aquery(near(1, top_k=2))
            store.get_nodes(["b1"])
            store.delete("doc1")
    spoken = [event for event in heard if event.component == "PineconeVectorStore"]
    assert [event.stage for event in spoken] == ["add", "query", "get", "delete"]
    assert (spoken[1].ids[0], spoken[1].parameters["mode"]) == ("b1", "default")
    requests = [event for event in heard if event.stage == "request"]
    assert {event.counts["status"] for event in requests} <= {200, 201, 202}
    assert "/i/kb/query" in {event.parameters["path"] for event in requests}


def test_keyword_retriever_and_fusion_speak(heard):
    nodes = [TextNode(id_=str(i), text=f"word{i} common") for i in range(12)]
    keywords = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=2)
    keywords.retrieve("word3")
    both = HybridRetriever({"one": keywords, "two": keywords}, similarity_top_k=2)
    heard.clear()
    both.retrieve("word3 common")
    assert sorted(event.stage for event in heard) == ["fuse", "query", "query"]
    fuse = heard[-1]
    assert fuse.counts == {"nodes": 2, "from_one": 2, "from_two": 2}
    assert (fuse.ids[0], fuse.parameters["method"]) == ("3", "rrf")
    heard.clear()
    both.fit(
        {str(i): f"word{i}" for i in range(12)}, {str(i): [str(i)] for i in range(12)}, folds=2
    )
    assert heard[-1].stage == "fit"
    assert heard[-1].counts == {"queries": 12}


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
