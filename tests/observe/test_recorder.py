from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery

from llamaindex_vecx import BM25Retriever, FlatVectorStore
from llamaindex_vecx.errors import DimensionError
from llamaindex_vecx.observe import stage
from llamaindex_vecx.observe.recorder import trees
from llamaindex_vecx.observe.tokens import count_tokens

from ..conformance.library import library, near
from .pipeline import QUESTION, TEXTS, ChattingLLM, Keeper, engine, names, step, theirs


def test_a_query_is_one_tree():
    asked = engine()
    with Keeper() as kept:
        answer = asked.query(QUESTION)
    trace = kept.trace
    assert (trace.name, trace.component) == ("query", "RetrieverQueryEngine")
    assert (trace.question, trace.answer) == (QUESTION, str(answer))
    assert [child.name for child in trace.children] == ["retrieve", "postprocess", "synthesize"]
    retrieve, postprocess, synthesize = trace.children
    assert [child.name for child in retrieve.children] == ["retrieve", "retrieve", "fuse"]
    assert {one.name for one in retrieve.walk()} == {"retrieve", "embed", "search", "fuse"}
    assert retrieve.ids[0] == "whale"
    assert retrieve.counts["nodes"] == len(retrieve.ids) == len(retrieve.scores)
    assert postprocess.component == "SimilarityPostprocessor"
    assert postprocess.ids == synthesize.ids == [hit.node_id for hit in answer.source_nodes]
    assert len(postprocess.ids) < len(retrieve.ids)
    assert step(trace, "fuse").parameters["method"] == "rrf"
    assert {one.parameters["mode"] for one in trace.walk() if one.name == "search"} == {
        "default",
        "text_search",
    }
    assert step(trace, "llm").tokens == {"prompt": 11, "completion": 4}
    assert trace.total_tokens() == {"prompt": 11, "completion": 4}
    assert TEXTS["whale"] in (step(trace, "llm").prompt or "")
    assert all(0 <= one.seconds <= trace.seconds for one in trace.walk())


def test_a_chat_model_says_the_same():
    asked = engine(llm=ChattingLLM())
    with Keeper() as kept:
        asked.query(QUESTION)
    llm = step(kept.trace, "llm")
    assert (llm.answer, llm.tokens) == ("The whale did.", {"prompt": 11, "completion": 4})
    assert llm.parameters["model"] == "chatter"
    assert TEXTS["whale"] in (llm.prompt or "")


def test_tokens_are_counted_where_the_llm_tells_none():
    asked = engine(llm=MockLLM(max_tokens=5))
    with Keeper() as kept:
        asked.query(QUESTION)
    count_tokens(kept.trace)
    tokens = step(kept.trace, "llm").tokens
    assert tokens["prompt"] > 30
    assert tokens["completion"] > 3
    assert tokens["counted"] == 1
    assert "counted" not in kept.trace.total_tokens()


def test_any_store_and_retriever_of_llama_index_is_recorded():
    asked = theirs()
    with Keeper() as kept:
        asked.query(QUESTION)
    assert names(kept.trace) == ["query", "retrieve", "embed", "synthesize", "llm"]
    assert step(kept.trace, "retrieve").ids[0] == "whale"
    assert step(kept.trace, "retrieve").scores[0] > step(kept.trace, "retrieve").scores[1]


async def test_async_queries_at_the_same_time_do_not_mix():
    asked = engine()
    questions = [f"{QUESTION} {number}" for number in range(8)]
    with Keeper() as kept:
        await asyncio.gather(*map(asked.aquery, questions))
    assert sorted(trace.question or "" for trace in kept.traces) == questions
    for trace in kept.traces:
        assert names(trace).count("search") == 2
        assert names(trace).count("embed") == 1
        assert {one.question for one in trace.walk() if one.question} == {trace.question}


def test_threads_do_not_mix():
    asked = engine()
    questions = [f"{QUESTION} {number}" for number in range(16)]
    with Keeper() as kept, ThreadPoolExecutor(4) as pool:
        list(pool.map(asked.query, questions))
    assert sorted(trace.question or "" for trace in kept.traces) == sorted(questions)
    assert {names(trace).count("search") for trace in kept.traces} == {2}


