import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import MockLLM
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.vector_stores import ExactMatchFilter, MetadataFilters

from llamaindex_vecx import FlatVectorStore, hybrid_query_engine
from llamaindex_vecx.errors import InvalidInputError, UnsupportedError
from llamaindex_vecx.retrievers import HybridRetriever


class Backwards(BaseNodePostprocessor):
    seen: list = Field(default_factory=list)

    def _postprocess_nodes(self, nodes, query_bundle=None):
        self.seen.append([hit.node_id for hit in nodes])
        return nodes[::-1]


class Cutting(Backwards):
    top_n: int = 2

    def _postprocess_nodes(self, nodes, query_bundle=None):
        return super()._postprocess_nodes(nodes)[: self.top_n]


@pytest.fixture
def over_store(nodes, embedding):
    for node in nodes:
        node.metadata["lang"] = "ko" if not node.text.isascii() else "en"
    with FlatVectorStore() as store:
        index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
        index.insert_nodes(nodes)
        yield index


async def test_one_line(over_store):
    engine = hybrid_query_engine(over_store, similarity_top_k=3, llm=MockLLM())
    answer = engine.query("a cat sat")
    assert answer.source_nodes[0].node_id == "cat"
    assert len(answer.source_nodes) == 3
    assert "a cat sat on the mat" in str(answer)
    assert (await engine.aquery("a cat sat")).source_nodes == answer.source_nodes
    assert isinstance(engine.retriever, HybridRetriever)


def test_a_reranker_of_any_kind(over_store):
    for reranker in (Backwards(), Cutting()):
        engine = hybrid_query_engine(
            over_store, similarity_top_k=4, rerank_top_n=3, reranker=reranker, llm=MockLLM()
        )
        ranked = [hit.node_id for hit in engine.query("a cat sat").source_nodes]
        (seen,) = reranker.seen
        assert len(seen) == 4
        assert ranked == seen[::-1][:3]
    assert reranker.top_n == 2, "the caller's reranker stays as it was"


def test_the_stores_own_reranker(over_store):
    over_store.vector_store.reranker = Backwards()
    engine = hybrid_query_engine(over_store, similarity_top_k=4, rerank_top_n=1, llm=MockLLM())
    assert [hit.node_id for hit in engine.query("a cat sat").source_nodes] != ["cat"]


def test_options_of_retrieval_and_further_postprocessors(over_store):
    korean = MetadataFilters(filters=[ExactMatchFilter(key="lang", value="ko")])
    engine = hybrid_query_engine(
        over_store,
        filters=korean,
        method="max",
        group_by="lang",
        node_postprocessors=[SimilarityPostprocessor(similarity_cutoff=0.1)],
        llm=MockLLM(),
    )
    assert [hit.node_id for hit in engine.query("부산은 도시").source_nodes] == ["busan"]


def test_bad_arguments(over_store, index):
    with pytest.raises(InvalidInputError, match="model='/nowhere' is no folder"):
        hybrid_query_engine(over_store, rerank_top_n=3, reranker="/nowhere")
    with pytest.raises(InvalidInputError, match="rerank_top_n=0"):
        hybrid_query_engine(over_store, rerank_top_n=0, reranker=Backwards())
    with pytest.raises(InvalidInputError, match="index must be a VectorStoreIndex, not list"):
        hybrid_query_engine([])
    with pytest.raises(UnsupportedError, match="SimpleVectorStore keeps no text"):
        hybrid_query_engine(index)
