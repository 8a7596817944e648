"""Runs: what was found for each query, in which order, and as TREC's files hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["Found", "Run", "as_ranking", "order_scores", "read_run", "write_run"]

Found: TypeAlias = Mapping[str, float] | Sequence[str]
"""What was found for one query: scores by id, or ids, best first."""

Run: TypeAlias = Mapping[str, Found]
"""By query id."""


def order_scores(scores: Mapping[str, float]) -> list[str]:
    """Ids by score as trec_eval orders them.

    trec_eval keeps scores as 32-bit floats and breaks ties by id, descending. Both are followed here, so
    that a run has the same ranks, and the same measures, as there.

    Raises
    ------
    InvalidInputError
        A score is not a number.
    """
    single: dict[str, float] = {}
    for id_, score in scores.items():
        value = float(np.float32(score))
        if value != value:
            raise InvalidInputError(f"the score of {id_!r} is {score!r}, which has no place")
        single[id_] = value
    return sorted(single, key=lambda id_: (single[id_], id_), reverse=True)


def as_ranking(query: str, found: Found) -> list[str]:
    """The ids of one query, best first: scores are ordered, a sequence is taken as it is.

    Raises
    ------
    InvalidInputError
        An id stands twice in a sequence, or a score is not a number.
    """
    if isinstance(found, Mapping):
        return order_scores(found)
    ids = list(found)
    if len(set(ids)) < len(ids):
        twice = next(id_ for id_ in ids if ids.count(id_) > 1)
        raise InvalidInputError(f"the ranking of query {query!r} holds {twice!r} twice")
    return ids


def read_run(path: str | Path) -> dict[str, dict[str, float]]:
    """A run in TREC's format: ``query Q0 document rank score tag`` on each line.

    The rank is not looked at, as in trec_eval: scores order a run.

    Raises
    ------
    InvalidInputError
        The file is missing, empty or of another format; the message names the line.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInputError(f"there is no run {file}")
    run: dict[str, dict[str, float]] = {}
    for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
        parts = line.split()
        if not parts:
            continue
        try:
            query, _, document, _, score, *_ = parts
            value = float(score)
        except ValueError as error:
            raise InvalidInputError(
                f"{file}:{number} is no line of a run (query Q0 document rank score tag): {line!r}"
            ) from error
        found = run.setdefault(query, {})
        if document in found:
            raise InvalidInputError(f"{file}:{number} names {document!r} twice for query {query!r}")
        found[document] = value
    if not run:
        raise InvalidInputError(f"{file} is empty: nothing was found for any query")
    return run


def write_run(path: str | Path, run: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> None:
    """Write a run in TREC's format, best first.

    Where scores tie, or aren't in the order of the ids, trec_eval would order anew: then the score that
    is written is one over the rank.

    Raises
    ------
    InvalidInputError
        An id holds white space, which the format can't.
    """
    lines = []
    for query, hits in run.items():
        ids = [id_ for id_, _ in hits]
        spaced = next((text for text in (query, *ids) if not text or text.split() != [text]), None)
        if spaced is not None:
            raise InvalidInputError(
                f"id {spaced!r} can't be written: TREC's ids hold no white space"
            )
        faithful = order_scores(dict(hits)) == ids
        for rank, (id_, score) in enumerate(hits, start=1):
            value = score if faithful else 1 / rank
            lines.append(f"{query} Q0 {id_} {rank} {value!r} {tag}\n")
    Path(path).write_text("".join(lines), "utf-8")