class Overwrites(BaseNodePostprocessor):
    """As LlamaIndex's SentenceTransformerRerank does: scores of the very nodes that came in."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        for hit in nodes:
            hit.score = -1.0
        return nodes


def test_scores_are_those_of_the_moment():
    asked = engine(node_postprocessors=[Overwrites()])
    with Keeper() as kept:
        asked.query(QUESTION)
    assert all(score > 0 for score in step(kept.trace, "retrieve").scores)
    assert set(step(kept.trace, "postprocess").scores) == {-1.0}


class Stages(Overwrites):
    def _postprocess_nodes(self, nodes, query_bundle=None):
        with stage("rerank", self, top_n=1) as done:
            done(ids=[nodes[0].node_id], scores=[2.0], nodes=1)
        return nodes[:1]


def test_a_reranker_that_speaks_is_not_guessed_at():
    asked = engine(node_postprocessors=[Stages()])
    with Keeper() as kept:
        asked.query(QUESTION)
    assert "postprocess" not in names(kept.trace)
    assert step(kept.trace, "rerank").parameters == {"top_n": 1}


def test_a_write_and_a_bare_search():
    store = FlatVectorStore()
    with Keeper() as kept:
        store.add(library())
        store.query(near(2, top_k=2))
        store.delete("doc1")
    added, searched, deleted = kept.traces
    assert (added.name, added.counts, added.is_query) == ("add", {"nodes": 10}, False)
    assert (searched.name, searched.ids[0], searched.is_query) == ("search", "b2", True)
    assert searched.parameters["top_k"] == 2
    assert deleted.counts == {"nodes": 2}


def test_an_error_is_on_every_step_that_it_passed():
    store = FlatVectorStore()
    store.add(library())
    with Keeper() as kept, pytest.raises(DimensionError):
        store.query(VectorStoreQuery(query_embedding=[1.0], similarity_top_k=1))
    assert (kept.trace.error or "").startswith("DimensionError: ")

    class Broken(BM25Retriever):
        def _retrieve(self, query_bundle):
            raise RuntimeError("no index today")

    retriever = Broken.from_defaults(nodes=[TextNode(text="x")])
    with Keeper() as kept, pytest.raises(RuntimeError):
        retriever.retrieve("x")
    assert kept.trace.error == "RuntimeError: no index today"


@pytest.mark.parametrize("consumer", ["str", "iterate"])
def test_a_streamed_answer_is_waited_for(consumer):
    asked = theirs(streaming=True)
    with Keeper() as kept:
        response = asked.query(QUESTION)
        assert not kept.traces
        text = str(response) if consumer == "str" else "".join(response.response_gen)
    assert text == "The whale did."
    assert kept.trace.answer == text
    assert names(kept.trace)[-1] == "llm"
    assert step(kept.trace, "llm").tokens == {"prompt": 11, "completion": 4}


async def test_a_streamed_answer_is_waited_for_on_the_loop():
    asked = theirs(streaming=True)
    with Keeper() as kept:
        response = await asked.aquery(QUESTION)
        said = [token async for token in response.async_response_gen()]
    assert kept.trace.answer == "".join(said) == "The whale did."


def test_a_stream_that_nobody_reads_is_handed_on_at_the_end():
    asked = theirs(streaming=True)
    with Keeper() as kept:
        asked.query(QUESTION)
    assert kept.trace.answer is None
    assert kept.trace.question == QUESTION


def test_texts_only_where_they_are_wanted():
    asked = engine()
    with Keeper() as kept:
        asked.query(QUESTION)
    assert not any(one.texts for one in kept.trace.walk())
    with Keeper(wants_texts=True) as kept:
        asked.query(QUESTION)
    assert step(kept.trace, "retrieve").texts[0] == TEXTS["whale"]


def test_what_nobody_chooses_is_not_built():
    class Never(Keeper):
        def chooses(self):
            return False

    asked = engine()
    with Never() as kept:
        asked.query(QUESTION)
        assert not trees._open
    assert not kept.traces


def test_two_handlers_get_one_tree_and_a_broken_one_breaks_nothing():
    class Broken(Keeper):
        def take(self, trace):
            raise RuntimeError("broken handler")

    asked = engine()
    with Keeper() as first, Keeper() as second:
        asked.query(QUESTION)
    assert first.trace is second.trace
    with Broken():
        assert str(asked.query(QUESTION)) == "The whale did."


def test_nothing_listens_once_all_handlers_are_off():
    root = get_dispatcher()
    before = root.event_handlers, root.span_handlers
    first, second = Keeper().install(), Keeper().install()
    assert len(root.span_handlers) == len(before[1]) + 1
    first.uninstall()
    assert len(root.span_handlers) == len(before[1]) + 1
    second.uninstall()
    assert (root.event_handlers, root.span_handlers) == before


def _with_callbacks(kept: Keeper) -> RetrieverQueryEngine:
    manager = CallbackManager([kept.callback_handler()])
    asked = theirs()
    asked.callback_manager = asked.retriever.callback_manager = manager
    asked._response_synthesizer._callback_manager = manager
    asked._response_synthesizer._llm.callback_manager = manager
    return asked


def test_callback_manager_alone_makes_the_same_tree():
    kept = Keeper()
    asked = _with_callbacks(kept)
    asked.query(QUESTION)
    trace = kept.trace
    assert (trace.name, trace.question, trace.answer) == ("query", QUESTION, "The whale did.")
    assert [child.name for child in trace.children] == ["retrieve", "synthesize"]
    assert step(trace, "retrieve").ids[0] == "whale"
    assert step(trace, "llm").tokens == {"prompt": 11, "completion": 4}


def test_callback_manager_beside_spans_records_nothing_twice():
    kept = Keeper()
    asked = _with_callbacks(kept)
    with kept:
        asked.query(QUESTION)
    assert names(kept.trace) == ["query", "retrieve", "embed", "synthesize", "llm"]


def test_an_error_through_the_callback_manager():
    kept = Keeper()
    manager = CallbackManager([kept.callback_handler()])

    class Broken(BM25Retriever):
        def _retrieve(self, query_bundle):
            raise RuntimeError("no index today")

    retriever = Broken.from_defaults(nodes=[TextNode(text="x")], callback_manager=manager)
    with pytest.raises(RuntimeError):
        retriever.retrieve("x")
    assert kept.trace.error == "RuntimeError: no index today"


def test_handlers_come_and_go_while_queries_run():
    asked = engine()
    stop = threading.Event()
    failures: list[BaseException] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                asked.query(QUESTION)
            except BaseException as error:
                failures.append(error)
                return

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(30):
        with Keeper():
            pass
    stop.set()
    thread.join()
    trees.forget()
    assert not failures
