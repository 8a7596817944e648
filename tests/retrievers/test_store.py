import pytest
from llama_index.core import QueryBundle
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import (
    ExactMatchFilter,
    MetadataFilters,
    SimpleVectorStore,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQueryMode

from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError, UnsupportedError
from llamaindex_vecx.retrievers import HybridRetriever, StoreRetriever


class RecordingStore(BasePydanticVectorStore):
    """Answers every query with one node per mode and keeps the queries."""

    stores_text: bool = True
    queries: list = Field(default_factory=list)
    options: list = Field(default_factory=list)
    answer_without_nodes: bool = False

    @property
    def client(self):
        return None

    def add(self, nodes, **kwargs):
        raise NotImplementedError

    def delete(self, ref_doc_id, **kwargs):
        raise NotImplementedError

    def query(self, query, **kwargs):
        self.queries.append(query)
        self.options.append(kwargs)
        if self.answer_without_nodes:
            return VectorStoreQueryResult(ids=["a"], similarities=[1.0])
        nodes = [TextNode(id_=f"only-{query.mode.value}", text="x"), TextNode(id_="both", text="y")]
        return VectorStoreQueryResult(nodes=nodes, similarities=[0.5, 0.25], ids=None)


FILTERS = MetadataFilters(filters=[ExactMatchFilter(key="lang", value="ko")])


async def test_asks_as_it_was_told(embedding):
    store = RecordingStore()
    retriever = StoreRetriever(
        store,
        "mmr",
        embed_model=embedding,
        similarity_top_k=7,
        filters=FILTERS,
        doc_ids=["d1"],
        query_options={"mmr_threshold": 0.3},
        store_options={"ef_search": 99},
    )
    results = retriever.retrieve("cat")
    assert await retriever.aretrieve("cat") == results
    assert [(hit.node_id, hit.score) for hit in results] == [("only-mmr", 0.5), ("both", 0.25)]
    for query in store.queries:
        assert query.mode == VectorStoreQueryMode.MMR
        assert (query.similarity_top_k, query.doc_ids, query.mmr_threshold) == (7, ["d1"], 0.3)
        assert query.filters is FILTERS
        assert query.query_str == "cat"
        assert query.query_embedding == embedding.get_text_embedding("cat")
    assert store.options == [{"ef_search": 99}] * 2


@pytest.mark.parametrize("mode", ["text_search", "sparse"])
async def test_text_modes_embed_nothing(mode):
    store = RecordingStore()
    retriever = StoreRetriever(store, mode)  # without a model: Settings' default would need a key
    retriever.retrieve("고양이")
    await retriever.aretrieve("고양이")
    assert [query.query_embedding for query in store.queries] == [None, None]


def test_an_embedding_needs_no_text(embedding):
    store = RecordingStore()
    StoreRetriever(store, embed_model=embedding).retrieve(QueryBundle("", embedding=[1.0]))
    assert store.queries[0].query_embedding == [1.0]
    assert embedding.asked == []


@pytest.mark.parametrize("mode", ["default", "text_search"])
async def test_nothing_asked(mode, embedding):
    retriever = StoreRetriever(RecordingStore(), mode, embed_model=embedding)
    with pytest.raises(EmptyQueryError):
        retriever.retrieve(" ")
    with pytest.raises(EmptyQueryError):
        await retriever.aretrieve("")


def test_stores_that_cannot_return_nodes(embedding):
    with pytest.raises(UnsupportedError, match="SimpleVectorStore keeps no text"):
        StoreRetriever(SimpleVectorStore(), embed_model=embedding)
    store = RecordingStore(answer_without_nodes=True)
    with pytest.raises(UnsupportedError, match="ids without nodes"):
        StoreRetriever(store, embed_model=embedding).retrieve("cat")


def test_bad_arguments(embedding):
    with pytest.raises(InvalidInputError, match="similarity_top_k=0"):
        StoreRetriever(RecordingStore(), embed_model=embedding, similarity_top_k=0)
    with pytest.raises(ValueError, match="'nearest' is not a valid VectorStoreQueryMode"):
        StoreRetriever(RecordingStore(), "nearest", embed_model=embedding)


def test_hybrid_from_a_store(embedding):
    store = RecordingStore()
    hybrid = HybridRetriever.from_store(
        store,
        embedding,
        similarity_top_k=3,
        filters=FILTERS,
        doc_ids=["d"],
        weights={"dense": 2, "bm25": 1},
    )
    results = hybrid.retrieve("cat")
    assert [node.node_id for node in results] == ["both", "only-default", "only-text_search"]
    assert results[0].sources["bm25"].rank == 2
    assert {query.mode.value for query in store.queries} == {"default", "text_search"}
    for query in store.queries:
        assert (query.similarity_top_k, query.filters, query.doc_ids) == (50, FILTERS, ["d"])
    assert embedding.asked == ["cat"]


def test_pools_of_a_hybrid_from_a_store(embedding):
    store = RecordingStore()
    HybridRetriever.from_store(store, embedding, similarity_top_k=40).retrieve("cat")
    assert [query.similarity_top_k for query in store.queries] == [80, 80]
    store.queries.clear()
    HybridRetriever.from_store(store, embedding, dense_top_k=5, sparse_top_k=6).retrieve("cat")
    assert {query.mode.value: query.similarity_top_k for query in store.queries} == {
        "default": 5,
        "text_search": 6,
    }
