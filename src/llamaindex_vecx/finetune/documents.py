"""Training data where nobody labelled anything: from the documents themselves, or written by an LLM."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.utils import get_tqdm_iterable

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.finetune.data import TrainingData

__all__ = ["QUESTION_PROMPT", "from_sentences", "from_titles", "write_questions"]

QUESTION_PROMPT = PromptTemplate(
    "Below is a passage. Write {count} short questions that a user might ask and that this passage "
    "answers. Write in the passage's language, one question a line, without numbers or any other text.\n\n"
    "{passage}\n"
)
"""For ``write_questions``; the variables are ``count`` and ``passage``."""

_HEADING = re.compile(r"\A\s*#+\s+(.+?)\s*#*\s*(?:\n|\Z)")
_SENTENCE_END = re.compile(r"(?<=[.!?。！？])\s+|\n+")
_NUMBERING = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):])\s*")
_SHORTEST_SENTENCE = 20


def from_titles(nodes: Sequence[BaseNode], *, title_key: str | None = None) -> TrainingData:
    """Each title as a query, answered by the text under it.

    Parameters
    ----------
    nodes : sequence of BaseNode
    title_key : str, optional
        The metadata key of the title. None is the Markdown heading that the text begins with. Either way
        the passage is the text without it: otherwise a model learns to compare the title with itself.

    Raises
    ------
    InvalidInputError
        No node has a title and a text.
    """
    pairs: list[tuple[str, str, str]] = []
    corpus: dict[str, str] = {}
    for node in nodes:
        text = node.get_content(metadata_mode=MetadataMode.NONE)
        if title_key is None:
            heading = _HEADING.match(text)
            title = heading[1] if heading else ""
            body = text[heading.end() :] if heading else text
        else:
            title = str(node.metadata.get(title_key) or "")
            body = text.removeprefix(title)
        if not body.strip():
            continue
        corpus[node.node_id] = body.strip()
        if title.strip():
            pairs.append((f"title of {node.node_id}", title.strip(), node.node_id))
    return _data(pairs, corpus, "no node has a title and a text below it; give title_key=…")


def from_sentences(nodes: Sequence[BaseNode], *, per_node: int = 1, seed: int = 0) -> TrainingData:
    """Sentences as queries, each answered by the rest of its passage (Lee et al. 2019, arXiv:1906.00300).

    Parameters
    ----------
    nodes : sequence of BaseNode
        Those with fewer than two sentences are passages only.
    per_node : int
        Sentences drawn from each, all taken out of the passage.
    seed : int

    Raises
    ------
    InvalidInputError
        No node has two sentences.
    """
    check_count(per_node, "per_node")
    draw = np.random.default_rng(seed)
    pairs: list[tuple[str, str, str]] = []
    corpus: dict[str, str] = {}
    for node in nodes:
        text = node.get_content(metadata_mode=MetadataMode.NONE)
        sentences = [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
        long = [n for n, sentence in enumerate(sentences) if len(sentence) >= _SHORTEST_SENTENCE]
        drawn = draw.permutation(long)[: min(per_node, len(sentences) - 1)].tolist() if long else []
        rest = " ".join(s for n, s in enumerate(sentences) if n not in drawn)
        if not rest:
            continue
        corpus[node.node_id] = rest
        pairs += [(f"sentence {n} of {node.node_id}", sentences[n], node.node_id) for n in drawn]
    return _data(pairs, corpus, "no node has two sentences")


def write_questions(
    nodes: Sequence[BaseNode],
    llm: LLM,
    *,
    per_node: int = 2,
    prompt: PromptTemplate = QUESTION_PROMPT,
    show_progress: bool = False,
) -> TrainingData:
    """Questions that an LLM writes for each node, answered by it.

    Parameters
    ----------
    nodes : sequence of BaseNode
    llm : LLM
        Any of LlamaIndex's.
    per_node : int
    prompt : PromptTemplate
        With the variables ``count`` and ``passage``; the answer is read as one question a line.
    show_progress : bool

    Raises
    ------
    InvalidInputError
        It wrote none.
    """
    check_count(per_node, "per_node")
    pairs: list[tuple[str, str, str]] = []
    corpus: dict[str, str] = {}
    for node in get_tqdm_iterable(list(nodes), show_progress, "Writing questions"):
        text = node.get_content(metadata_mode=MetadataMode.NONE).strip()
        if not text:
            continue
        corpus[node.node_id] = text
        answer = llm.predict(prompt, count=per_node, passage=text)
        lines = [_NUMBERING.sub("", line).strip() for line in answer.splitlines()]
        questions = list(dict.fromkeys(line for line in lines if line))[:per_node]
        pairs += [
            (f"question {n} of {node.node_id}", question, node.node_id)
            for n, question in enumerate(questions, start=1)
        ]
    return _data(pairs, corpus, "the LLM wrote no question")


def _data(
    pairs: Sequence[tuple[str, str, str]], corpus: dict[str, str], reason: str
) -> TrainingData:
    if not pairs:
        raise InvalidInputError(f"nothing to train on: {reason}")
    return TrainingData(
        {query: text for query, text, _ in pairs},
        corpus,
        {query: {node: 1.0} for query, _, node in pairs},
    )
