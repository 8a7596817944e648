"""What an index holds, read from its schema: which vectors, which texts, which metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DENSE", "SPARSE", "Shape", "shape_of"]

DENSE = "_values"
SPARSE = "_sparse_values"
"""The names under which the Vectors API's two vectors stand in a schema of 2026-07."""

_METRICS = {"cosine": "cosine", "dotproduct": "ip", "euclidean": "l2"}


@dataclass(frozen=True)
class Shape:
    """What every namespace of an index is made of.

    Attributes
    ----------
    kind : "vectors", "documents" or "model"
        Which data API serves it; "model" is an index with integrated embedding of 2025-10.
    dense, sparse : str or None
        The names of the two vectors' fields.
    dimension : int or None
        Of the dense vector.
    metric : "cosine", "dotproduct" or "euclidean"
    texts : dict
        Full-text fields and their resolved configurations.
    embedded : dict
        Fields that are embedded on the way in: name to ``{"embed": …, "sparse_embed": …}``.
    unstored : frozenset of str
        Embedded fields whose text is not kept.
    """

    kind: str
    dense: str | None
    sparse: str | None
    dimension: int | None
    metric: str
    texts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    embedded: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unstored: frozenset[str] = frozenset()

    @property
    def stored_metric(self) -> str:
        """The metric's name in a collection."""
        return _METRICS[self.metric] if self.dense else "ip"

    @property
    def vector_type(self) -> str:
        """As the control plane of 2025-10 says it."""
        return "dense" if self.dense or not self.sparse else "sparse"


def shape_of(kind: str, fields: Mapping[str, Mapping[str, Any]]) -> Shape:
    """The shape of an index from the resolved fields of its schema."""
    dense = sparse = dimension = None
    metric = "dotproduct"
    texts, embedded, unstored = {}, {}, set()
    for name, spec in fields.items():
        if spec["type"] == "dense_vector":
            dense, dimension, metric = name, spec["dimension"], spec["metric"]
        elif spec["type"] == "sparse_vector":
            sparse = name
        elif spec["type"] == "string":
            if spec.get("full_text_search") is not None:
                texts[name] = spec["full_text_search"]
            if spec.get("embed") is not None:
                dense = f"{name}#embed"
                dimension, metric = spec["embed"]["dimension"], spec["embed"]["metric"]
            if spec.get("sparse_embed") is not None:
                sparse = f"{name}#sparse_embed"
            if spec.get("embed") is not None or spec.get("sparse_embed") is not None:
                embedded[name] = spec
                if spec.get("store_text") is False:
                    unstored.add(name)
        elif spec["type"] == "semantic_text":
            embedded[name] = {"embed": spec}
            dense, dimension, metric = DENSE, spec["dimension"], spec["metric"]
    if kind == "vectors" and metric == "dotproduct":
        sparse = SPARSE  # such an index takes sparse values beside dense ones, declared or not
    return Shape(kind, dense, sparse, dimension, metric, texts, embedded, frozenset(unstored))
