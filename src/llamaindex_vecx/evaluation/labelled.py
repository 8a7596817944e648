"""Questions and which ids answer them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["LabelledQueries", "Passage", "named"]


class Passage(NamedTuple):
    """A document of a corpus."""

    id: str
    title: str
    text: str


def named(ids: Iterable[str], most: int = 5) -> str:
    """Some ids for a message: ``'a', 'b' and 7 more``."""
    known = list(ids)
    shown = ", ".join(repr(id_) for id_ in known[:most])
    return shown if len(known) <= most else f"{shown} and {len(known) - most} more"


@dataclass(frozen=True)
class LabelledQueries:
    """Queries with their judgements.

    Attributes
    ----------
    name : str
        Of the data, for tables.
    queries : mapping of query id to text
        Empty where only judgements are known: then runs can be measured, and nothing be asked.
    qrels : mapping of query id to (mapping of id to grade)
        Above 0 is relevant. Each query here has a relevant id.
    group_by : str or None
        What the ids name: nodes (None), documents (``"ref_doc_id"``), or values of a metadata key.
    unjudged : tuple of str
        Queries without a relevant id, which were left out.
    read_corpus : callable or None
        The documents that are searched, where the data brings them.
    """

    name: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, float]]
    group_by: str | None = None
    unjudged: tuple[str, ...] = ()
    read_corpus: Callable[[], Iterator[Passage]] | None = field(
        default=None, repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.qrels)

    def __repr__(self) -> str:
        return (
            f"LabelledQueries({self.name!r}, {len(self)} queries, "
            f"{len(self.relevant_ids())} relevant ids, group_by={self.group_by!r})"
        )

    @classmethod
    def of(
        cls,
        name: str,
        queries: Mapping[str, str],
        qrels: Mapping[str, Mapping[str, float]],
        *,
        group_by: str | None = None,
        read_corpus: Callable[[], Iterator[Passage]] | None = None,
    ) -> LabelledQueries:
        """Check the judgements, and set aside the queries that have no relevant id.

        Parameters
        ----------
        queries : mapping of query id to text
            May be empty. Those without judgements are set aside too.

        Raises
        ------
        InvalidInputError
            No query has a relevant id, a judged query has no text, or a grade is no number.
        """
        judged: dict[str, dict[str, float]] = {}
        for query, grades in qrels.items():
            for id_, grade in grades.items():
                if not isinstance(grade, (int, float)) or grade != grade:
                    raise InvalidInputError(
                        f"the grade of {id_!r} for query {query!r} must be a number, not {grade!r}"
                    )
            if any(grade > 0 for grade in grades.values()):
                judged[query] = dict(grades)
        unjudged = tuple(
            query for query in dict.fromkeys((*queries, *qrels)) if query not in judged
        )
        if not judged:
            raise InvalidInputError(
                f"{name} has no query with a relevant id (a grade above 0); "
                f"without judgements are {named(unjudged) or 'no queries: it is empty'}"
            )
        silent = [query for query in judged if queries and not queries.get(query, "").strip()]
        if silent:
            raise InvalidInputError(
                f"{name} judges {len(silent)} queries whose text is missing or blank: {named(silent)}"
            )
        texts = {query: queries[query] for query in judged} if queries else {}
        return cls(name, texts, judged, group_by, unjudged, read_corpus)

    def first(self, count: int) -> LabelledQueries:
        """The same with the first ``count`` queries alone."""
        some = list(self.qrels)[:count]
        return replace(
            self,
            qrels={query: self.qrels[query] for query in some},
            queries={query: self.queries[query] for query in some if query in self.queries},
        )

    def save(self, path: str | Path) -> None:
        """Write as a list of questions that :func:`load_labelled` reads; whole or not at all."""
        questions = [
            {"id": query, "question": self.queries.get(query, ""), "relevant": dict(grades)}
            for query, grades in self.qrels.items()
        ]
        file = Path(path)
        aside = file.with_name(file.name + ".part")
        value = {"group_by": self.group_by, "questions": questions}
        aside.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")
        os.replace(aside, file)

    def relevant_ids(self) -> list[str]:
        """Every relevant id, each once."""
        return list(
            dict.fromkeys(
                id_ for grades in self.qrels.values() for id_, grade in grades.items() if grade > 0
            )
        )
