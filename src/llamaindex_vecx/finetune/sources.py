"""Training data from labelled queries: BEIR folders, SQuAD files, lists."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.finetune.data import TrainingData

__all__ = ["from_beir", "from_pairs", "from_squad"]


def from_pairs(
    pairs: Iterable[tuple[str, str | Sequence[str]]], passages: Iterable[str] = ()
) -> TrainingData:
    """Training data from a list of questions with the passage, or passages, that answer each.

    Parameters
    ----------
    pairs : iterable of (str, str or sequence of str)
        A question may come more than once.
    passages : iterable of str
        Further passages, which answer none of them.

    Raises
    ------
    InvalidInputError
        An entry is no pair of texts.
    """
    queries: dict[str, str] = {}
    corpus: dict[str, str] = {}
    query_ids: dict[str, str] = {}
    passage_ids: dict[str, str] = {}
    qrels: dict[str, dict[str, float]] = {}

    def passage_id(text: Any) -> str:
        if not isinstance(text, str) or not text.strip():
            raise InvalidInputError(f"a passage must be a text that isn't blank, not {text!r}")
        id_ = passage_ids.setdefault(text, f"p{len(passage_ids)}")
        corpus[id_] = text
        return id_

    for number, pair in enumerate(pairs):
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise InvalidInputError(f"pair {number} must be (question, passage), not {pair!r}")
        question, answers = pair
        if not isinstance(question, str) or not question.strip():
            raise InvalidInputError(f"the question of pair {number} has no text: {question!r}")
        query = query_ids.setdefault(question, f"q{len(query_ids)}")
        queries[query] = question
        for answer in [answers] if isinstance(answers, str) else answers:
            qrels.setdefault(query, {})[passage_id(answer)] = 1.0
    for text in passages:
        passage_id(text)
    return TrainingData(queries, corpus, qrels)


def from_beir(folder: str | Path, split: str = "train") -> TrainingData:
    """Training data from a folder in BEIR's layout (Thakur et al. 2021, arXiv:2104.08663).

    Parameters
    ----------
    folder : str or Path
        With ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/SPLIT.tsv`` (or ``qrels-SPLIT.tsv``); each may
        be gzipped. A passage is its title and its text.
    split : str

    Raises
    ------
    InvalidInputError
        A file is missing or isn't what its name says.
    """
    root = Path(folder)
    corpus = {
        str(line["_id"]): f"{line.get('title') or ''} {line['text']}".strip()
        for line in _json_lines(_find(root, "corpus.jsonl"), ("_id", "text"))
    }
    texts = {
        str(line["_id"]): line["text"]
        for line in _json_lines(_find(root, "queries.jsonl"), ("_id", "text"))
    }
    qrels: dict[str, dict[str, float]] = {}
    file = _find(root, f"qrels/{split}.tsv", f"qrels-{split}.tsv")
    for number, line in enumerate(_lines(file)):
        parts = line.rstrip("\n").split("\t")
        if number == 0 and not _is_number(parts[-1]):
            continue  # the heading
        if len(parts) != 3 or not _is_number(parts[2]):
            raise InvalidInputError(
                f"{file}, line {number + 1}: expected query, passage and grade between tabs, not {line!r}"
            )
        qrels.setdefault(parts[0], {})[parts[1]] = float(parts[2])
    relevant = {q: grades for q, grades in qrels.items() if any(g > 0 for g in grades.values())}
    return TrainingData(
        {query: texts[query] for query in relevant if query in texts}, corpus, relevant
    )


def from_squad(file: str | Path) -> TrainingData:
    """Training data from a file in SQuAD's layout (Rajpurkar et al. 2016, arXiv:1606.05250), e.g. KorQuAD.

    Each question is answered by its own paragraph; paragraphs of the same text are one.

    Parameters
    ----------
    file : str or Path
        JSON, may be gzipped.

    Raises
    ------
    InvalidInputError
        It has another layout.
    """
    path = Path(file)
    try:
        articles = json.loads("".join(_lines(path)))["data"]
        pairs = [
            (question["question"], paragraph["context"])
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
        contexts = [
            paragraph["context"] for article in articles for paragraph in article["paragraphs"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"{path} is not in SQuAD's layout (data / paragraphs / qas): {type(error).__name__}: {error}"
        ) from error
    return from_pairs(pairs, contexts)


def _find(root: Path, *names: str) -> Path:
    for name in names:
        for suffix in ("", ".gz"):
            if (root / (name + suffix)).is_file():
                return root / (name + suffix)
    raise InvalidInputError(
        f"{root} has no {' or '.join(names)}; BEIR's layout is corpus.jsonl, queries.jsonl and "
        "qrels/SPLIT.tsv"
    )


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise InvalidInputError(f"{path} is no file")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from file


def _json_lines(path: Path, needed: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            body = json.loads(line)
        except ValueError as error:
            raise InvalidInputError(f"{path}, line {number} is no JSON: {error}") from error
        missing = [key for key in needed if key not in body]
        if missing:
            raise InvalidInputError(f"{path}, line {number} lacks {', '.join(missing)}")
        yield body


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
