"""Query variants by a scripted LLM: no real one is reachable where these tests run."""

import asyncio

import pytest
from llama_index.core import QueryBundle, Settings
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM

from llamaindex_vecx.errors import InvalidInputError, SourceError
from llamaindex_vecx.fusion import reciprocal_rank_fusion
from llamaindex_vecx.retrievers import HybridRetriever, HyDE, MultiQuery
from tests.retrievers.conftest import Fixed


class Scripted(CustomLLM):
    answer: str = ""
    prompts: list[str] = Field(default_factory=list)
    asynchronous: int = 0

    @property
    def metadata(self):
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):
        self.prompts.append(prompt)
        if self.answer == "fail":
            raise TimeoutError("no answer")
        return CompletionResponse(text=self.answer)

    async def acomplete(self, prompt, formatted=False, **kwargs):
        self.asynchronous += 1
        await asyncio.sleep(0)
        return self.complete(prompt)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        raise NotImplementedError


class Depending(Fixed):
    """Answers by the question."""

    def __init__(self, **answers):
        super().__init__()
        self.answers = {question: Fixed(*hits).hits for question, hits in answers.items()}

    def _retrieve(self, query_bundle):
        self.bundles.append(query_bundle)
        return self.answers.get(query_bundle.query_str, [])


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ("1. one\n2) two\n\n- three\n* four", ["one", "two", "three"]),
        ('"one"\n“two”\none\nq', ["one", "two"]),
        ("서울의 인구는?\n• 서울에 몇 명이 사나?", ["서울의 인구는?", "서울에 몇 명이 사나?"]),
        ("1984 was when?", ["1984 was when?"]),
        ("", []),
        (" \n\n", []),
    ],
)
async def test_multi_query(answer, asked):
    llm = Scripted(answer=answer)
    variants = MultiQuery(llm, count=3)
    bundles = variants.expand(QueryBundle("q"))
    assert [bundle.query_str for bundle in bundles] == ["q", *asked]
    assert "Write 3 other" in llm.prompts[0]
    assert "Question: q" in llm.prompts[0]
    assert await variants.aexpand(QueryBundle("q")) == bundles
    assert llm.asynchronous == 1


async def test_every_source_is_asked_every_variant():
    source = Depending(q=[("a", 1.0), ("b", 0.5)], other=[("b", 3.0), ("c", 2.0)])
    watcher = Fixed(("z", 1.0))
    hybrid = HybridRetriever(
        {"one": source, "two": watcher}, query_variants=MultiQuery(Scripted(answer="other"))
    )
    results = hybrid.retrieve("q")
    assert sorted(bundle.query_str for bundle in watcher.bundles) == ["other", "q"]
    expected = reciprocal_rank_fusion([["a", "b"], ["z"], ["b", "c"], ["z"]], normalize=True)
    assert [(hit.node_id, hit.score) for hit in results] == [
        (key, pytest.approx(score)) for key, score in expected
    ]
    by_id = {hit.node_id: hit for hit in results}
    assert {name: hit.rank for name, hit in by_id["b"].sources.items()} == {"one": 2, "one #2": 1}
    assert await hybrid.aretrieve("q") == results


async def test_hyde_embeds_the_answer_and_searches_the_question(index, embedding):
    llm = Scripted(answer="a dog ran")
    watcher = Fixed(("cat", 1.0))
    hybrid = HybridRetriever(
        {"dense": index.as_retriever(), "words": watcher}, query_variants=HyDE(llm)
    )
    for results in (hybrid.retrieve("park animal"), await hybrid.aretrieve("park animal")):
        assert results[0].node_id == "dog" or results[1].node_id == "dog"
    assert embedding.asked == ["a dog ran", "park animal"] * 2
    assert [bundle.query_str for bundle in watcher.bundles] == ["park animal"] * 2
    assert llm.asynchronous == 1
    assert HyDE(Scripted(answer=" ")).expand(QueryBundle("q")) == [QueryBundle("q")]


def test_hyde_replaces_an_embedding_that_was_given():
    (bundle,) = HyDE(Scripted(answer="x")).expand(QueryBundle("q", embedding=[1.0]))
    assert bundle.embedding is None
    assert bundle.embedding_strs == ["x", "q"]


async def test_an_llm_that_fails():
    llm = Scripted(answer="fail")
    strict = HybridRetriever([Fixed(("a", 1.0))], query_variants=MultiQuery(llm))
    with pytest.raises(SourceError, match="query variants failed: TimeoutError: no answer") as info:
        strict.retrieve("q")
    assert info.value.source == "query_variants"
    with pytest.raises(SourceError):
        await strict.aretrieve("q")
    lenient = HybridRetriever([Fixed(("a", 1.0))], query_variants=MultiQuery(llm), on_error="warn")
    with pytest.warns(RuntimeWarning, match="The question alone was asked"):
        assert [hit.node_id for hit in lenient.retrieve("q")] == ["a"]
    with pytest.warns(RuntimeWarning, match="The question alone was asked"):
        assert [hit.node_id for hit in await lenient.aretrieve("q")] == ["a"]


def test_the_llm_of_the_settings(monkeypatch):
    monkeypatch.setattr(Settings, "_llm", MockLLM())
    assert len(MultiQuery().expand(QueryBundle("q"))) > 1


def test_braces_in_a_question_are_no_fields():
    llm = Scripted(answer="x")
    MultiQuery(llm).expand(QueryBundle("what is {count} in {question}?"))
    assert "Question: what is {count} in {question}?" in llm.prompts[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiQuery(count=0), "count=0"),
        (lambda: MultiQuery(prompt="{question}"), r"lacks \{count\}"),
        (lambda: HyDE(prompt="x"), r"lacks \{question\}"),
        (lambda: HybridRetriever([Fixed()], query_variants="hyde"), "must be MultiQuery"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InvalidInputError, match=message):
        make()
