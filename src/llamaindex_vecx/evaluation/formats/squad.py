"""SQuAD's layout, also KorQuAD's: a question's own paragraph is what answers it."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import LabelledQueries, Passage

__all__ = ["fits", "load", "paragraph_id"]


def fits(value: Any) -> bool:
    """Whether JSON is laid out like that."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("data"), list)
        and all(isinstance(article, dict) and "paragraphs" in article for article in value["data"])
    )


def paragraph_id(text: str) -> str:
    """The id of a paragraph, which the format has none for: a hash of its text."""
    return "p-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def load(path: Path, value: dict[str, Any], group_by: str | None) -> LabelledQueries:
    """Every question; equal paragraphs are one. Questions that are marked impossible are unjudged.

    Raises
    ------
    InvalidInputError
        A part is missing; the message names it.
    """
    corpus: dict[str, Passage] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, float]] = {}
    try:
        for article in value["data"]:
            for paragraph in article["paragraphs"]:
                text = paragraph["context"]
                id_ = paragraph_id(text)
                corpus.setdefault(id_, Passage(id_, article.get("title") or "", text))
                for asked in paragraph["qas"]:
                    query = str(asked["id"])
                    queries[query] = asked["question"]
                    if not asked.get("is_impossible"):
                        qrels[query] = {id_: 1.0}
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"{path} is not laid out as SQuAD: {error!r} is missing") from error
    return LabelledQueries.of(
        path.name.removesuffix(".gz").removesuffix(".json"),
        queries,
        qrels,
        group_by=group_by,
        read_corpus=partial(iter, list(corpus.values())),
    )
