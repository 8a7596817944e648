"""Labelled questions from the user's own nodes, written by an LLM."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from llama_index.core.async_utils import asyncio_run
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import BaseNode, MetadataMode

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import LabelledQueries

__all__ = ["QUESTIONS_PROMPT", "GeneratedQuestions", "agenerate_questions", "generate_questions"]

QUESTIONS_PROMPT = PromptTemplate(
    "Here is a passage.\n---------------------\n{context_str}\n---------------------\n"
    "Write {count} questions that somebody would ask who does not know this passage, and that it answers. "
    "Each must be understood without the passage: name things instead of saying 'this' or 'the passage'. "
    "Write in the language of the passage. One question a line, nothing else."
)

_MARKS = re.compile(r"^\s*(?:[-*•]|\(?\d+[.)]|Q\d*[:.)]|질문\s*\d*\s*[:.)])\s*", re.IGNORECASE)
_QUOTES = "\"'“”‘’*` "


@dataclass(frozen=True)
class GeneratedQuestions:
    """Questions with the node that each was written for.

    Attributes
    ----------
    labelled : LabelledQueries
        The id of a question is that of its node, and a number. The node alone is relevant: others may
        answer it too, so measures are a lower bound.
    skipped : dict of str to str
        Nodes without a question, and why.
    """

    labelled: LabelledQueries
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every node has a question."""
        return not self.skipped


def generate_questions(
    nodes: Sequence[BaseNode],
    llm: LLM,
    *,
    per_node: int = 2,
    sample: int | None = None,
    seed: int = 0,
    workers: int = 4,
    prompt: PromptTemplate = QUESTIONS_PROMPT,
) -> GeneratedQuestions:
    """Let an LLM write questions that the nodes answer.

    Parameters
    ----------
    nodes : sequence of BaseNode
        E.g. ``store.get_nodes()``.
    llm : LLM
        Any of LlamaIndex's.
    per_node : int
        Questions a node, at most.
    sample : int, optional
        Take so many nodes, drawn by ``seed``, instead of all.
    seed : int
    workers : int
        Requests at a time.
    prompt : PromptTemplate
        With ``{context_str}`` and ``{count}``.

    Returns
    -------
    GeneratedQuestions
        Nodes for which the LLM failed, or wrote no question, are named in it; the others are kept.

    Raises
    ------
    InvalidInputError
        No nodes, or no question for any.
    """
    result: GeneratedQuestions = asyncio_run(
        agenerate_questions(
            nodes, llm, per_node=per_node, sample=sample, seed=seed, workers=workers, prompt=prompt
        )
    )
    return result


async def agenerate_questions(
    nodes: Sequence[BaseNode],
    llm: LLM,
    *,
    per_node: int = 2,
    sample: int | None = None,
    seed: int = 0,
    workers: int = 4,
    prompt: PromptTemplate = QUESTIONS_PROMPT,
) -> GeneratedQuestions:
    """:func:`generate_questions` for a running event loop."""
    check_count(per_node, "per_node")
    check_count(workers, "workers")
    chosen = list(nodes)
    if sample is not None:
        check_count(sample, "sample")
        chosen = random.Random(seed).sample(chosen, min(sample, len(chosen)))
    if not chosen:
        raise InvalidInputError(
            "nodes is empty; give the nodes that questions are to be written for"
        )
    turn = asyncio.Semaphore(workers)
    skipped: dict[str, str] = {}

    async def ask(node: BaseNode) -> list[str]:
        text = node.get_content(metadata_mode=MetadataMode.LLM)
        async with turn:
            try:
                written = await llm.apredict(prompt, context_str=text, count=per_node)
            except Exception as error:  # of the LLM's service; the other nodes go on
                skipped[node.node_id] = f"{type(error).__name__}: {error}"
                return []
        questions = read_questions(written)[:per_node]
        if not questions:
            skipped[node.node_id] = f"no question in {written[:80]!r}"
        return questions

    written = await asyncio.gather(*(ask(node) for node in chosen))
    if not any(written):
        reason = next(iter(skipped.values()))
        raise InvalidInputError(f"not one question came of {len(chosen)} nodes: {reason}")
    queries, qrels = {}, {}
    for node, questions in zip(chosen, written, strict=True):
        for place, question in enumerate(questions, start=1):
            queries[f"{node.node_id}/{place}"] = question
            qrels[f"{node.node_id}/{place}"] = {node.node_id: 1.0}
    return GeneratedQuestions(LabelledQueries.of("generated questions", queries, qrels), skipped)


def read_questions(text: str) -> list[str]:
    """Lines that are questions, without numbers, bullets and quotes; each once."""
    questions = []
    for line in text.splitlines():
        question = _MARKS.sub("", line).strip(_QUOTES)
        if question.endswith(("?", "？")) and len(question) > 3:
            questions.append(question)
    return list(dict.fromkeys(questions))
