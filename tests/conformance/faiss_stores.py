"""FAISS stores for the suite, whose ten books of four dimensions train nothing.

So the indexes come trained on vectors of the same kind, and are really asked. ``PQ48`` can't cut four
dimensions into 48 parts: there zeros follow them, which changes no distance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryResult

from llamaindex_vecx import FaissVectorStore
from llamaindex_vecx.index.faiss.runtime import openmp

__all__ = ["trained", "untrained", "wide"]

Make = Callable[..., FaissVectorStore]
NARROW, WIDE = 4, 48


def untrained(factory: str) -> Make:
    def make(folder: Path, cls: Any = FaissVectorStore, **settings: object) -> FaissVectorStore:
        return cls(path=folder / "kb", durability="normal", factory=factory, **settings)

    return make


@cache
def ready(factory: str, dim: int, metric: str) -> Any:
    """An index trained on points of a circle and some around it."""
    import faiss

    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(dim, factory, kind)
    rng = np.random.default_rng(0)
    points = 0.1 * rng.standard_normal((600, dim)).astype(np.float32)
    angle = np.linspace(0, np.pi, len(points))
    points[:, 0] += np.cos(angle)
    points[:, 1] += np.sin(angle)
    if isinstance(index, faiss.IndexIVF):
        index.cp.min_points_per_centroid, index.cp.niter, index.nprobe = 1, 4, 256
    if hasattr(index, "pq"):
        index.pq.cp.min_points_per_centroid, index.pq.cp.niter = 1, 4
        index.do_polysemous_training = False
    with openmp(1):  # on busy cores OpenMP's threads wait for each other
        index.train(points)
    return index


def trained(factory: str, dim: int) -> Make:
    def make(
        folder: Path, cls: Any = FaissVectorStore, metric: str = "cosine", **settings: object
    ) -> FaissVectorStore:
        index = ready(factory, dim, metric)
        # Codes can't tell neighbours among 1500 on the circle apart: many are scored exactly.
        return cls(
            path=folder / "kb",
            durability="normal",
            faiss_index=index,
            metric=metric,
            k_factor=1500,
            dim=dim,
            **settings,
        )

    return make


def wide(make: Make) -> Make:
    return lambda folder, **settings: make(folder, Wide, **settings)


class Wide(FaissVectorStore):
    """Takes and returns vectors of four dimensions, and holds 48."""

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        return super().add([_with(node, _widened) for node in nodes], **kwargs)

    def get_nodes(self, *args: Any, **kwargs: Any) -> list[BaseNode]:
        return [_with(node, _narrowed) for node in super().get_nodes(*args, **kwargs)]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        settings = {**vars(query), "query_embedding": _widened(query.query_embedding)}
        result = super().query(VectorStoreQuery(**settings), **kwargs)
        result.nodes = [_with(node, _narrowed) for node in result.nodes or ()]
        return result


def _with(node: Any, change: Callable[[Any], Any]) -> Any:
    if not isinstance(node, BaseNode):
        return node
    copied = node.model_copy()
    copied.embedding = change(node.embedding)
    return copied


def _widened(vector: Any) -> Any:
    if isinstance(vector, list) and len(vector) == NARROW:
        return [*vector, *[0.0] * (WIDE - NARROW)]
    return vector


def _narrowed(vector: Any) -> Any:
    return vector if vector is None else vector[:NARROW]
