import asyncio
import json
import threading
from contextvars import ContextVar

import pytest
from llama_index.core import QueryBundle
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor import LongContextReorder, SimilarityPostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import RecursiveRetriever
from llama_index.core.schema import IndexNode, NodeWithScore, TextNode

from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError, SourceError
from llamaindex_vecx.retrievers import FusedNode, HybridRetriever, SourceHit
from tests.retrievers.conftest import Failing, Fixed


def by_id(results):
    return {node.node_id: node for node in results}


@pytest.fixture
def hybrid():
    return HybridRetriever(
        {"dense": Fixed(("a", 0.9), ("b", 0.8), ("c", 0.7)), "bm25": Fixed(("c", 12.5), ("d", 3.0))}
    )


def check_fused(results):
    largest = (1 / (60 + 1)) + (1 / (60 + 1))
    assert [node.node_id for node in results] == ["c", "a", "b", "d"]
    assert [node.score for node in results] == [
        pytest.approx(((1 / (60 + 3)) + (1 / (60 + 1))) / largest),
        pytest.approx((1 / (60 + 1)) / largest),
        pytest.approx((1 / (60 + 2)) / largest),
        pytest.approx((1 / (60 + 2)) / largest),
    ]
    assert all(isinstance(node, FusedNode) for node in results)
    assert results[0].sources == {
        "dense": SourceHit(rank=3, score=0.7),
        "bm25": SourceHit(rank=1, score=12.5),
    }
    assert results[3].sources == {"bm25": SourceHit(rank=2, score=3.0)}
    assert all(node.metadata == {} for node in results)


def test_fuses_by_rank(hybrid):
    check_fused(hybrid.retrieve("anything"))


async def test_fuses_by_rank_async(hybrid):
    check_fused(await hybrid.aretrieve("anything"))


def test_top_k(hybrid):
    hybrid.similarity_top_k = 2
    assert [node.node_id for node in hybrid.retrieve("anything")] == ["c", "a"]


@pytest.mark.parametrize("weights", [{"bm25": 3, "dense": 1}, [1, 3]])
def test_weights_by_name_or_order(hybrid, weights):
    weighted = HybridRetriever(hybrid.sources, weights=weights, k=10)
    results = by_id(weighted.retrieve("anything"))
    assert results["d"].score == pytest.approx((3 / (10 + 2)) / ((1 + 3) / (10 + 1)))
    assert results["a"].score == pytest.approx((1 / (10 + 1)) / ((1 + 3) / (10 + 1)))


def test_the_first_of_every_source_scores_one():
    results = HybridRetriever([Fixed(("a", 1.0)), Fixed(("a", 7.0))], weights=[0.3, 0.6]).retrieve(
        "q"
    )
    assert results[0].score == 1.0


def test_nodes_of_equal_text_stay_apart():
    left, right = Fixed(("a", 0.9)), Fixed(("b", 0.9))
    left.hits[0].node.text = right.hits[0].node.text = "the same"
    assert {node.node_id for node in HybridRetriever([left, right]).retrieve("q")} == {"a", "b"}


def test_what_sources_return_is_not_altered():
    source = Fixed(("a", 0.9), ("b", 0.8))
    before = [hit.model_dump() for hit in source.hits]
    result = HybridRetriever([source]).retrieve("q")[0]
    result.score = 99.0
    assert [hit.model_dump() for hit in source.hits] == before


def test_an_id_that_comes_twice_counts_where_it_comes_first():
    class Repeating(Fixed):
        def retrieve(self, bundle):
            return self.hits

    results = HybridRetriever({"r": Repeating(("a", 3.0), ("a", 2.0), ("b", 1.0))}).retrieve("q")
    assert [node.sources["r"] for node in results] == [
        SourceHit(rank=1, score=3.0),
        SourceHit(rank=2, score=1.0),
    ]


def test_scores_may_be_missing():
    assert HybridRetriever({"r": Fixed(("a", None))}).retrieve("q")[0].sources["r"].score is None


def test_nothing_found():
    assert HybridRetriever([Fixed(), Fixed()]).retrieve("q") == []


def test_names_of_a_sequence():
    hybrid = HybridRetriever([Fixed(), Failing(), Fixed(), Fixed()])
    assert list(hybrid.sources) == ["Fixed", "Failing", "Fixed_2", "Fixed_3"]


# Sources at the same time


class Meeting(Fixed):
    """Answers only once every source has been asked."""

    def __init__(self, barrier, *hits):
        super().__init__(*hits)
        self.barrier = barrier

    def _retrieve(self, query_bundle):
        self.barrier.wait(timeout=10)
        return self.hits


class AsyncMeeting(Fixed):
    def __init__(self, arrivals, *hits):
        super().__init__(*hits)
        self.arrivals = arrivals

    async def _aretrieve(self, query_bundle):
        self.arrivals.release()
        await asyncio.wait_for(self.arrivals.everyone.wait(), timeout=10)
        return self.hits


class Arrivals:
    def __init__(self, count):
        self.missing = count
        self.everyone = asyncio.Event()

    def release(self):
        self.missing -= 1
        if not self.missing:
            self.everyone.set()


def test_sources_run_at_the_same_time():
    barrier = threading.Barrier(3)
    hybrid = HybridRetriever([Meeting(barrier, (name, 1.0)) for name in "abc"])
    assert len(hybrid.retrieve("q")) == 3


