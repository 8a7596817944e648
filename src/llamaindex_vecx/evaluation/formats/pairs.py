"""A list of (question, relevant ids): what users write themselves, and what LLMs write for them."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.formats.reading import read_json_lines, read_text
from llamaindex_vecx.evaluation.labelled import LabelledQueries, Passage

__all__ = ["load", "read_rows"]


def load(path: Path, value: Any, group_by: str | None) -> LabelledQueries:
    """Of a list of objects, of ``{"questions": [...], "group_by": ...}``, or of LlamaIndex's data set.

    Raises
    ------
    InvalidInputError
        An object has no question; the message says which.
    """
    if isinstance(value, dict) and {"queries", "relevant_docs"} <= set(value):
        return _llama_index(path, value, group_by)
    if isinstance(value, dict):
        group_by = group_by or value.get("group_by")
        value = value.get("questions")
    if not isinstance(value, list):
        raise InvalidInputError(
            f"{path} must hold a list of questions, or an object with 'questions'; each with "
            "'question' and 'relevant'"
        )
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, float]] = {}
    for place, item in enumerate(value):
        if not isinstance(item, dict) or not isinstance(item.get("question"), str):
            raise InvalidInputError(f"{path}: item {place + 1} has no 'question': {item!r}")
        query = str(item.get("id", place + 1))
        if queries.setdefault(query, item["question"]) != item["question"]:
            raise InvalidInputError(f"{path}: item {place + 1} has the id {query!r} of another")
        qrels.setdefault(query, {}).update(_grades(path, place + 1, item.get("relevant")))
    return LabelledQueries.of(path.stem, queries, qrels, group_by=group_by)


def read_rows(path: Path, kind: str) -> list[dict[str, Any]]:
    """The objects of a ``.jsonl`` or ``.csv``. In CSV a line names one relevant id, or several by ``|``.

    Raises
    ------
    InvalidInputError
    """
    if kind == ".jsonl":
        return [item for _, item in read_json_lines(path)]
    reader = csv.DictReader(io.StringIO(read_text(path)))
    if not {"question", "relevant"} <= set(reader.fieldnames or ()):
        raise InvalidInputError(
            f"{path} must have the columns question and relevant, not {reader.fieldnames}"
        )
    rows: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}
    for number, line in enumerate(reader, start=2):
        question = line["question"]
        ids = [id_.strip() for id_ in (line["relevant"] or "").split("|") if id_.strip()]
        try:
            grade = float(line.get("grade") or 1)
        except ValueError as error:
            raise InvalidInputError(f"{path}:{number}: the grade is no number: {line}") from error
        given = line.get("id") or str(numbers.setdefault(question, len(numbers) + 1))
        rows.append({"id": given, "question": question, "relevant": dict.fromkeys(ids, grade)})
    return rows


def _grades(path: Path, place: int, relevant: Any) -> dict[str, float]:
    if relevant is None:
        return {}
    if isinstance(relevant, dict):
        return {str(id_): grade for id_, grade in relevant.items()}
    if isinstance(relevant, (str, int)):
        return {str(relevant): 1.0}
    if isinstance(relevant, list):
        return {str(id_): 1.0 for id_ in relevant}
    raise InvalidInputError(
        f"{path}: 'relevant' of item {place} must be an id, a list of ids or grades by id, not {relevant!r}"
    )


def _llama_index(path: Path, value: dict[str, Any], group_by: str | None) -> LabelledQueries:
    passages = [Passage(id_, "", text) for id_, text in (value.get("corpus") or {}).items()]
    return LabelledQueries.of(
        path.stem,
        value["queries"],
        {query: dict.fromkeys(ids, 1.0) for query, ids in value["relevant_docs"].items()},
        group_by=group_by,
        read_corpus=partial(iter, passages) if passages else None,
    )
