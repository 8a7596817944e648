"""A hybrid retriever by every method: what it returns is what the method says."""

import pytest
from llama_index.core.vector_stores import ExactMatchFilter, MetadataFilters

from llamaindex_vecx.errors import InvalidInputError, UnsupportedError
from llamaindex_vecx.fusion import METHODS, fuse
from llamaindex_vecx.retrievers import HybridRetriever, SourceHit, StoreRetriever
from tests.retrievers.conftest import Fixed
from tests.retrievers.test_store import RecordingStore

DENSE = [("a", 0.9), ("b", 0.8), ("c", 0.7)]
BM25 = [("c", 12.5), ("d", 3.0), ("a", 2.0)]


@pytest.mark.parametrize("method", METHODS)
async def test_each_method(method):
    hybrid = HybridRetriever(
        {"dense": Fixed(*DENSE), "bm25": Fixed(*BM25)}, method=method, weights=[0.25, 0.75]
    )
    results = hybrid.retrieve("q")
    expected = fuse([DENSE, BM25], method, weights=[0.25, 0.75])
    assert [(hit.node_id, hit.score) for hit in results] == expected
    assert await hybrid.aretrieve("q") == results
    assert results[0].sources["bm25"] == SourceHit(rank=1, score=12.5)


@pytest.mark.parametrize("method", METHODS)
def test_scores_that_are_missing(method):
    sources = {"bare": Fixed(("a", None), ("b", None)), "bm25": Fixed(*BM25)}
    hybrid = HybridRetriever(sources, method=method)
    if METHODS[method].needs_scores:
        with pytest.raises(
            InvalidInputError, match="needs scores and source 'bare' gives node 'a'"
        ):
            hybrid.retrieve("q")
    else:
        assert {hit.node_id for hit in hybrid.retrieve("q")} == {"a", "b", "c", "d"}


def test_a_source_of_weight_zero_is_not_asked_and_the_other_is_passed_on():
    silent = Fixed(*DENSE)
    hybrid = HybridRetriever({"dense": silent, "bm25": Fixed(*BM25)}, weights=[0, 1])
    results = hybrid.retrieve("q")
    assert silent.bundles == []
    assert [(hit.node_id, hit.score) for hit in results] == BM25
    assert results[1].sources == {"bm25": SourceHit(rank=2, score=3.0)}


def test_repr_says_how_it_fuses():
    hybrid = HybridRetriever({"dense": Fixed(), "bm25": Fixed()}, weights=[0.5, 1], group_by="year")
    assert repr(hybrid) == (
        "HybridRetriever(dense 0.5, bm25 1; method='rrf', k=60, similarity_top_k=10, "
        "group_by='year')"
    )
    hybrid.use("max")
    assert "method='max', similarity" in repr(hybrid)


def test_bad_method():
    with pytest.raises(InvalidInputError, match="method='mean' must be one of 'rrf'"):
        HybridRetriever([Fixed()], method="mean")
    with pytest.raises(InvalidInputError, match="k=60 belongs to method 'rrf'"):
        HybridRetriever([Fixed()], method="isr", k=60)
    hybrid = HybridRetriever([Fixed()], k=7)
    with pytest.raises(InvalidInputError):
        hybrid.use("isr", weights=[0])
    assert (hybrid.method, hybrid.k, hybrid.weights) == ("rrf", 7, {"Fixed": 1.0})


# Filters

KOREAN = MetadataFilters(filters=[ExactMatchFilter(key="lang", value="ko")])
NEW = MetadataFilters(filters=[ExactMatchFilter(key="year", value=2024)])


def test_filters_reach_every_source(index, embedding):
    store = RecordingStore()
    own = StoreRetriever(store, "text_search", filters=NEW)
    plain = index.as_retriever()
    inner = HybridRetriever({"deep": StoreRetriever(store, "sparse")})
    hybrid = HybridRetriever({"own": own, "vector": plain, "inner": inner}, filters=KOREAN)
    assert hybrid.sources["vector"]._filters is KOREAN
    assert plain._filters is None, "the caller's retriever is left alone"
    hybrid.sources["own"].retrieve("q")
    hybrid.sources["inner"].retrieve("q")
    both, deep = store.queries
    assert both.filters.filters == [NEW, KOREAN]
    assert both.filters.condition == "and"
    assert deep.filters is KOREAN
    own.retrieve("q")
    assert store.queries[-1].filters is NEW


def test_with_filters_leaves_the_first_as_it_was(index):
    hybrid = HybridRetriever({"vector": index.as_retriever()}, weights=[3], similarity_top_k=2)
    restricted = hybrid.with_filters(KOREAN)
    assert hybrid.sources["vector"]._filters is None
    assert restricted.sources["vector"]._filters is KOREAN
    assert (restricted.weights, restricted.similarity_top_k) == ({"vector": 3.0}, 2)


def test_a_source_that_cannot_be_filtered_is_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"source 'fixed' \(Fixed\) can't be given filters"):
        HybridRetriever({"fixed": Fixed()}, filters=KOREAN)
