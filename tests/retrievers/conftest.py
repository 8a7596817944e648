"""Retrievers small enough to read, and an embedding that counts."""

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import NodeWithScore, TextNode

from tests.words import WordHashEmbedding

TEXTS = {
    "cat": "a cat sat on the mat",
    "dog": "a dog ran in the park",
    "seoul": "서울은 대한민국의 수도이다",
    "busan": "부산은 항구 도시이다",
}


class CountingEmbedding(WordHashEmbedding):
    """Keeps the queries it is asked for."""

    asked: list[str] = Field(default_factory=list)

    def _get_query_embedding(self, query):
        self.asked.append(query)
        return super()._get_query_embedding(query)

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


class Fixed(BaseRetriever):
    """Returns the same hits to any question, and keeps the bundles it was given."""

    def __init__(self, *hits):
        super().__init__()
        self.hits = [NodeWithScore(node=TextNode(id_=i, text=i), score=s) for i, s in hits]
        self.bundles = []

    def _retrieve(self, query_bundle):
        self.bundles.append(query_bundle)
        return self.hits


class Failing(BaseRetriever):
    def _retrieve(self, query_bundle):
        raise ConnectionError("no route to host")


@pytest.fixture
def embedding():
    return CountingEmbedding()


@pytest.fixture
def nodes():
    return [TextNode(id_=name, text=text) for name, text in TEXTS.items()]


@pytest.fixture
def index(nodes, embedding):
    return VectorStoreIndex(nodes, embed_model=embedding)
