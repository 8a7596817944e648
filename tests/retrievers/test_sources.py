import asyncio
import threading
from contextvars import ContextVar

import pytest
from llama_index.core import QueryBundle
from llama_index.core.base.base_retriever import BaseRetriever

from llamaindex_vecx.errors import SourceError
from llamaindex_vecx.retrievers import HybridRetriever, SourceHit
from tests.retrievers.conftest import Failing, Fixed


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


def test_the_default_async_is_still_llamaindexs():
    # agather tells sources without async of their own by this identity.
    assert Fixed._aretrieve is BaseRetriever._aretrieve


def test_a_failing_source_fails_the_query():
    hybrid = HybridRetriever({"good": Fixed(("a", 1.0)), "remote": Failing()})
    with pytest.raises(
        SourceError, match="source 'remote' failed: ConnectionError: no route"
    ) as info:
        hybrid.retrieve("q")
    assert info.value.source == "remote"
    assert isinstance(info.value.__cause__, ConnectionError)


async def test_a_failing_source_can_be_left_out():
    hybrid = HybridRetriever({"remote": Failing(), "good": Fixed(("a", 2.0))}, on_error="warn")
    with pytest.warns(RuntimeWarning, match="source 'remote' failed.*left out"):
        results = hybrid.retrieve("q")
    with pytest.warns(RuntimeWarning, match="source 'remote' failed.*left out"):
        assert await hybrid.aretrieve("q") == results
    assert results[0].score == 1.0
    assert results[0].sources == {"good": SourceHit(rank=1, score=2.0)}


@pytest.mark.parametrize("weights", [None, [1, 0]])
def test_nothing_left_to_fuse_raises(weights):
    other = Failing() if weights is None else Fixed(("a", 1.0))
    hybrid = HybridRetriever({"x": Failing(), "y": other}, on_error="warn", weights=weights)
    with pytest.raises(SourceError, match="source 'x' failed"):
        hybrid.retrieve("q")


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
