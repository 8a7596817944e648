"""What a model is trained on: labelled queries over a corpus."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["MINIMUM_QUERIES", "TrainingData", "same_text"]

MINIMUM_QUERIES = 10
"""With fewer there is nothing to learn from, and nothing to choose on."""


def same_text(text: str) -> str:
    """What two wordings have in common that differ in case and spaces only."""
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class TrainingData:
    """Queries, passages, and which passages answer which query.

    Attributes
    ----------
    queries : dict of id to text
    corpus : dict of id to text
        Every passage, also those that answer nothing: they are the negatives.
    qrels : dict of query id to (dict of passage id to grade)
        Above 0 is relevant. Queries that it does not judge are not used.

    Raises
    ------
    InvalidInputError
        Nothing is judged, or the judgements name what isn't there, or a text is blank.
    """

    queries: Mapping[str, str]
    corpus: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        strangers = [query for query in self.qrels if query not in self.queries]
        if strangers:
            raise InvalidInputError(
                f"qrels judge {len(strangers)} queries that aren't in queries, e.g. {strangers[0]!r}"
            )
        for query, passage in self.pairs():
            if passage not in self.corpus:
                raise InvalidInputError(
                    f"query {query!r} is answered by passage {passage!r}, which isn't in the corpus"
                )
            if not self.queries[query].strip() or not self.corpus[passage].strip():
                raise InvalidInputError(
                    f"query {query!r} or its passage {passage!r} has no text; leave the pair out"
                )

    def __len__(self) -> int:
        return len(self.qrels)

    def __repr__(self) -> str:
        pairs = sum(1 for _ in self.pairs())
        return f"TrainingData({len(self)} queries, {pairs} pairs, {len(self.corpus)} passages)"

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each query's id with the id of each passage that answers it."""
        for query, grades in self.qrels.items():
            for passage, grade in grades.items():
                if grade > 0:
                    yield query, passage

    def relevant(self, query: str) -> list[str]:
        """Ids of the passages that answer a query."""
        return [passage for passage, grade in self.qrels[query].items() if grade > 0]

    def grades(self, query: str) -> dict[Hashable, float]:
        """The judgements of one query, as measures take them."""
        return {passage: grade for passage, grade in self.qrels[query].items()}  # noqa: C416

    def only(self, queries: Iterable[str]) -> TrainingData:
        """The same corpus with fewer queries."""
        return TrainingData(
            self.queries, self.corpus, {query: self.qrels[query] for query in queries}
        )

    def check_enough(self) -> None:
        """Refuse too few queries to learn from.

        Raises
        ------
        InvalidInputError
        """
        usable = sum(bool(self.relevant(query)) for query in self.qrels)
        if usable < MINIMUM_QUERIES:
            raise InvalidInputError(
                f"{usable} queries with a relevant passage are too few to train on; give at least "
                f"{MINIMUM_QUERIES}, better some hundreds"
            )
