import pytest
from llama_index.core import QueryBundle

from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError
from llamaindex_vecx.retrievers import FusedNode, HybridRetriever, SourceHit
from tests.retrievers.conftest import Failing, Fixed, by_id


def check_fused(results):
    largest = (1 / (60 + 1)) + (1 / (60 + 1))
    assert [node.node_id for node in results] == ["c", "a", "b", "d"]
    assert [node.score for node in results] == [
        pytest.approx(((1 / (60 + 3)) + (1 / (60 + 1))) / largest),
        pytest.approx((1 / (60 + 1)) / largest),
        pytest.approx((1 / (60 + 2)) / largest),
        pytest.approx((1 / (60 + 2)) / largest),
    ]
    assert all(isinstance(node, FusedNode) for node in results)
    assert results[0].sources == {
        "dense": SourceHit(rank=3, score=0.7),
        "bm25": SourceHit(rank=1, score=12.5),
    }
    assert results[3].sources == {"bm25": SourceHit(rank=2, score=3.0)}
    assert all(node.metadata == {} for node in results)


def test_fuses_by_rank(hybrid):
    check_fused(hybrid.retrieve("anything"))


async def test_fuses_by_rank_async(hybrid):
    check_fused(await hybrid.aretrieve("anything"))


def test_top_k(hybrid):
    hybrid.similarity_top_k = 2
    assert [node.node_id for node in hybrid.retrieve("anything")] == ["c", "a"]


@pytest.mark.parametrize("weights", [{"bm25": 3, "dense": 1}, [1, 3]])
def test_weights_by_name_or_order(hybrid, weights):
    weighted = HybridRetriever(hybrid.sources, weights=weights, k=10)
    results = by_id(weighted.retrieve("anything"))
    assert results["d"].score == pytest.approx((3 / (10 + 2)) / ((1 + 3) / (10 + 1)))
    assert results["a"].score == pytest.approx((1 / (10 + 1)) / ((1 + 3) / (10 + 1)))


def test_the_first_of_every_source_scores_one():
    results = HybridRetriever([Fixed(("a", 1.0)), Fixed(("a", 7.0))], weights=[0.3, 0.6]).retrieve(
        "q"
    )
    assert results[0].score == 1.0


def test_nodes_of_equal_text_stay_apart():
    left, right = Fixed(("a", 0.9)), Fixed(("b", 0.9))
    left.hits[0].node.text = right.hits[0].node.text = "the same"
    assert {node.node_id for node in HybridRetriever([left, right]).retrieve("q")} == {"a", "b"}


def test_what_sources_return_is_not_altered():
    source = Fixed(("a", 0.9), ("b", 0.8))
    before = [hit.model_dump() for hit in source.hits]
    result = HybridRetriever([source]).retrieve("q")[0]
    result.score = 99.0
    assert [hit.model_dump() for hit in source.hits] == before


def test_an_id_that_comes_twice_counts_where_it_comes_first():
    class Repeating(Fixed):
        def retrieve(self, bundle):
            return self.hits

    results = HybridRetriever({"r": Repeating(("a", 3.0), ("a", 2.0), ("b", 1.0))}).retrieve("q")
    assert [node.sources["r"] for node in results] == [
        SourceHit(rank=1, score=3.0),
        SourceHit(rank=2, score=1.0),
    ]


def test_scores_may_be_missing():
    assert HybridRetriever({"r": Fixed(("a", None))}).retrieve("q")[0].sources["r"].score is None


def test_nothing_found():
    assert HybridRetriever([Fixed(), Fixed()]).retrieve("q") == []


def test_names_of_a_sequence():
    hybrid = HybridRetriever([Fixed(), Failing(), Fixed(), Fixed()])
    assert list(hybrid.sources) == ["Fixed", "Failing", "Fixed_2", "Fixed_3"]


@pytest.mark.parametrize("text", ["", " \n"])
async def test_empty_text_raises(hybrid, text):
    with pytest.raises(EmptyQueryError):
        hybrid.retrieve(text)
    with pytest.raises(EmptyQueryError):
        await hybrid.aretrieve(QueryBundle(text, embedding=[1.0]))


@pytest.mark.parametrize(
    ("sources", "options", "message"),
    [
        ([], {}, "sources is empty"),
        ({"x": "no retriever"}, {}, "source 'x' must be a LlamaIndex retriever, not str"),
        ([Fixed()], {"similarity_top_k": 0}, "similarity_top_k=0"),
        ([Fixed()], {"k": -1}, "k=-1"),
        ([Fixed()], {"weights": [1, 2]}, "2 weights were given for 1 sources"),
        ([Fixed()], {"weights": [0]}, "not all 0"),
        ({"x": Fixed()}, {"weights": {"y": 1}}, r"weights name \['y'\], the sources are \['x'\]"),
        ([Fixed()], {"on_error": "ignore"}, "on_error='ignore'"),
    ],
)
def test_bad_arguments(sources, options, message):
    with pytest.raises(InvalidInputError, match=message):
        HybridRetriever(sources, **options)
