"""``group_by``: k groups, each by its best node, in every mode."""

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore
from llamaindex_vecx.collection.metadata import DOCUMENT_KEYS as FILTER_KEYS
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import reciprocal_rank_fusion
from llamaindex_vecx.groups import DOCUMENT_KEYS, group_of
from tests.words import WordHashEmbedding

DIM = 8
WORDS = ["whale", "captain", "sea", "storm", "bread", "서울", "다리", "별"]
DENSE_MODES = ["default", "mmr", "svm", "logistic_regression", "linear_regression"]
ALL_MODES = [*DENSE_MODES, "text_search", "sparse", "hybrid", "semantic_hybrid"]


class Reverse(BaseNodePostprocessor):
    def _postprocess_nodes(self, nodes, query_bundle=None):
        return nodes[::-1]


def make_nodes(documents=25, seed=0):
    """A document of 1 node, one of 2, …: the large ones crowd out the others."""
    draw = np.random.default_rng(seed)
    nodes = []
    for document in range(documents):
        centre = draw.normal(size=DIM)
        for part in range(1 + document):
            nodes.append(
                TextNode(
                    id_=f"d{document}-{part}",
                    text=" ".join(draw.choice(WORDS, 4)),
                    embedding=(centre + draw.normal(size=DIM) / 3).tolist(),
                    metadata={"shelf": document % 7, "tags": [document % 3]},
                    relationships={
                        NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc{document}")
                    },
                )
            )
    return nodes


NODES = make_nodes()
GROUPS = {node.node_id: node.ref_doc_id for node in NODES}
EMBEDDING = NODES[-1].embedding


@pytest.fixture(scope="module", params=[HNSWVectorStore, FlatVectorStore])
def store(request):
    with request.param() as store:
        store.add(NODES)
        store.reranker = Reverse()
        yield store


def ask(mode="default", k=10, **options):
    return VectorStoreQuery(
        query_embedding=EMBEDDING,
        query_str="whale sea 서울",
        similarity_top_k=k,
        mode=VectorStoreQueryMode(mode),
        **options,
    )


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("k", [1, 10, 25])
def test_filled_to_k_groups(store, mode, k):
    result = store.query(ask(mode, k), group_by="ref_doc_id")
    assert len(result.ids) == k
    assert len({GROUPS[id_] for id_ in result.ids}) == k
    if mode not in ("mmr", "semantic_hybrid"):
        assert result.similarities == sorted(result.similarities, reverse=True)


@pytest.mark.parametrize("mode", ["default", "text_search", "sparse"])
def test_each_group_by_its_best_node_in_the_order_of_all(store, mode):
    everything = store.query(ask(mode, len(NODES)))
    best = {}
    for id_, score in zip(everything.ids, everything.similarities, strict=True):
        best.setdefault(GROUPS[id_], (id_, score))
    result = store.query(ask(mode, 12), group_by="ref_doc_id")
    assert list(zip(result.ids, result.similarities, strict=True)) == list(best.values())[:12]


def test_more_groups_than_there_are(store):
    result = store.query(ask(k=100), group_by="ref_doc_id")
    assert len(result.ids) == 25
    assert len(store.query(ask(k=100), group_by="shelf").ids) == 7
    assert len(store.query(ask(k=100), group_by="tags").ids) == 3


def test_hybrid_fuses_by_group(store):
    """A document's best sentence by vector and its best by keyword are two nodes and one hit."""
    sides = {
        mode: store.query(ask(mode, 50), group_by="ref_doc_id").ids
        for mode in ("text_search", "default")
    }
    rankings = [[GROUPS[id_] for id_ in ids] for ids in sides.values()]
    expected = reciprocal_rank_fusion(rankings, normalize=True)[:10]
    result = store.query(ask("hybrid"), group_by="ref_doc_id")
    assert [GROUPS[id_] for id_ in result.ids] == [group for group, _ in expected]
    assert result.similarities == pytest.approx([score for _, score in expected])
    for id_, (group, _) in zip(result.ids, expected, strict=True):
        ranks = [ranking.index(group) for ranking in rankings]
        best = list(sides.values())[ranks.index(min(ranks))]
        assert id_ == best[min(ranks)], "the node is that of the side that ranks it higher"


def test_alpha_and_pools_with_groups(store):
    dense = store.query(ask("hybrid", alpha=1.0), group_by="ref_doc_id")
    assert dense.ids == store.query(ask("default"), group_by="ref_doc_id").ids
    few = store.query(ask("hybrid", k=4, hybrid_top_k=3, sparse_top_k=4), group_by="ref_doc_id")
    assert len(few.ids) == 3


@pytest.mark.parametrize("mode", ALL_MODES)
def test_only_what_is_allowed(store, mode):
    documents = ["doc3", "doc20", "doc24"]
    result = store.query(ask(mode, doc_ids=documents), group_by="ref_doc_id")
    assert sorted(GROUPS[id_] for id_ in result.ids) == sorted(documents)


def test_nodes_without_the_key_stand_for_themselves():
    with FlatVectorStore() as store:
        store.add(
            [
                TextNode(id_="a", text="x", embedding=[1.0, 0.0]),
                TextNode(id_="b", text="x", embedding=[0.9, 0.1], metadata={"lang": "ko"}),
                TextNode(id_="c", text="x", embedding=[0.8, 0.2], metadata={"lang": "ko"}),
                TextNode(id_="d", text="x", embedding=[0.7, 0.3], metadata={"lang": None}),
            ]
        )
        query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=5)
        assert store.query(query, group_by="lang").ids == ["a", "b", "d"]
        assert store.query(query, group_by="ref_doc_id").ids == ["a", "b", "c", "d"]


def test_what_counts_as_one_group():
    assert DOCUMENT_KEYS == FILTER_KEYS
    assert group_of("doc_id", {}, "d1", "n") == "d1"
    assert group_of("doc_id", {"doc_id": "own"}, "d1", "n") == "own"
    assert group_of("ref_doc_id", {}, None, "n") == (None, "n")
    assert group_of("tags", {"tags": ["ko", 1]}, "d1", "n") == '["ko", 1]'
    assert group_of("tags", {"tags": {"b": 1, "a": 2}}, "d1", "n") == '{"a": 2, "b": 1}'


async def test_through_an_index(store):
    index = VectorStoreIndex.from_vector_store(store, embed_model=WordHashEmbedding())
    retriever = index.as_retriever(
        similarity_top_k=9,
        vector_store_query_mode="text_search",
        vector_store_kwargs={"group_by": "ref_doc_id"},
    )
    for hits in (retriever.retrieve("whale"), await retriever.aretrieve("whale")):
        assert len({hit.node.ref_doc_id for hit in hits}) == 9


@pytest.mark.parametrize("bad", ["", 7, ["ref_doc_id"]])
def test_bad_keys(store, bad):
    with pytest.raises(InvalidInputError, match="group_by=.* must be the name of a metadata key"):
        store.query(ask(), group_by=bad)


def test_none_is_no_grouping(store):
    assert store.query(ask(), group_by=None).ids == store.query(ask()).ids
