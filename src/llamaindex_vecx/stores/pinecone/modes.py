"""One coroutine for each query mode: what it returns and how it is scored, as ``docs/stores.md`` says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llamaindex_vecx.errors import (
    EmptyQueryError,
    InvalidInputError,
    MissingEmbeddingError,
    UnsupportedError,
)
from llamaindex_vecx.fusion import convex_combination, pool_size, reciprocal_rank_fusion
from llamaindex_vecx.metrics import as_metric, check_vectors
from llamaindex_vecx.stores.learners import LEARNERS, learned_scores
from llamaindex_vecx.stores.mmr import maximal_marginal_relevance
from llamaindex_vecx.stores.pinecone.api import Ask
from llamaindex_vecx.stores.pinecone.limits import MAX_TOP_K
from llamaindex_vecx.stores.pinecone.records import Found
from llamaindex_vecx.stores.pinecone.sdk import IndexInfo
from llamaindex_vecx.stores.pinecone.search import Reader, Restriction
from llamaindex_vecx.text.sparse import BM25SparseEncoder

__all__ = ["MODES", "Search"]

_LEARNER_CANDIDATES = 10


@dataclass(frozen=True)
class Search:
    """One query of a store, checked as far as it can be before anything is sent."""

    reader: Reader
    info: IndexInfo
    encoder: BM25SparseEncoder | None
    normalize: bool
    query: VectorStoreQuery
    among: Restriction
    with_values: bool

    @property
    def mode(self) -> VectorStoreQueryMode:
        """The query's mode, also where it was given as a plain string."""
        return VectorStoreQueryMode(self.query.mode)

    def embedding(self) -> list[float]:
        """The query's embedding, as the index is asked with it."""
        mode, embedding = self.mode.value, self.query.query_embedding
        if embedding is None:
            raise MissingEmbeddingError(
                f"mode {mode!r} needs query_embedding; give one, or use mode 'text_search'"
            )
        if self.info.dense is None:
            raise UnsupportedError(
                f"index {self.info.name!r} holds sparse vectors alone, so mode {mode!r} can't be "
                "answered; use mode 'sparse', or an index with a dense vector field"
            )
        vector = check_vectors([embedding], dim=self.info.dim, argument="query_embedding")
        if self.normalize:
            vector = as_metric("cosine").prepare(vector)
        asked: list[float] = vector[0].tolist()
        return asked

    def keywords(self) -> Ask:
        """The query's text, as the index is asked with it: by its own text search if it has one."""
        mode, question = self.mode.value, self.query.query_str
        if not question or not question.strip():
            raise EmptyQueryError(
                f"mode {mode!r} searches text and query_str is {question!r}; "
                "give the question, or use mode 'default'"
            )
        sparse = self.encoder is not None and self.info.sparse is not None
        if self.info.texts and not sparse and mode != "sparse":
            return Ask(text=question)
        if self.encoder is None:
            raise UnsupportedError(
                f"mode {mode!r} needs a sparse_encoder=BM25SparseEncoder().fit(texts): index "
                f"{self.info.name!r} has no text search of its own for it"
            )
        if self.info.sparse is None:
            raise UnsupportedError(
                f"mode {mode!r} needs sparse vectors, and index {self.info.name!r} holds none "
                f"(metric {self.info.metric!r}); make one with create_if_missing(…, "
                "sparse_encoder=…)"
            )
        return Ask(sparse=self.encoder.encode_query(question))

    async def by_keywords(self, top_k: int) -> list[Found]:
        """The best by text; none where the question has no term."""
        ask = self.keywords()
        if ask.sparse is not None and not ask.sparse[0]:
            return []
        return await self.reader.search(
            ask, min(top_k, MAX_TOP_K), self.among, values=self.with_values
        )

    async def nearest(self, top_k: int, *, values: bool = False) -> list[Found]:
        """The nearest by the metric."""
        return await self.reader.search(
            Ask(dense=self.embedding()),
            min(top_k, MAX_TOP_K),
            self.among,
            values=values or self.with_values,
        )


async def dense(search: Search, params: Mapping[str, Any]) -> list[Found]:
    """The nearest by the metric."""
    return await search.nearest(search.query.similarity_top_k)


