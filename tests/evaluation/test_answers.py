"""Answers: a scripted LLM judges, since no model can be reached here, and writes all sorts of nonsense."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import TextNode

from llamaindex_vecx import FlatVectorStore
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation import (
    AnswerRecord,
    bleu,
    generate_questions,
    judge_answers,
    perplexity,
    rouge,
)
from llamaindex_vecx.evaluation.judging import answer_records, read_score, read_verdict
from llamaindex_vecx.evaluation.questions import read_questions
from llamaindex_vecx.retrievers import StoreRetriever


class ScriptedLLM(CustomLLM):
    """Answers by a function of the prompt."""

    script: Callable[[str], str]

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=8000, model_name="scripted")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.script(prompt))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError


def judge(
    faithful: str = "YES", answer: str = "Good. [RESULT] 2", context: str = "[RESULT] 4"
) -> ScriptedLLM:
    def script(prompt: str) -> str:
        if "answer with either YES or NO" in prompt:
            return faithful
        return answer if "evaluate if the response is relevant" in prompt else context

    return ScriptedLLM(script=script)


RECORD = AnswerRecord(
    "왜 빵이 부풀까?", "Yeast makes gas.", ["Yeast makes gas in dough.", "Tea is leaves."]
)


def test_what_the_judge_says_is_scored() -> None:
    good = judge_answers([RECORD, RECORD], judge())
    assert good.complete
    assert good.means == {"faithfulness": 1.0, "answer_relevancy": 1.0, "context_relevancy": 1.0}
    mixed = judge_answers([RECORD], judge("NO", "Hm.\n[RESULT] 1", "So so. [RESULT] 2.5"))
    assert mixed.means == {"faithfulness": 0.0, "answer_relevancy": 0.5, "context_relevancy": 0.625}
    assert mixed.answers[0].feedback["faithfulness"] == "NO"
    assert mixed.rows()[0]["context_relevancy"] == 0.625


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "I can't say.",
        "It was yesterday.",
        "[RESULT]",
        "[RESULT] two",
        "[RESULT] 9",
        "[RESULT] -1",
        "예",
    ],
)
def test_malformed_judgements_are_in_no_mean(bad: str) -> None:
    def script(prompt: str) -> str:
        good = "YES [RESULT] 2"
        return bad if "second question" in prompt or "second answer" in prompt else good

    records = [
        AnswerRecord("first question", "first answer", ["context"]),
        AnswerRecord("second question", "second answer", ["context"]),
    ]
    judged = judge_answers(records, ScriptedLLM(script=script))
    assert not judged.complete
    assert judged.means == {"faithfulness": 1.0, "answer_relevancy": 1.0, "context_relevancy": 0.5}
    assert set(judged.answers[1].invalid) == set(judged.judgements)
    assert judged.answers[1].scores == dict.fromkeys(judged.judgements)
    assert "1 of 2 judgements of faithfulness are invalid" in judged.remarks[0]
    assert "'second question'" in judged.remarks[0]
    assert "partial" in repr(judged)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("YES", 1.0), (" **Yes**, it is.", 1.0), ("no.", 0.0), ("Answer: NO", 0.0),
        ("The answer is yes", 1.0),
        ("NO, although yes in part", 0.0), ("It says yes and no", None),
        ("nobody", None), ("yesterday", None),
    ],
)  # fmt: skip
def test_verdicts(text: str, verdict: float | None) -> None:
    assert read_verdict(text) == verdict


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("a [RESULT] 3", 3.0), ("[RESULT]: **2.5**", 2.5), ("[result]\n4", 4.0),
        ("[RESULT] 1 … [RESULT] 2", 2.0),
        ("[RESULT] 4.5", None), ("3", None), ("RESULT 3", None), ("[RESULT] 1.2.3", 1.2),
    ],
)  # fmt: skip
def test_scores(text: str, score: float | None) -> None:
    assert read_score(text, 4.0) == score


def test_a_judge_that_fails_and_an_answer_without_contexts() -> None:
    def script(prompt: str) -> str:
        if "evaluate if the response" in prompt:
            raise ConnectionError("429 too many requests")
        return "YES [RESULT] 4"

    judged = judge_answers([RECORD, AnswerRecord("q", "a", [])], ScriptedLLM(script=script))
    assert judged.means == {"faithfulness": 1.0, "answer_relevancy": None, "context_relevancy": 1.0}
    assert "429" in judged.answers[0].invalid["answer_relevancy"]
    assert judged.answers[1].invalid["faithfulness"] == "there are no contexts to judge by"
    with pytest.raises(InvalidInputError, match="records is empty"):
        judge_answers([], judge())
    with pytest.raises(InvalidInputError, match="judgements=\\['taste'\\]"):
        judge_answers([RECORD], judge(), judgements=["taste"])


def test_records_of_a_query_engine() -> None:
    store = FlatVectorStore()
    store.add([TextNode(id_="a", text="Tea is leaves.", embedding=[1.0, 0.0])])
    engine = RetrieverQueryEngine.from_args(
        StoreRetriever(store, "text_search"), llm=ScriptedLLM(script=lambda prompt: "Leaves.")
    )
    assert answer_records(engine, ["What is tea?"]) == [
        AnswerRecord("What is tea?", "Leaves.", ["Tea is leaves."])
    ]


# -- questions -----------------------------------------------------------------------------------

NODES = [
    TextNode(id_=f"n{i}", text=text) for i, text in enumerate(("Bread.", "빵.", "Tea.", "Sea."))
]


def test_questions_of_the_users_own_nodes() -> None:
    def script(prompt: str) -> str:
        if "Sea." in prompt:
            raise ConnectionError("429")
        if "Tea." in prompt:
            return "I would rather not."
        return "1. Why does it rise?\n- “왜 부풀까?”\nSure!\nQ3: And then?"

    found = generate_questions(NODES, ScriptedLLM(script=script), per_node=2)
    assert found.labelled.queries == {
        "n0/1": "Why does it rise?", "n0/2": "왜 부풀까?", "n1/1": "Why does it rise?", "n1/2": "왜 부풀까?",
    }  # fmt: skip
    assert found.labelled.qrels["n1/2"] == {"n1": 1.0}
    assert not found.complete
    assert found.skipped["n3"] == "ConnectionError: 429"
    assert "I would rather not" in found.skipped["n2"]


def test_a_sample_is_the_same_again() -> None:
    llm = ScriptedLLM(script=lambda prompt: "Is it so?")
    first, again = (
        generate_questions(NODES, llm, sample=2, seed=5).labelled.qrels for _ in range(2)
    )
    assert first == again
    assert len(first) == 2


def test_no_questions() -> None:
    with pytest.raises(InvalidInputError, match="nodes is empty"):
        generate_questions([], judge())
    with pytest.raises(InvalidInputError, match="not one question came of 4 nodes"):
        generate_questions(NODES, ScriptedLLM(script=lambda prompt: "no"))


def test_lines_that_are_questions() -> None:
    assert read_questions("(1) Who?\n2) Who?\n질문 1: 누구인가?\n?\n* What is '42'?") == [
        "Who?", "누구인가?", "What is '42'?",
    ]  # fmt: skip


# -- texts ---------------------------------------------------------------------------------------


def test_bleu() -> None:
    assert bleu(["the cat sat on the mat"], ["the cat sat on the mat"]) == pytest.approx(100)
    # 4-grams 1/3, trigrams 2/4, bigrams 3/5, unigrams 5/6, no brevity penalty
    expected = 100 * math.exp(sum(map(math.log, (5 / 6, 3 / 5, 2 / 4, 1 / 3))) / 4)
    assert bleu(["the cat sat on a mat"], ["the cat sat on the mat"]) == pytest.approx(expected)
    assert bleu(["b b b b", "a b c d"], [["x", "b b b b"], "a b c d"]) == pytest.approx(100)
    assert bleu(["학교에 갔다"], ["학교에서 왔다"]) > bleu(
        ["학교에 갔다"], ["학교에서 왔다"], tokenize="13a"
    )


def test_rouge() -> None:
    values = rouge(["the cat sat"], ["the cat ran"])
    assert values == pytest.approx({"rouge1": 2 / 3, "rouge2": 1 / 2, "rougeL": 2 / 3})
    assert rouge(["고양이가 앉았다"], ["고양이가 뛰었다"], kinds=["rouge1"])[
        "rouge1"
    ] == pytest.approx(0.5)
    assert rouge(["a b"], [["x", "a b"]], kinds=["rouge1"]) == {"rouge1": 1.0}
    assert rouge(["running"], ["runs"], kinds=["rouge1"], stem=True) == {"rouge1": 1.0}


@pytest.mark.parametrize("measure", [bleu, rouge])
@pytest.mark.parametrize(
    ("answers", "references"), [([], []), (["a"], []), (["a"], [[]]), ("ab", ["a", "b"])]
)
def test_references_that_do_not_fit(measure: Any, answers: Sequence[str], references: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"lists of one length|references\[0\] is empty"):
        measure(answers, references)


def test_unknown_kinds() -> None:
    with pytest.raises(InvalidInputError, match="tokenize='xyz'"):
        bleu(["a"], ["a"], tokenize="xyz")
    with pytest.raises(InvalidInputError, match="rouge-score's"):
        rouge(["a"], ["a"], kinds=["rougeX"])


@pytest.mark.model
def test_perplexity_of_a_model_that_knows_nothing_is_its_vocabulary() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(vocab_size=50, n_positions=32, n_embd=8, n_layer=1, n_head=1)
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()

    def tokenizer(text: str, **_: Any) -> dict[str, Any]:
        return {"input_ids": torch.tensor([[ord(c) % 50 for c in text]], dtype=torch.long)}

    assert perplexity(["hello", "안녕하세요"], model, tokenizer) == pytest.approx([50.0, 50.0])
    with pytest.raises(InvalidInputError, match=r"texts\[0\]='a' has 1 tokens"):
        perplexity(["a"], model, tokenizer)
    with pytest.raises(InvalidInputError, match="needs its tokenizer"):
        perplexity(["ab"], model)
    with pytest.raises(InvalidInputError, match="'/no/such/model' can't be loaded"):
        perplexity(["ab"], "/no/such/model")
