"""One function for each query mode: what it returns and how it is scored.

``docs/stores.md`` ("Modes and scores") is the table these functions implement.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
from numpy.typing import NDArray
from pyroaring import BitMap

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError, MissingEmbeddingError
from llamaindex_vecx.fusion import fuse, pool_size
from llamaindex_vecx.fusion.saved import load_fusion
from llamaindex_vecx.metrics import as_metric
from llamaindex_vecx.stores.grouping import Best, Hits, Search, grouped, grouped_search
from llamaindex_vecx.stores.learners import LEARNERS, learned_scores
from llamaindex_vecx.stores.mmr import maximal_marginal_relevance

__all__ = ["MODES"]

_LEARNER_CANDIDATES = 10


def _embedding(query: VectorStoreQuery) -> list[float]:
    if query.query_embedding is None:
        raise MissingEmbeddingError(
            f"mode {VectorStoreQueryMode(query.mode).value!r} needs query_embedding; "
            "give one, or use mode 'text_search'"
        )
    return query.query_embedding


def _text(query: VectorStoreQuery) -> str:
    if not query.query_str or not query.query_str.strip():
        raise EmptyQueryError(
            f"mode {VectorStoreQueryMode(query.mode).value!r} searches text and query_str is "
            f"{query.query_str!r}; "
            "give the question, or use mode 'default'"
        )
    return query.query_str


def _pairs(rows: NDArray[np.int64], scores: NDArray[np.float32]) -> Hits:
    return rows.tolist(), scores.tolist()


def dense(
    collection: Collection,
    query: VectorStoreQuery,
    allowed: BitMap | None,
    params: Mapping[str, Any],
) -> Hits:
    """The nearest rows by the metric."""
    return _pairs(
        *collection.search(_embedding(query), query.similarity_top_k, allowed=allowed, **params)
    )


def text(
    collection: Collection,
    query: VectorStoreQuery,
    allowed: BitMap | None,
    params: Mapping[str, Any],
) -> Hits:
    """BM25 over the text."""
    return _pairs(*collection.search_text(_text(query), query.similarity_top_k, allowed=allowed))


def hybrid(
    collection: Collection,
    query: VectorStoreQuery,
    allowed: BitMap | None,
    params: Mapping[str, Any],
) -> Hits:
    """Dense and BM25 hits, fused.

    By a convex combination where ``alpha`` is given, else by the fusion that was fitted and saved with the
    collection, else by RRF.
    """
    if query.alpha is not None and not 0.0 <= query.alpha <= 1.0:
        raise InvalidInputError(
            f"alpha={query.alpha!r} must lie in [0, 1]: 1 is dense alone, 0 is BM25 alone"
        )
    _embedding(query)
    _text(query)
    if query.hybrid_top_k is None:
        top_k, dense_pool = query.similarity_top_k, pool_size(query.similarity_top_k)
    else:
        top_k, dense_pool = query.hybrid_top_k, query.similarity_top_k
    pools = {
        "bm25": query.sparse_top_k or pool_size(query.similarity_top_k),
        "dense": dense_pool,
    }
    settings = dict(params)
    group_by = settings.pop("group_by", None)

    def side(search: Search, pool: int, **params: Any) -> dict[Hashable, Best]:
        """What one side found, by row or by group."""
        wide = replace(query, similarity_top_k=pool)
        if group_by is not None:
            return grouped(search, collection, wide, allowed, params, group_by)
        rows, scores = search(collection, wide, allowed, params)
        return dict(zip(rows, zip(rows, scores, strict=True), strict=True))

    fusion = _fusion(collection, query, group_by)
    sides: dict[str, dict[Hashable, Best]] = {}
    # BM25 first: ties go to the first, and on SciFact's train claims that is worth a point of nDCG.
    if fusion["weights"]["bm25"]:
        sides["bm25"] = side(text, pools["bm25"])
    if fusion["weights"]["dense"]:
        sides["dense"] = side(dense, pools["dense"], **settings)
    fused = fuse(
        [[(key, score) for key, (_, score) in found.items()] for found in sides.values()],
        fusion["method"],
        k=fusion["k"],
        weights=[fusion["weights"][name] for name in sides],
        depths=[pools[name] for name in sides],
    )[:top_k]
    row_of = _best_rows(sides.values())
    return [row_of[key] for key, _ in fused], [score for _, score in fused]


def _fusion(
    collection: Collection, query: VectorStoreQuery, group_by: str | None
) -> dict[str, Any]:
    """Method, k and weights."""
    if query.alpha is not None:
        weights = {"bm25": 1.0 - query.alpha, "dense": query.alpha}
        return {"method": "min_max", "k": None, "weights": weights}
    fitted = load_fusion(collection, group_by)
    if fitted is not None:
        return fitted.settings
    return {"method": "rrf", "k": None, "weights": {"bm25": 1.0, "dense": 1.0}}


def _best_rows(sides: Iterable[Mapping[Hashable, Best]]) -> dict[Hashable, int]:
    """For each key the row by which the side that ranks it highest knows it."""
    ranked: dict[Hashable, tuple[int, int]] = {}
    for found in sides:
        for rank, (key, (row, _)) in enumerate(found.items()):
            if key not in ranked or rank < ranked[key][0]:
                ranked[key] = (rank, row)
    return {key: row for key, (_, row) in ranked.items()}


def mmr(
    collection: Collection,
    query: VectorStoreQuery,
    allowed: BitMap | None,
    params: Mapping[str, Any],
) -> Hits:
    """Maximal marginal relevance over the nearest candidates, scored by the metric."""
    settings = dict(params)
    asked = settings.pop("mmr_threshold", None)
    threshold = query.mmr_threshold if query.mmr_threshold is not None else asked
    threshold = 0.5 if threshold is None else threshold
    if not 0.0 <= threshold <= 1.0:
        raise InvalidInputError(
            f"mmr_threshold={threshold!r} must lie in [0, 1]: 1 is relevance alone, 0 diversity alone"
        )
    asked_pool = settings.pop("mmr_prefetch_k", None) or max(4 * query.similarity_top_k, 50)
    prefetch = max(asked_pool, query.similarity_top_k)
    rows, scores = collection.search(_embedding(query), prefetch, allowed=allowed, **settings)
    picked = maximal_marginal_relevance(
        scores,
        collection.vectors(rows),
        query.similarity_top_k,
        metric=as_metric(collection.metric),
        threshold=threshold,
    )
    return _pairs(rows[picked], scores[picked])


def learner(
    collection: Collection,
    query: VectorStoreQuery,
    allowed: BitMap | None,
    params: Mapping[str, Any],
) -> Hits:
    """The nearest candidates, ranked by a linear model fitted to tell the query from them."""
    embedding = _embedding(query)
    prefetch = max(_LEARNER_CANDIDATES * query.similarity_top_k, 100)
    rows, _ = collection.search(embedding, prefetch, allowed=allowed, **params)
    if not len(rows):
        return [], []
    scores = learned_scores(
        query.mode, np.asarray(embedding, dtype=np.float32), collection.vectors(rows)
    )
    best = np.argsort(-scores, kind="stable")[: query.similarity_top_k]
    return _pairs(rows[best], scores[best])


MODES: Mapping[VectorStoreQueryMode, Search] = {
    **{
        mode: partial(grouped_search, search)
        for mode, search in {
            VectorStoreQueryMode.DEFAULT: dense,
            VectorStoreQueryMode.TEXT_SEARCH: text,
            VectorStoreQueryMode.SPARSE: text,
            VectorStoreQueryMode.MMR: mmr,
            **dict.fromkeys(LEARNERS, learner),
        }.items()
    },
    VectorStoreQueryMode.HYBRID: hybrid,
    VectorStoreQueryMode.SEMANTIC_HYBRID: hybrid,
}
"""Each takes ``group_by`` among its parameters. ``semantic_hybrid`` is hybrid here; the store lets its
reranker order the nodes."""
