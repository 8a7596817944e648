"""Ten books: the nodes every conformance test knows, and what filters find among them."""

from __future__ import annotations

import math
from typing import Any

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

BOOKS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("b0", "doc1", "The whale hunted the captain across the sea",
     {"year": 1851, "lang": "en", "tags": ["sea", "whale"], "price": 9.5}),
    ("b1", "doc1", "A captain and his crew sail into a storm",
     {"year": 1902, "lang": "en", "tags": ["sea", "storm"], "price": 12.0}),
    ("b2", "doc10", "Recipes for bread, butter and soup",
     {"year": 1999, "lang": "en", "tags": ["food"], "price": 20.25}),
    ("b3", "doc2", "서울의 궁궐과 한강의 다리를 걷는다",
     {"year": 2010, "lang": "ko", "tags": ["city", "walk"], "price": 15.0}),
    ("b4", "doc2", "김치와 된장을 담그는 법",
     {"year": 2015, "lang": "ko", "tags": ["food", "kimchi"]}),
    ("b5", "doc3", "Stars, planets and the telescope",
     {"year": 1980, "lang": "en", "tags": [], "price": 30.0}),
    ("b6", "doc3", "The telescope of the old observatory",
     {"year": 1985, "lang": "", "price": 0.0}),
    ("b7", "doc4", "Poems about rain",
     {"year": 1951, "lang": "en", "tags": ["poems"], "note": None}),
    ("b8", "doc5", "Gardens of the South",
     {"year": 2001, "lang": "EN", "tags": ["garden", "walk"], "price": 9.5}),
    ("b9", "doc6", "An atlas of rivers",
     {"lang": "de", "tags": ["river", "sea"], "price": 100}),
]  # fmt: skip

IDS = [book[0] for book in BOOKS]


def on_circle(position: float, total: int = 10) -> list[float]:
    """A unit vector: the book at ``position`` is nearest to itself, then to its neighbours."""
    angle = math.pi * position / total
    return [math.cos(angle), math.sin(angle), 0.0, 0.0]


def node(
    id_: str,
    text: str = "text",
    *,
    doc: str | None = None,
    vector: list[float] | None = None,
    **metadata: Any,
) -> TextNode:
    relationships = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=doc)} if doc else {}
    return TextNode(
        id_=id_,
        text=text,
        metadata=metadata,
        embedding=on_circle(0) if vector is None else vector,
        relationships=relationships,
    )


def library() -> list[TextNode]:
    return [
        node(id_, text, doc=doc, vector=on_circle(position), **metadata)
        for position, (id_, doc, text, metadata) in enumerate(BOOKS)
    ]


def near(position: float, top_k: int = 3, **settings: Any) -> VectorStoreQuery:
    """A dense query at a place on the circle."""
    return VectorStoreQuery(query_embedding=on_circle(position), similarity_top_k=top_k, **settings)


def says(text: str, top_k: int = 3, mode: str = "text_search", **settings: Any) -> VectorStoreQuery:
    return VectorStoreQuery(
        query_str=text, similarity_top_k=top_k, mode=VectorStoreQueryMode(mode), **settings
    )


def where(key: str, operator: str, value: Any) -> MetadataFilter:
    return MetadataFilter(key=key, value=value, operator=FilterOperator(operator))


def together(condition: str, *filters: MetadataFilter | MetadataFilters) -> MetadataFilters:
    return MetadataFilters(filters=list(filters), condition=FilterCondition(condition))


OPERATORS = [
    (where("lang", "==", "ko"), ["b3", "b4"]),
    (where("lang", "==", "nobody"), []),
    (where("year", "==", 1851), ["b0"]),
    (where("price", "==", 9.5), ["b0", "b8"]),
    (where("price", "==", 100.0), ["b9"]),
    (where("year", ">", 2001), ["b3", "b4"]),
    (where("year", ">=", 2001), ["b3", "b4", "b8"]),
    (where("year", "<", 1902), ["b0"]),
    (where("year", "<=", 1902), ["b0", "b1"]),
    (where("price", "<", 10), ["b0", "b6", "b8"]),
    (where("lang", ">", "en"), ["b3", "b4"]),
    (where("lang", "!=", "en"), ["b3", "b4", "b6", "b8", "b9"]),
    (where("lang", "!=", "e"), IDS),
    (where("year", "!=", 1851), [f"b{n}" for n in range(1, 10)]),
    (where("price", "!=", 9.5), ["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b9"]),
    (where("lang", "in", ["ko", "de"]), ["b3", "b4", "b9"]),
    (where("year", "in", [1980, 1985]), ["b5", "b6"]),
    (where("lang", "in", []), []),
    (where("lang", "nin", ["ko", "en"]), ["b6", "b8", "b9"]),
    (where("year", "nin", [1980, 1985]), ["b0", "b1", "b2", "b3", "b4", "b7", "b8", "b9"]),
    (where("tags", "any", ["sea", "walk"]), ["b0", "b1", "b3", "b8", "b9"]),
    (where("tags", "any", ["nowhere"]), []),
    (where("tags", "all", ["sea", "whale"]), ["b0"]),
    (where("tags", "contains", "walk"), ["b3", "b8"]),
    (where("lang", "text_match", "e"), ["b0", "b1", "b2", "b5", "b7", "b9"]),
    (where("lang", "text_match_insensitive", "EN"), ["b0", "b1", "b2", "b5", "b7", "b8"]),
    (where("note", "is_empty", None), IDS),
    (where("lang", "is_empty", None), ["b6"]),
    (where("tags", "is_empty", None), ["b5", "b6"]),
    (where("price", "is_empty", None), ["b4", "b7"]),
    (where("no such key", "==", 1), []),
    (where("no such key", "!=", 1), IDS),
]
"""A condition on each operator, and the books that match it."""
