import pytest
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import ExactMatchFilter, MetadataFilters
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore, HybridRetriever

PASSAGES = {
    "cat": ("en", "the cat sat on the warm mat"),
    "dog": ("en", "a dog ran through the park after a cat"),
    "fish": ("en", "gold fish need clean water"),
    "seoul": ("ko", "서울은 대한민국의 수도이다"),
    "busan": ("ko", "부산은 대한민국의 항구 도시이다"),
    "gpt": ("ko", "GPT모델은 문장을 만든다"),
}


@pytest.fixture(params=[HNSWVectorStore, FlatVectorStore])
def store(request, embedding):
    with request.param() as store:
        store.add(
            [
                TextNode(
                    id_=name,
                    text=text,
                    metadata={"lang": lang},
                    embedding=embedding.get_text_embedding(text),
                    relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc-{lang}")},
                )
                for name, (lang, text) in PASSAGES.items()
            ]
        )
        yield store


def test_korean_and_english(store, embedding):
    hybrid = HybridRetriever.from_store(store, embedding, similarity_top_k=2)
    for question, answer in [
        ("대한민국 수도", "seoul"),
        ("gpt 모델", "gpt"),
        ("cats on the warm mat", "cat"),
    ]:
        best = hybrid.retrieve(question)[0]
        assert best.node_id == answer
        assert best.sources["bm25"].rank == 1
        assert best.node.get_content() == PASSAGES[answer][1]


def test_scores_are_those_of_the_stores_own_hybrid_mode(store, embedding):
    question = "the cat of 서울"
    hybrid = HybridRetriever.from_store(store, embedding).retrieve(question)
    native = store.query(
        VectorStoreQuery(
            query_str=question,
            query_embedding=embedding.get_query_embedding(question),
            mode=VectorStoreQueryMode.HYBRID,
            similarity_top_k=10,
        )
    )
    assert {node.node_id: node.score for node in hybrid} == pytest.approx(
        dict(zip(native.ids, native.similarities, strict=True))
    )


@pytest.mark.parametrize(
    "only",
    [
        {"filters": MetadataFilters(filters=[ExactMatchFilter(key="lang", value="ko")])},
        {"doc_ids": ["doc-ko"]},
    ],
)
async def test_filters_reach_both_sources(store, embedding, only):
    hybrid = HybridRetriever.from_store(store, embedding, **only)
    for results in (hybrid.retrieve("cat 도시"), await hybrid.aretrieve("cat 도시")):
        assert {node.node_id for node in results} == {"seoul", "busan", "gpt"}


def test_what_was_deleted_is_not_found(store, embedding):
    hybrid = HybridRetriever.from_store(store, embedding)
    store.delete_nodes(["seoul"])
    assert "seoul" not in {node.node_id for node in hybrid.retrieve("대한민국 수도")}


def test_a_query_of_stop_words_is_answered_by_the_dense_side(store, embedding):
    results = HybridRetriever.from_store(store, embedding).retrieve("to be or not to be")
    assert results
    assert {name for node in results for name in node.sources} == {"dense"}