async def text(search: Search, params: Mapping[str, Any]) -> list[Found]:
    """BM25 over the text: the index's own text search, or sparse vectors."""
    return await search.by_keywords(search.query.similarity_top_k)


async def hybrid(search: Search, params: Mapping[str, Any]) -> list[Found]:
    """Dense and text hits, fused by RRF, or by a convex combination where ``alpha`` is given."""
    query = search.query
    if query.alpha is not None and not 0.0 <= query.alpha <= 1.0:
        raise InvalidInputError(
            f"alpha={query.alpha!r} must lie in [0, 1]: 1 is dense alone, 0 is BM25 alone"
        )
    search.embedding(), search.keywords()  # both are wrong before either is sent
    if query.hybrid_top_k is None:
        top_k, dense_pool = query.similarity_top_k, pool_size(query.similarity_top_k)
    else:
        top_k, dense_pool = query.hybrid_top_k, query.similarity_top_k
    sparse_pool = query.sparse_top_k or pool_size(query.similarity_top_k)
    reader = search.reader
    near, matching = await reader.port.gather(
        [lambda: search.nearest(dense_pool), lambda: search.by_keywords(sparse_pool)], 2
    )
    known = {one.id: one for one in (*matching, *near)}
    if query.alpha is None:
        # BM25 first, as in the local stores: ties go to the first
        fused = reciprocal_rank_fusion(
            [[one.id for one in matching], [one.id for one in near]], normalize=True
        )
    else:
        fused = convex_combination(
            [[(one.id, one.score) for one in near], [(one.id, one.score) for one in matching]],
            weights=[query.alpha, 1.0 - query.alpha],
        )
    for id_, score in fused[:top_k]:
        known[id_].score = score
    return [known[id_] for id_, _ in fused[:top_k]]


async def mmr(search: Search, params: Mapping[str, Any]) -> list[Found]:
    """Maximal marginal relevance over the nearest candidates, scored by the metric."""
    query = search.query
    asked = params.get("mmr_threshold")
    threshold = query.mmr_threshold if query.mmr_threshold is not None else asked
    threshold = 0.5 if threshold is None else threshold
    if not 0.0 <= threshold <= 1.0:
        raise InvalidInputError(
            f"mmr_threshold={threshold!r} must lie in [0, 1]: 1 is relevance alone, 0 diversity alone"
        )
    prefetch = params.get("mmr_prefetch_k") or max(4 * query.similarity_top_k, 50)
    found = [one for one in await search.nearest(prefetch, values=True) if one.values]
    if not found:
        return []
    picked = maximal_marginal_relevance(
        np.array([one.score for one in found], dtype=np.float32),
        np.array([one.values for one in found], dtype=np.float32),
        query.similarity_top_k,
        metric=as_metric(search.info.metric),
        threshold=threshold,
    )
    return [found[place] for place in picked.tolist()]


async def learner(search: Search, params: Mapping[str, Any]) -> list[Found]:
    """The nearest candidates, ranked by a linear model fitted to tell the query from them."""
    query = search.query
    prefetch = max(_LEARNER_CANDIDATES * query.similarity_top_k, 100)
    found = [one for one in await search.nearest(prefetch, values=True) if one.values]
    if not found:
        return []
    scores = learned_scores(
        search.mode,
        np.asarray(search.embedding(), dtype=np.float32),
        np.array([one.values for one in found], dtype=np.float32),
    )
    best = np.argsort(-scores, kind="stable")[: query.similarity_top_k]
    for place in best.tolist():
        found[place].score = float(scores[place])
    return [found[place] for place in best.tolist()]


MODES: dict[VectorStoreQueryMode, Callable[[Search, Mapping[str, Any]], Awaitable[list[Found]]]] = {
    VectorStoreQueryMode.DEFAULT: dense,
    VectorStoreQueryMode.TEXT_SEARCH: text,
    VectorStoreQueryMode.SPARSE: text,
    VectorStoreQueryMode.HYBRID: hybrid,
    VectorStoreQueryMode.SEMANTIC_HYBRID: hybrid,
    VectorStoreQueryMode.MMR: mmr,
    **dict.fromkeys(LEARNERS, learner),
}
"""``semantic_hybrid`` is hybrid here; the store lets its reranker order the nodes."""
