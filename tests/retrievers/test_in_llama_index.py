import json

from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor import LongContextReorder, SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import RecursiveRetriever
from llama_index.core.schema import IndexNode, NodeWithScore, TextNode

from llamaindex_vecx.retrievers import FusedNode, HybridRetriever, SourceHit
from tests.retrievers.conftest import Fixed, by_id


def test_korean(index):
    hybrid = HybridRetriever({"dense": index.as_retriever(), "fixed": Fixed(("busan", 1.0))})
    results = by_id(hybrid.retrieve("대한민국의 수도이다"))
    assert results["seoul"].sources["dense"].rank == 1
    assert results["busan"].sources["fixed"] == SourceHit(rank=1, score=1.0)


def test_in_a_query_engine_with_postprocessors(hybrid):
    engine = RetrieverQueryEngine.from_args(
        hybrid,
        llm=MockLLM(),
        node_postprocessors=[
            SimilarityPostprocessor(similarity_cutoff=0.495),
            LongContextReorder(),
        ],
    )
    nodes = by_id(engine.query("anything").source_nodes)
    assert set(nodes) == {"a", "c"}
    assert nodes["c"].sources["bm25"].rank == 1


def test_in_a_recursive_retriever():
    link = IndexNode(id_="link", text="about cats", index_id="cats")
    first = Fixed(("a", 0.4))
    first.hits.insert(0, NodeWithScore(node=link, score=0.9))
    recursive = RecursiveRetriever(
        "root", retriever_dict={"root": HybridRetriever([first]), "cats": Fixed(("cat", 0.8))}
    )
    assert [node.node_id for node in recursive.retrieve("q")] == ["cat", "a"]


def test_an_index_node_is_followed_to_its_object():
    link = IndexNode(id_="link", text="table", index_id="t", obj=TextNode(id_="table", text="rows"))
    source = Fixed(("a", 0.4))
    source.hits.insert(0, NodeWithScore(node=link, score=0.9))
    assert [node.node_id for node in HybridRetriever([source]).retrieve("q")] == ["table", "a"]


def test_a_hybrid_is_a_source(hybrid):
    outer = HybridRetriever({"inner": hybrid, "other": Fixed(("d", 1.0))})
    assert outer.retrieve("q")[0].node_id == "d"


def test_fused_nodes_survive_serialisation(hybrid):
    node = hybrid.retrieve("q")[0]
    dumped = json.loads(node.model_dump_json())
    assert dumped == node.model_dump(mode="json")
    assert dumped["class_name"] == "FusedNode"
    assert dumped["sources"]["bm25"] == {"rank": 1, "score": 12.5, "node_id": None}
    again = FusedNode(
        node=TextNode(**dumped["node"]), score=dumped["score"], sources=dumped["sources"]
    )
    assert again == node
    assert node.model_copy(deep=True) == node


class Listener(BaseEventHandler):
    seen: list = Field(default_factory=list)

    def handle(self, event, **kwargs):
        if event.class_name() == "VecxStageEvent":
            self.seen.append(event)


def test_fusing_emits_an_event(hybrid):
    root, listener = get_dispatcher(), Listener()
    root.add_event_handler(listener)
    try:
        results = hybrid.retrieve("q")
    finally:
        root.event_handlers.remove(listener)
    (event,) = listener.seen
    assert (event.stage, event.component) == ("fuse", "HybridRetriever")
    assert event.counts == {"nodes": 4, "from_dense": 3, "from_bm25": 2}
    assert event.parameters["weights"] == {"dense": 1.0, "bm25": 1.0}
    assert event.ids == [node.node_id for node in results]
    assert event.scores == [node.score for node in results]


def test_a_source_may_have_any_name():
    assert HybridRetriever({"ids": Fixed(("a", 1.0)), "scores": Fixed()}).retrieve("q")
