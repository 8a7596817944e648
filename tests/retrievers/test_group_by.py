"""``group_by`` over any retrievers: filled by deeper questions where one is too shallow."""

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from llamaindex_vecx import FlatVectorStore, HybridRetriever
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.retrievers import StoreRetriever
from tests.retrievers.conftest import Fixed


def part(document, number, text):
    return TextNode(
        id_=f"{document}.{number}",
        text=text,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)},
    )


@pytest.fixture
def sentences(embedding):
    """One long document whose every sentence matches, and ten short ones."""
    nodes = [part("long", number, f"cat mat number {number}") for number in range(40)]
    nodes += [part(f"short{number}", 0, f"cat and more words {number}") for number in range(10)]
    for node in nodes:
        node.embedding = embedding.get_text_embedding(node.text)
    return nodes


class Shallow(Fixed):
    """Returns ``similarity_top_k`` hits of a list, and counts how often it was asked."""

    def __init__(self, nodes, similarity_top_k):
        super().__init__()
        self.similarity_top_k = similarity_top_k
        self.nodes = nodes
        self.asked = []

    def _retrieve(self, query_bundle):
        self.asked.append(self.similarity_top_k)
        return [
            NodeWithScore(node=node, score=1.0 - place / 100)
            for place, node in enumerate(self.nodes[: self.similarity_top_k])
        ]


class AsyncShallow(Shallow):
    async def _aretrieve(self, query_bundle):
        return self._retrieve(query_bundle)


@pytest.mark.parametrize("kind", [Shallow, AsyncShallow])
async def test_a_shallow_source_is_asked_deeper_until_it_is_filled(kind, sentences):
    source = kind(sentences, 5)
    hybrid = HybridRetriever({"s": source}, similarity_top_k=5, group_by="ref_doc_id")
    for hits in (hybrid.retrieve("cat"), await hybrid.aretrieve("cat")):
        assert [hit.node_id for hit in hits] == ["long.0", *(f"short{n}.0" for n in range(4))]
    assert source.asked == [5, 20, 80] * 2
    assert source.similarity_top_k == 5, "the caller's retriever stays as it was"


def test_no_deeper_than_there_are_nodes(sentences):
    source = Shallow(sentences[:30], 5)
    hybrid = HybridRetriever({"s": source}, group_by="ref_doc_id")
    assert [hit.node_id for hit in hybrid.retrieve("cat")] == ["long.0"]
    assert source.asked == [5, 20, 80]


def test_a_source_whose_depth_is_unknown_is_asked_once(sentences):
    source = Fixed()
    source.hits = [NodeWithScore(node=node, score=0.5) for node in sentences]
    hits = HybridRetriever({"s": source}, group_by="ref_doc_id").retrieve("cat")
    assert len(hits) == 10
    assert len(source.bundles) == 1


def test_sources_that_know_a_document_by_other_nodes_agree_on_it(sentences):
    whole = TextNode(
        id_="whole-3",
        text="all of it",
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="short3")},
    )
    documents = Fixed()
    documents.hits = [NodeWithScore(node=whole, score=7.0)]
    hybrid = HybridRetriever(
        {"sentences": Shallow(sentences[40:], 10), "documents": documents}, group_by="ref_doc_id"
    )
    best = hybrid.retrieve("cat")[0]
    assert best.score == pytest.approx((1 / (60 + 4) + 1 / (60 + 1)) / (2 / (60 + 1)))
    assert best.node_id == "whole-3", "by the node that is ranked highest"
    assert best.sources["documents"].node_id is None
    assert best.sources["sentences"].node_id == "short3.0"


@pytest.mark.parametrize("native", [False, True])
async def test_over_our_store(sentences, embedding, native):
    with FlatVectorStore() as store:
        store.add(sentences)
        hybrid = HybridRetriever.from_store(
            store, embedding, similarity_top_k=8, group_by="ref_doc_id", native=native
        )
        for hits in (hybrid.retrieve("cat mat"), await hybrid.aretrieve("cat mat")):
            assert len({hit.node.ref_doc_id for hit in hits}) == len(hits) == 8
            assert hits[0].node.ref_doc_id == "long"


def test_over_llamaindexs_own_retriever(sentences, embedding):
    index = VectorStoreIndex(sentences, embed_model=embedding)
    source = index.as_retriever(similarity_top_k=3)
    hybrid = HybridRetriever([source], group_by="ref_doc_id")
    assert len({hit.node.ref_doc_id for hit in hybrid.retrieve("cat mat number")}) == 3
    assert source.similarity_top_k == 3


def test_bad_key(embedding):
    with pytest.raises(InvalidInputError, match="group_by=''"):
        HybridRetriever([Fixed()], group_by="")


def test_depth_of_a_store_retriever(sentences, embedding):
    with FlatVectorStore() as store:
        store.add(sentences)
        retriever = StoreRetriever(store, "text_search", similarity_top_k=3)
        retriever.similarity_top_k = 4
        assert len(retriever.retrieve("cat")) == 4
        with pytest.raises(InvalidInputError, match="similarity_top_k=0"):
            retriever.similarity_top_k = 0
