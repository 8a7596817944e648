"""``fit``: learned from labelled questions, kept with the collection, taken up at the next opening."""

import numpy as np
import pytest
from llama_index.core.bridge.pydantic import Field
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llamaindex_vecx import FlatVectorStore, HybridRetriever
from llamaindex_vecx.errors import FormatError, InvalidInputError, SourceError
from llamaindex_vecx.fusion import FittedFusion
from llamaindex_vecx.fusion.saved import forget_fusion, load_fusion
from tests.retrievers.conftest import Failing, Fixed
from tests.words import WordHashEmbedding

COUNT = 120


class Blind(WordHashEmbedding):
    """Vectors that have nothing to do with the text."""

    seeds: dict[str, int] = Field(default_factory=dict)

    def _embed(self, text):
        seed = self.seeds.setdefault(text, len(self.seeds))
        return np.random.default_rng(seed).standard_normal(8).tolist()


def facts():
    draw = np.random.default_rng(5)
    words = [f"word{number}" for number in range(60)]
    return [" ".join(draw.choice(words, 6, replace=False)) for _ in range(COUNT)]


TEXTS = facts()
QUERIES = {f"q{n}": " ".join(TEXTS[n].split()[:3]) for n in range(0, COUNT, 2)}
QRELS = {query: {f"n{query[1:]}": 1} for query in QUERIES}


def fill(store, embedding):
    store.add(
        [
            TextNode(
                id_=f"n{number}",
                text=text,
                embedding=embedding.get_text_embedding(text),
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"d{number // 2}")},
            )
            for number, text in enumerate(TEXTS)
        ]
    )


@pytest.fixture
def blind():
    return Blind()


def first(hybrid):
    return np.mean(
        [hybrid.retrieve(text)[0].node_id == f"n{query[1:]}" for query, text in QUERIES.items()]
    )


def test_a_blind_source_no_longer_ruins_and_reopening_knows(tmp_path, blind):
    with FlatVectorStore(path=tmp_path / "kb") as store:
        fill(store, blind)
        hybrid = HybridRetriever.from_store(store, blind)
        before = first(hybrid)
        fitted = hybrid.fit(QUERIES, QRELS)
        assert fitted.helped
        assert fitted.alone["bm25"] > 0.9 > 0.3 > fitted.alone["dense"]
        assert first(hybrid) > max(0.9, before)
        assert load_fusion(store.client) == fitted
    with FlatVectorStore(path=tmp_path / "kb") as store:
        again = HybridRetriever.from_store(store, blind)
        assert (again.method, again.k, again.weights) == (hybrid.method, hybrid.k, hybrid.weights)
        assert first(again) > 0.9
        chosen = HybridRetriever.from_store(store, blind, method="isr")
        assert (chosen.method, set(chosen.weights.values())) == ("isr", {1.0})
        question = QUERIES["q4"]
        query = VectorStoreQuery(
            query_str=question,
            query_embedding=blind.get_query_embedding(question),
            mode=VectorStoreQueryMode.HYBRID,
            similarity_top_k=10,
        )
        native = store.query(query)
        hits = again.retrieve(question)
        assert native.ids == [hit.node_id for hit in hits]
        one_call = HybridRetriever.from_store(store, blind, native=True)
        assert [hit.node_id for hit in one_call.retrieve(question)] == native.ids
        forget_fusion(store.client)
        assert HybridRetriever.from_store(store, blind).method == "rrf"
        assert store.query(query).ids != native.ids


def test_sequences_and_plain_ids(blind):
    with FlatVectorStore() as store:
        fill(store, blind)
        hybrid = HybridRetriever.from_store(store, blind)
        labels = [next(iter(grades)) for grades in QRELS.values()]
        one = hybrid.fit(list(QUERIES.values()), [[label] for label in labels])
        assert hybrid.fit(list(QUERIES.values()), labels) == one
        assert hybrid.fit(QUERIES, QRELS).alone == one.alone


