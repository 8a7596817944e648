"""What each query mode returns and how it is scored."""

from __future__ import annotations

import numpy as np
import pytest
from llama_index.core.indices.query.embedding_utils import get_top_k_embeddings_learner
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore
from llama_index.core.vector_stores.types import VectorStoreQueryMode

from llamaindex_vecx.errors import UnsupportedError

from .library import IDS, library, near, node, on_circle, says


def hybrid(text: str, position: float, top_k: int = 3, mode: str = "hybrid", **settings):
    query = says(text, top_k, mode, **settings)
    query.query_embedding = on_circle(position)
    return query


@pytest.mark.needs("text_search")
@pytest.mark.parametrize("mode", ["text_search", "sparse"])
def test_text_search_returns_only_what_matches(filled, mode):
    result = filled.query(says("telescopes", 10, mode))
    assert sorted(result.ids) == ["b5", "b6"]
    assert all(score > 0 for score in result.similarities)
    assert result.similarities == sorted(result.similarities, reverse=True)
    assert filled.query(says("zebra", 10, mode)).ids == []


@pytest.mark.needs("text_search")
@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("김치 담그기", "b4"),
        ("한강에 있는 다리", "b3"),
        ("WHALES hunting", "b0"),
        ("서울 궁궐", "b3"),
    ],
)
def test_text_search_in_both_languages(filled, question, best):
    assert filled.query(says(question)).ids[0] == best


@pytest.mark.needs("text_search", "strict")
@pytest.mark.parametrize("question", ["", "   ", None])
@pytest.mark.parametrize("mode", ["text_search", "sparse", "hybrid", "semantic_hybrid"])
def test_an_empty_question_raises(filled, mode, question):
    if mode == "semantic_hybrid":
        filled.reranker = Reverse()
    with pytest.raises(ValueError, match="query_str"):
        filled.query(hybrid(question, 1, mode=mode))


@pytest.mark.needs("hybrid")
def test_hybrid_is_reciprocal_rank_fusion_over_its_largest_value(filled):
    """Dense at 0: b0, b1, b2, …; BM25 for "rain": b7 alone."""
    result = filled.query(hybrid("rain", 0, top_k=4))
    scores = dict(zip(result.ids, result.similarities, strict=True))
    largest = 1 / (60 + 1) + 1 / (60 + 1)
    dense_rank_of_b7 = 8
    assert result.ids[0] == "b7"
    np.testing.assert_allclose(scores["b7"], (1 / (60 + dense_rank_of_b7) + 1 / (60 + 1)) / largest)
    np.testing.assert_allclose(scores["b0"], (1 / (60 + 1)) / largest)
    np.testing.assert_allclose(scores["b1"], (1 / (60 + 2)) / largest)


@pytest.mark.needs("hybrid")
def test_alpha_weighs_scaled_scores(filled):
    dense_only = filled.query(hybrid("rain", 0, top_k=10, alpha=1.0))
    assert dense_only.ids == filled.query(near(0, top_k=10)).ids
    np.testing.assert_allclose(dense_only.similarities[0], 1.0)
    np.testing.assert_allclose(dense_only.similarities[-1], 0.0, atol=1e-6)
    text_only = filled.query(hybrid("telescope observatory", 0, top_k=1, alpha=0.0))
    assert text_only.ids == ["b6"]
    np.testing.assert_allclose(text_only.similarities, [1.0])


@pytest.mark.needs("hybrid", "strict")
@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_alpha_outside_zero_to_one_raises(filled, alpha):
    with pytest.raises(ValueError, match="alpha"):
        filled.query(hybrid("rain", 0, alpha=alpha))


@pytest.mark.needs("hybrid")
def test_pools_and_sizes_of_hybrid(filled):
    assert len(filled.query(hybrid("sea", 0, top_k=2)).ids) == 2
    assert len(filled.query(hybrid("sea", 0, top_k=4, hybrid_top_k=3)).ids) == 3
    wide = filled.query(hybrid("telescope", 0, top_k=1, sparse_top_k=1, hybrid_top_k=10))
    assert len(wide.ids) == 2, "one dense hit and one of BM25"


@pytest.mark.needs("hybrid")
def test_two_nodes_of_equal_text_stay_two(store):
    store.add(
        [
            node("one", "same words", vector=on_circle(1)),
            node("two", "same words", vector=on_circle(2)),
        ]
    )
    assert sorted(store.query(hybrid("same words", 1)).ids) == ["one", "two"]