async def test_async_sources_run_at_the_same_time():
    arrivals = Arrivals(3)
    hybrid = HybridRetriever([AsyncMeeting(arrivals, (name, 1.0)) for name in "abc"])
    assert len(await hybrid.aretrieve("q")) == 3


async def test_sources_without_async_do_not_block_the_loop():
    barrier = threading.Barrier(2)
    hybrid = HybridRetriever([Meeting(barrier, (name, 1.0)) for name in "ab"])
    assert len(await hybrid.aretrieve("q")) == 2


question_of = ContextVar("question_of", default="nobody")


class Asking(Fixed):
    def _retrieve(self, query_bundle):
        self.asked_by = question_of.get()
        question_of.set("a source")
        return self.hits


async def test_sources_see_the_callers_context():
    sources = [Asking(), Asking(), Asking()]
    question_of.set("me")
    HybridRetriever(sources).retrieve("q")
    assert [source.asked_by for source in sources] == ["me"] * 3
    await HybridRetriever(sources).aretrieve("q")
    assert [source.asked_by for source in sources] == ["me"] * 3
    assert question_of.get() == "me"


# Failures


def test_a_failing_source_fails_the_query():
    hybrid = HybridRetriever({"good": Fixed(("a", 1.0)), "remote": Failing()})
    with pytest.raises(
        SourceError, match="source 'remote' failed: ConnectionError: no route"
    ) as info:
        hybrid.retrieve("q")
    assert info.value.source == "remote"
    assert isinstance(info.value.__cause__, ConnectionError)


async def test_a_failing_source_can_be_left_out():
    hybrid = HybridRetriever({"remote": Failing(), "good": Fixed(("a", 2.0))}, on_error="skip")
    with pytest.warns(RuntimeWarning, match="source 'remote' failed.*left out"):
        results = hybrid.retrieve("q")
    with pytest.warns(RuntimeWarning, match="source 'remote' failed.*left out"):
        assert await hybrid.aretrieve("q") == results
    assert results[0].score == 1.0
    assert results[0].sources == {"good": SourceHit(rank=1, score=2.0)}


@pytest.mark.parametrize("weights", [None, [1, 0]])
def test_nothing_left_to_fuse_raises(weights):
    other = Failing() if weights is None else Fixed(("a", 1.0))
    hybrid = HybridRetriever({"x": Failing(), "y": other}, on_error="skip", weights=weights)
    with pytest.raises(SourceError, match="source 'x' failed"):
        hybrid.retrieve("q")


@pytest.mark.parametrize("text", ["", " \n"])
async def test_empty_text_raises(hybrid, text):
    with pytest.raises(EmptyQueryError):
        hybrid.retrieve(text)
    with pytest.raises(EmptyQueryError):
        await hybrid.aretrieve(QueryBundle(text, embedding=[1.0]))


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        ([], {}, "sources is empty"),
        ({"x": "no retriever"}, {}, "source 'x' must be a LlamaIndex retriever, not str"),
        ([Fixed()], {"similarity_top_k": 0}, "similarity_top_k=0"),
        ([Fixed()], {"k": -1}, "k=-1"),
        ([Fixed()], {"weights": [1, 2]}, "2 weights were given for 1 sources"),
        ([Fixed()], {"weights": [0]}, "not all 0"),
        ({"x": Fixed()}, {"weights": {"y": 1}}, r"weights name \['y'\], the sources are \['x'\]"),
        ([Fixed()], {"on_error": "ignore"}, "on_error='ignore'"),
    ],
)
def test_bad_arguments(sources, options, message):
    with pytest.raises(InvalidInputError, match=message):
        HybridRetriever(sources, **options)


# Embeddings


def test_the_query_is_embedded_once_for_all_who_share_a_model(index, embedding):
    hybrid = HybridRetriever([index.as_retriever(), index.as_retriever(), Fixed(("cat", 1.0))])
    assert hybrid.retrieve("cat mat")[0].node_id == "cat"
    assert embedding.asked == ["cat mat"]


async def test_the_query_is_embedded_once_async(index, embedding):
    hybrid = HybridRetriever([index.as_retriever(), index.as_retriever()])
    await hybrid.aretrieve("cat mat")
    assert embedding.asked == ["cat mat"]


def test_sources_of_other_models_embed_for_themselves(nodes, index, embedding):
    other = type(embedding)()
    second = type(index)(nodes, embed_model=other)
    watcher, bundle = Fixed(), QueryBundle("dog park")
    HybridRetriever([index.as_retriever(), second.as_retriever(), watcher]).retrieve(bundle)
    assert (embedding.asked, other.asked) == (["dog park"], ["dog park"])
    assert watcher.bundles[0].embedding is None, "no model's vector leaks to another source"
    assert bundle.embedding is None, "the caller's bundle is not written to"


def test_a_given_embedding_is_used(index, embedding):
    vector = embedding.get_text_embedding("dog park")
    hybrid = HybridRetriever([index.as_retriever(), index.as_retriever()])
    assert hybrid.retrieve(QueryBundle("x", embedding=vector))[0].node_id == "dog"
    assert embedding.asked == []


# As a part of LlamaIndex


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
    assert dumped["sources"]["bm25"] == {"rank": 1, "score": 12.5}
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


def test_the_default_async_is_still_llamaindexs():
    # agather tells sources without async of their own by this identity.
    assert Fixed._aretrieve is BaseRetriever._aretrieve
