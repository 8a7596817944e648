"""Text queries as a tree of words, phrases and what must, may and must not match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyroaring import BitMap

from llamaindex_vecx.pinecone_local.data.fulltext import TextIndex

__all__ = ["Clauses", "Node", "Words", "any_of"]

Scores = dict[int, float]


@dataclass(frozen=True)
class Words:
    """Words in a field, any of them; as a phrase, all of them in this order.

    Attributes
    ----------
    field : str
    text : str
    phrase : bool
    boost : float
        The score is multiplied by it.
    """

    field: str
    text: str
    phrase: bool = False
    boost: float = 1.0

    def scores(self, texts: Mapping[str, TextIndex]) -> Scores:
        """Score by row."""
        index = texts[self.field]
        rows, scores = index.scores(self.text)
        found = dict(zip(rows.tolist(), (scores * self.boost).tolist(), strict=True))
        if self.phrase:
            matching = index.matching("$match_phrase", self.text)
            found = {row: score for row, score in found.items() if row in matching}
        return found


@dataclass(frozen=True)
class Clauses:
    """Clauses that must match, may match, and must not; each scores by the sum of what matched."""

    must: tuple[Node, ...] = ()
    should: tuple[Node, ...] = ()
    must_not: tuple[Node, ...] = ()

    def scores(self, texts: Mapping[str, TextIndex]) -> Scores:
        """Score by row. Nothing but clauses that must not match finds nothing, as in Lucene."""
        required = [node.scores(texts) for node in self.must]
        optional = [node.scores(texts) for node in self.should]
        if required:
            rows = BitMap.intersection(*(BitMap(scores) for scores in required))
        else:
            rows = BitMap.union(BitMap(), *(BitMap(scores) for scores in optional))
        for node in self.must_not:
            rows -= BitMap(node.scores(texts))
        parts = required + optional
        return {row: sum(scores.get(row, 0.0) for scores in parts) for row in rows}


Node = Words | Clauses


def any_of(nodes: Iterable[Node]) -> Clauses:
    """All nodes as clauses that may match, each counted once."""
    flat: dict[Node, None] = {}
    for node in nodes:
        if isinstance(node, Clauses) and not node.must and not node.must_not:
            flat.update(dict.fromkeys(any_of(node.should).should))
        else:
            flat[node] = None
    return Clauses(should=tuple(flat))