@pytest.mark.needs("mmr")
def test_mmr_picks_by_the_threshold_of_the_query(store):
    store.add(
        [
            node("a", vector=[1.0, 0.1, 0, 0]),
            node("twin of a", vector=[1.0, 0.11, 0, 0]),
            node("other", vector=[1.0, -0.6, 0, 0]),
        ]
    )
    mode = VectorStoreQueryMode.MMR
    relevant = store.query(near(0, 2, mode=mode, mmr_threshold=1.0))
    assert relevant.ids == ["a", "twin of a"]
    diverse = store.query(near(0, 2, mode=mode, mmr_threshold=0.3))
    assert diverse.ids == ["a", "other"]
    assert store.query(near(0, 2, mode=mode), mmr_threshold=0.3).ids == ["a", "other"]
    np.testing.assert_allclose(diverse.similarities[1], 1 / np.sqrt(1.36), rtol=1e-5)


@pytest.mark.needs("mmr", "strict")
@pytest.mark.parametrize("threshold", [-0.5, 1.01])
def test_mmr_threshold_outside_zero_to_one_raises(filled, threshold):
    with pytest.raises(ValueError, match="mmr_threshold"):
        filled.query(near(0, mode=VectorStoreQueryMode.MMR, mmr_threshold=threshold))


@pytest.mark.needs("learners")
@pytest.mark.parametrize("mode", ["svm", "logistic_regression"])
def test_learners_rank_as_llama_index_does(filled, mode):
    pytest.importorskip("sklearn", reason="the learner modes need scikit-learn")
    mode = VectorStoreQueryMode(mode)
    embeddings = [member.embedding for member in library()]
    scores, ids = get_top_k_embeddings_learner(on_circle(4), embeddings, 3, IDS, mode)
    result = filled.query(near(4, 3, mode=mode))
    assert result.ids == ids
    np.testing.assert_allclose(result.similarities, scores, rtol=1e-3, atol=1e-3)


@pytest.mark.needs("learners")
def test_linear_regression_fits_the_query(filled):
    """LlamaIndex's own has no decision_function and fails. Here least squares ranks."""
    pytest.importorskip("sklearn", reason="the learner modes need scikit-learn")
    mode = VectorStoreQueryMode.LINEAR_REGRESSION
    result = filled.query(near(4, 10, mode=mode))
    features = np.array([on_circle(4), *[found.embedding for found in filled.get_nodes(IDS)]])
    design = np.hstack([features, np.ones((11, 1))])
    solution, *_ = np.linalg.lstsq(design, np.eye(11)[0], rcond=None)
    expected = dict(zip(IDS, (design @ solution)[1:], strict=True))
    assert sorted(result.ids) == IDS
    np.testing.assert_allclose(
        result.similarities, [expected[id_] for id_ in result.ids], atol=1e-5
    )
    assert result.similarities == sorted(result.similarities, reverse=True)


@pytest.mark.needs("learners")
def test_learners_on_an_empty_store(store):
    assert store.query(near(4, 3, mode=VectorStoreQueryMode.SVM)).ids == []


class Reverse(BaseNodePostprocessor):
    """Puts the last first, so that its work can be seen."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        assert query_bundle is not None
        return [
            NodeWithScore(node=hit.node, score=float(rank))
            for rank, hit in zip(range(len(nodes), 0, -1), reversed(nodes), strict=True)
        ]


@pytest.mark.needs("semantic_hybrid")
def test_semantic_hybrid_lets_the_reranker_order(filled):
    filled.reranker = Reverse()
    fused = filled.query(hybrid("telescope", 0, top_k=10))
    result = filled.query(hybrid("telescope", 0, top_k=3, mode="semantic_hybrid"))
    assert result.ids == fused.ids[::-1][:3]
    assert result.similarities == [10.0, 9.0, 8.0]


@pytest.mark.needs("semantic_hybrid")
def test_semantic_hybrid_without_a_reranker_raises(filled):
    with pytest.raises(UnsupportedError, match="reranker"):
        filled.query(hybrid("telescope", 0, mode="semantic_hybrid"))


@pytest.mark.needs("nodes", "text_search", "hybrid", "mmr")
@pytest.mark.parametrize("mode", ["default", "text_search", "hybrid", "mmr"])
def test_every_mode_brings_whole_nodes_that_belong_to_the_ids(filled, mode):
    result = filled.query(hybrid("captain", 0, mode=mode))
    assert [found.node_id for found in result.nodes] == result.ids
    assert all(found.text and found.metadata for found in result.nodes)
    assert set(result.ids) <= set(IDS)
