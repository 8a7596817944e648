"""The ``score_by`` of a document search: which clause it is, and the hits it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from llamaindex_vecx.pinecone_local.body import take_strings, take_text
from llamaindex_vecx.pinecone_local.data.lucene import parse_query
from llamaindex_vecx.pinecone_local.data.models import Models
from llamaindex_vecx.pinecone_local.data.namespace import Hits, Namespace
from llamaindex_vecx.pinecone_local.data.shape import Shape
from llamaindex_vecx.pinecone_local.data.textquery import Node, Words, any_of
from llamaindex_vecx.pinecone_local.data.values import read_dense, read_sparse
from llamaindex_vecx.pinecone_local.errors import invalid

__all__ = ["Scoring", "read_scoring"]

_Search = Callable[[Namespace, int, "BitMap | None"], Hits]
_TEXT = ("text", "query_string")
_ALONE = ("dense_vector", "sparse_vector", "embed", "sparse_embed")


@dataclass(frozen=True)
class Scoring:
    """How a search scores.

    Attributes
    ----------
    hits : (namespace, k, allowed) -> hits
    tokens : int or None
        How many tokens of the query were embedded.
    """

    hits: _Search
    tokens: int | None = None


def read_scoring(given: Sequence[Any] | None, shape: Shape, models: Models) -> Scoring:
    """The scoring from JSON.

    Raises
    ------
    ApiError
        400, naming the clause and the field.
    """
    if not given:
        raise invalid("score_by must be a non-empty array of clauses")
    if len(given) > 100:
        raise invalid(f"score_by takes at most 100 clauses, got {len(given)}")
    for clause in given:
        if not isinstance(clause, dict) or clause.get("type") not in _TEXT + _ALONE:
            raise invalid(
                f"the type of a score_by clause must be one of {', '.join(_TEXT + _ALONE)}"
            )
    if len(given) > 1 and any(clause["type"] in _ALONE for clause in given):
        raise invalid(
            "clauses of type 'text' and 'query_string' may be combined, but "
            f"{', '.join(_ALONE)} must stand alone"
        )
    clause = given[0]
    if clause["type"] in _TEXT:
        return _by_text(given, shape)
    field = _one_field(clause)
    if clause["type"] == "dense_vector":
        if field != shape.dense or shape.dimension is None:
            raise invalid(f"field '{field}' is no dense_vector field of this index")
        query = read_dense(clause.get("values"), shape.dimension, "Query vector")
        return Scoring(lambda namespace, k, allowed: namespace.nearest(query, k, allowed))
    if clause["type"] == "sparse_vector":
        if field != shape.sparse:
            raise invalid(f"field '{field}' is no sparse_vector field of this index")
        sparse = read_sparse(clause.get("sparse_values"), "Query sparse vector")
        return Scoring(lambda namespace, k, allowed: namespace.by_sparse(sparse, k, allowed))
    spec = shape.embedded.get(field, {})
    if clause["type"] not in spec:
        raise invalid(f"field '{field}' has no {clause['type']} configuration")
    text = _query(clause)
    vectors, tokens = models.embed(spec[clause["type"]]["model"], [text])
    return Scoring(lambda namespace, k, allowed: namespace.nearest(vectors[0], k, allowed), tokens)


def _by_text(clauses: Sequence[Mapping[str, Any]], shape: Shape) -> Scoring:
    nodes: list[Node] = []
    for clause in clauses:
        text = _query(clause)
        if clause["type"] == "query_string":
            nodes.append(parse_query(text, shape.texts))
            continue
        fields = take_strings(clause, "fields") or [take_text(clause, "field") or ""]
        for field in fields:
            if field not in shape.texts:
                raise invalid(f"field '{field}' is not declared with full_text_search")
            # word by word, so that a word is counted once however often the clauses say it
            nodes += [Words(field, word) for word in text.split()]
    query = any_of(nodes)
    return Scoring(lambda namespace, k, allowed: namespace.by_text(query, k, allowed))


def _query(clause: Mapping[str, Any]) -> str:
    text = take_text(clause, "query")
    if not text:
        raise invalid(f"a clause of type '{clause['type']}' needs a non-empty 'query'")
    return text


def _one_field(clause: Mapping[str, Any]) -> str:
    fields = take_strings(clause, "fields") or []
    field = take_text(clause, "field") or (fields[0] if len(fields) == 1 else None)
    if not field:
        raise invalid(f"a clause of type '{clause['type']}' needs exactly one field")
    return field
