"""The stores inside LlamaIndex's own machinery."""

from __future__ import annotations

import json

import pytest
from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata, MockLLM
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.retrievers import RecursiveRetriever, VectorIndexAutoRetriever
from llama_index.core.schema import IndexNode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.types import MetadataInfo, VectorStoreInfo

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore

from ..words import WordHashEmbedding

DOCUMENTS = [
    Document(
        id_="whales", text="The whale is the largest animal of the sea.", metadata={"kind": "sea"}
    ),
    Document(
        id_="bread", text="Bread is made of flour, water and salt.", metadata={"kind": "food"}
    ),
    Document(
        id_="stars", text="A star is a ball of hot gas that shines.", metadata={"kind": "sky"}
    ),
]


@pytest.fixture(params=[HNSWVectorStore, FlatVectorStore])
def store(request, tmp_path):
    with request.param(path=tmp_path / "kb") as opened:
        yield opened


@pytest.fixture
def index(store):
    return VectorStoreIndex.from_documents(
        DOCUMENTS,
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=WordHashEmbedding(),
    )


def test_retrieve_by_an_index(index):
    (hit,) = index.as_retriever(similarity_top_k=1).retrieve("the largest whale")
    assert hit.node.ref_doc_id == "whales"
    assert hit.score > 0.3


@pytest.mark.parametrize("mode", ["default", "text_search", "sparse", "hybrid", "mmr"])
def test_every_mode_by_the_retriever(index, mode):
    hits = index.as_retriever(vector_store_query_mode=mode, similarity_top_k=2).retrieve(
        "bread flour"
    )
    assert hits[0].node.ref_doc_id == "bread"


async def test_retrieve_async(index):
    hits = await index.as_retriever(similarity_top_k=1).aretrieve("hot gas star")
    assert hits[0].node.ref_doc_id == "stars"


def test_filters_by_the_retriever(index):
    filters = MetadataFilters(filters=[MetadataFilter(key="kind", value="sky")])
    hits = index.as_retriever(filters=filters, similarity_top_k=3).retrieve("the largest whale")
    assert [hit.node.ref_doc_id for hit in hits] == ["stars"]


def test_an_index_over_a_store_that_is_there(store, index):
    again = VectorStoreIndex.from_vector_store(store, embed_model=WordHashEmbedding())
    assert (
        again.as_retriever(similarity_top_k=1).retrieve("bread made of")[0].node.ref_doc_id
        == "bread"
    )


def test_a_query_engine_answers(index):
    answer = index.as_query_engine(llm=MockLLM(), similarity_top_k=1).query("the largest whale")
    assert "whale" in answer.source_nodes[0].get_content()


def test_delete_ref_doc(store, index):
    index.delete_ref_doc("whales")
    assert len(store) == 2
    index.insert(DOCUMENTS[0])
    assert len(store) == 3


def test_ingestion_pipeline_upserts(store):
    pipeline = IngestionPipeline(
        transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), WordHashEmbedding()],
        vector_store=store,
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS,
    )
    assert len(pipeline.run(documents=DOCUMENTS)) == 3
    assert pipeline.run(documents=DOCUMENTS) == []
    changed = Document(id_="bread", text="Rye bread is dark.", metadata={"kind": "food"})
    assert len(pipeline.run(documents=[DOCUMENTS[0], changed])) == 1
    assert len(store) == 3
    texts = [found.get_content() for found in store.get_nodes()]
    assert "Rye bread is dark." in texts
    assert not any("flour" in text for text in texts)


def test_an_index_node_leads_on(store):
    embed = WordHashEmbedding()
    inner = VectorStoreIndex(
        [TextNode(text="the deep answer about whales")], embed_model=embed
    ).as_retriever()
    nodes = [IndexNode(text="everything about whales", index_id="inner"), TextNode(text="bread")]
    outer = VectorStoreIndex(
        nodes,
        storage_context=StorageContext.from_defaults(vector_store=store),
        embed_model=embed,
    ).as_retriever(similarity_top_k=1)
    recursive = RecursiveRetriever("root", retriever_dict={"root": outer, "inner": inner})
    assert recursive.retrieve("about whales")[0].get_content() == "the deep answer about whales"


class Scripted(CustomLLM):
    """An LLM that says what it was told to say."""

    says: str

    @property
    def metadata(self):
        return LLMMetadata()

    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text=self.says)

    def stream_complete(self, prompt, formatted=False, **kwargs):
        yield CompletionResponse(text=self.says)


def test_an_auto_retriever_filters_by_what_the_llm_chose(index):
    chosen = {
        "query": "the largest whale",
        "filters": [{"key": "kind", "value": "sky", "operator": "=="}],
        "top_k": 3,
    }
    retriever = VectorIndexAutoRetriever(
        index,
        vector_store_info=VectorStoreInfo(
            content_info="facts",
            metadata_info=[MetadataInfo(name="kind", type="str", description="sea, food or sky")],
        ),
        llm=Scripted(says=json.dumps(chosen)),
    )
    assert [hit.node.ref_doc_id for hit in retriever.retrieve("whales?")] == ["stars"]
