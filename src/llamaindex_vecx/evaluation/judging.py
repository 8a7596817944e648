"""Answers judged by an LLM, through LlamaIndex's evaluators: the RAG triad.

The evaluators read a judgement leniently: any text with "yes" in it ("yesterday" too) is faithful, any
without is not, a score above the scale is taken as it is. Here each judgement is read strictly, and one that
can't be read is marked invalid and is in no mean.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from llama_index.core.async_utils import asyncio_run
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.evaluation import (
    AnswerRelevancyEvaluator,
    BaseEvaluator,
    ContextRelevancyEvaluator,
    FaithfulnessEvaluator,
)
from llama_index.core.llms import LLM

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import named

__all__ = [
    "JUDGEMENTS",
    "AnswerRecord",
    "Judged",
    "JudgedAnswer",
    "ajudge_answers",
    "answer_records",
    "judge_answers",
    "read_score",
    "read_verdict",
]

_FIRST_WORD = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_ANY_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_RESULT = re.compile(r"\[RESULT\][\s:*]*(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_UNREADABLE = "the judgement can't be read"

JUDGEMENTS = ("faithfulness", "answer_relevancy", "context_relevancy")
"""Is the answer supported by the contexts; does it answer the question; do the contexts."""


@dataclass(frozen=True)
class AnswerRecord:
    """An answer and what it was made from."""

    question: str
    answer: str
    contexts: list[str]


@dataclass(frozen=True)
class JudgedAnswer:
    """One answer with its judgements.

    Attributes
    ----------
    scores : dict of str to float or None
        In [0, 1] by judgement; None where it is invalid.
    feedback : dict of str to str
        What the judge wrote.
    invalid : dict of str to str
        Why a judgement has no score.
    """

    record: AnswerRecord
    scores: dict[str, float | None] = field(default_factory=dict)
    feedback: dict[str, str] = field(default_factory=dict)
    invalid: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """All answers, and the means of what could be read."""

    judgements: list[str]
    answers: list[JudgedAnswer]

    @property
    def complete(self) -> bool:
        """Whether every judgement could be read."""
        return not any(answer.invalid for answer in self.answers)

    @property
    def means(self) -> dict[str, float | None]:
        """By judgement, over the valid ones; None where none is."""
        means: dict[str, float | None] = {}
        for name in self.judgements:
            scores = [a.scores[name] for a in self.answers if a.scores[name] is not None]
            means[name] = sum(scores) / len(scores) if scores else None  # type: ignore[arg-type]
        return means

    @property
    def remarks(self) -> list[str]:
        """What a reader of the means must know, one sentence for each judgement that lacks some."""
        remarks = []
        for name in self.judgements:
            bad = [answer for answer in self.answers if name in answer.invalid]
            if bad:
                remarks.append(
                    f"partial: {len(bad)} of {len(self.answers)} judgements of {name} are invalid and in no "
                    f"mean, for {named([a.record.question for a in bad], 3)}: {bad[0].invalid[name]}"
                )
        return remarks

    def __repr__(self) -> str:
        means = ", ".join(
            f"{name}={'none' if mean is None else format(mean, '.3f')}"
            for name, mean in self.means.items()
        )
        return f"Judged({len(self.answers)} answers, {means}{'' if self.complete else ', partial'})"

    def rows(self) -> list[dict[str, Any]]:
        """The table by answer, as plain JSON."""
        return [
            {"question": answer.record.question, "answer": answer.record.answer, **answer.scores}
            for answer in self.answers
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "complete": self.complete,
            "means": self.means,
            "remarks": self.remarks,
            **asdict(self),
        }


def judge_answers(
    records: Sequence[AnswerRecord],
    llm: LLM,
    *,
    judgements: Sequence[str] = JUDGEMENTS,
    workers: int = 4,
) -> Judged:
    """Let an LLM judge answers.

    Parameters
    ----------
    records : sequence of AnswerRecord
        From :func:`answer_records`, or your own.
    llm : LLM
        Any of LlamaIndex's. Take another one than the answers are from: judges like their own.
    judgements : sequence of str
        Of :data:`JUDGEMENTS`.
    workers : int
        Requests at a time.

    Returns
    -------
    Judged
        Judgements that failed or can't be read are marked in it, and the others are kept.

    Raises
    ------
    InvalidInputError
        No records, or an unknown judgement.
    """
    result: Judged = asyncio_run(
        ajudge_answers(records, llm, judgements=judgements, workers=workers)
    )
    return result


async def ajudge_answers(
    records: Sequence[AnswerRecord],
    llm: LLM,
    *,
    judgements: Sequence[str] = JUDGEMENTS,
    workers: int = 4,
) -> Judged:
    """:func:`judge_answers` for a running event loop."""
    check_count(workers, "workers")
    unknown = [name for name in judgements if name not in JUDGEMENTS]
    if unknown or not judgements:
        raise InvalidInputError(f"judgements={list(judgements)} must be of {', '.join(JUDGEMENTS)}")
    if not records:
        raise InvalidInputError("records is empty; there are no answers to judge")
    evaluators = {name: _evaluator(name, llm) for name in dict.fromkeys(judgements)}
    turn = asyncio.Semaphore(workers)
    answers = [JudgedAnswer(record) for record in records]
    await asyncio.gather(
        *(_judge(answer, name, evaluators[name], turn) for answer in answers for name in evaluators)
    )
    return Judged(list(evaluators), answers)


def answer_records(engine: BaseQueryEngine, questions: Sequence[str]) -> list[AnswerRecord]:
    """Ask a query engine, and keep each answer with the texts of its source nodes."""
    records = []
    for question in questions:
        response = engine.query(question)
        contexts = [hit.node.get_content() for hit in response.source_nodes]
        records.append(AnswerRecord(question, str(response), contexts))
    return records


def read_verdict(text: str) -> float | None:
    """1 for YES, 0 for NO: the first word, or the only one of the two that stands anywhere."""
    first = _FIRST_WORD.match(text)
    words = {first[1].lower()} if first else {word.lower() for word in _ANY_WORD.findall(text)}
    if len(words) != 1:
        return None
    return 1.0 if words == {"yes"} else 0.0


def read_score(text: str, most: float) -> float | None:
    """The number after the last ``[RESULT]``; None without one, or off the scale from 0 to ``most``."""
    found = _RESULT.findall(text)
    if not found:
        return None
    score = float(found[-1])
    return score if 0 <= score <= most else None


def _evaluator(name: str, llm: LLM) -> BaseEvaluator:
    if name == "faithfulness":
        return FaithfulnessEvaluator(llm=llm)

    def parser(most: float) -> Any:
        def parse(text: str) -> tuple[float | None, str | None]:
            score = read_score(text, most)
            return (None, None) if score is None else (score, text)

        return parse

    if name == "answer_relevancy":
        return AnswerRelevancyEvaluator(llm=llm, parser_function=parser(2.0))
    return ContextRelevancyEvaluator(llm=llm, parser_function=parser(4.0))


async def _judge(
    answer: JudgedAnswer, name: str, evaluator: BaseEvaluator, turn: asyncio.Semaphore
) -> None:
    record = answer.record
    answer.scores[name] = None
    if not record.contexts and name != "answer_relevancy":
        answer.invalid[name] = "there are no contexts to judge by"
        return
    async with turn:
        try:
            result = await evaluator.aevaluate(
                query=record.question, response=record.answer, contexts=record.contexts
            )
        except Exception as error:  # of the LLM's service; the other judgements go on
            answer.invalid[name] = f"{type(error).__name__}: {error}"
            return
    feedback = answer.feedback[name] = result.feedback or ""
    score = read_verdict(feedback) if name == "faithfulness" else result.score
    if score is None:
        answer.invalid[name] = f"{_UNREADABLE}: {feedback[:120]!r}"
    else:
        answer.scores[name] = score