def test_groups_have_a_fusion_of_their_own(blind):
    documents = {query: {f"d{int(query[1:]) // 2}"} for query in QUERIES}
    with FlatVectorStore() as store:
        fill(store, blind)
        hybrid = HybridRetriever.from_store(store, blind, group_by="ref_doc_id")
        fitted = hybrid.fit(QUERIES, documents)
        assert fitted.alone["bm25"] > 0.9
        assert load_fusion(store.client) is None
        assert load_fusion(store.client, "ref_doc_id") == fitted
        assert HybridRetriever.from_store(store, blind).method == "rrf"
        same = HybridRetriever.from_store(store, blind, group_by="ref_doc_id")
        assert same.weights == fitted.weights


def test_where_it_is_not_kept(tmp_path, blind):
    with FlatVectorStore(path=tmp_path / "kb") as store:
        fill(store, blind)
        HybridRetriever.from_store(store, blind).fit(QUERIES, QRELS, save=False)
        assert load_fusion(store.client) is None
    with FlatVectorStore(path=tmp_path / "kb", read_only=True) as reader:
        hybrid = HybridRetriever.from_store(reader, blind)
        assert hybrid.fit(QUERIES, QRELS).adopted
        assert hybrid.weights["bm25"] > 0.5
        with pytest.raises(OSError, match="read_only"):
            hybrid.fit(QUERIES, QRELS, save=True)


def test_any_retrievers_can_be_fitted():
    right = Fixed(("a", 5.0), ("b", 1.0))
    wrong = Fixed(("z", 0.9), ("b", 0.8), ("a", 0.1))
    hybrid = HybridRetriever({"wrong": wrong, "right": right})
    fitted = hybrid.fit([f"q{n}" for n in range(12)], ["a"] * 12)
    assert isinstance(fitted, FittedFusion)
    assert hybrid.retrieve("q")[0].node_id == "a"
    assert HybridRetriever({"wrong": wrong, "right": right}, **fitted.settings).weights == (
        hybrid.weights
    )
    with pytest.raises(InvalidInputError, match="save=True needs a retriever made by from_store"):
        hybrid.fit(["q"] * 12, ["a"] * 12, save=True)


def test_a_damaged_note_says_so(blind):
    with FlatVectorStore() as store:
        fill(store, blind)
        store.client.set_note("fusion", {"method": "newer"})
        with pytest.raises(FormatError, match="fit it again"):
            HybridRetriever.from_store(store, blind)


@pytest.mark.parametrize(
    ("queries", "qrels", "message"),
    [
        ({"q": "x"}, [["a"]], "both be mappings by query id"),
        (["x"], [["a"], ["b"]], "1 queries and 2 labels were given"),
        ({"q": "x"}, {"r": ["a"]}, "qrels judge 1 queries that aren't in queries, e.g. 'r'"),
        ({"q": " "}, {"q": ["a"]}, "query 'q' has no text"),
        ({"q": "x"}, {"q": 3}, "the label of query 'q' must be ids or grades"),
        ({"q": "x"}, {"q": ["a"]}, "1 labelled queries are too few"),
        (["x"] * 12, [["doc-a"]] * 12, "no source found any relevant id.*'doc-a'.*'a'"),
    ],
)
def test_labels_that_fit_nothing(queries, qrels, message):
    hybrid = HybridRetriever([Fixed(("a", 1.0))])
    with pytest.raises(InvalidInputError, match=message):
        hybrid.fit(queries, qrels)
    assert (hybrid.method, hybrid.k) == ("rrf", 60)


def test_a_failing_source_fails_the_fit():
    hybrid = HybridRetriever({"good": Fixed(("a", 1.0)), "bad": Failing()}, on_error="warn")
    with pytest.raises(SourceError, match="source 'bad' failed"):
        hybrid.fit(["q"] * 12, ["a"] * 12)
