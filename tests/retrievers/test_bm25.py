import asyncio
import copy
import threading

import pytest
import rank_bm25
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from llamaindex_vecx import BM25Retriever, HybridRetriever
from llamaindex_vecx.errors import (
    DamagedSnapshotError,
    DuplicateIdError,
    EmptyQueryError,
    FilterError,
    InvalidInputError,
    NotACollectionError,
    SerializationError,
)
from llamaindex_vecx.text import register_tokenizer


def node(id_, text, ref=None, **metadata):
    made = TextNode(id_=id_, text=text, metadata=metadata)
    if ref is not None:
        made.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=ref)
    return made


NODES = [
    node(
        "tea",
        "Green tea is heated soon after picking.",
        "drinks",
        title="Tea",
        year=1990,
        tags=["hot"],
    ),
    node("coffee", "Coffee beans are roasted, then ground.", "drinks", title="Coffee", year=2001),
    node(
        "학교",
        "학교에서 차를 마셨다. 녹차였다.",
        "korea",
        title="차",
        year=2010,
        tags=["hot", "ko"],
    ),
    node("beans", "Beans are eaten everywhere.", "food", title="Green beans", year=2020),
]


def ids(hits):
    return [hit.node_id for hit in hits]


def where(key, operator, value):
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])


@pytest.fixture
def retriever():
    return BM25Retriever(NODES)


def test_finds_only_what_matches_best_first(retriever):
    hits = retriever.retrieve("green beans eaten everywhere")
    assert set(ids(hits)) == {"tea", "coffee", "beans"}
    assert ids(hits)[0] == "beans"
    assert all(type(hit.score) is float for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert ids(retriever.retrieve("녹차")) == ["학교"]
    assert retriever.retrieve("nothing of that") == []


def test_nodes_come_back_as_they_were(retriever):
    hit = retriever.retrieve("picking")[0]
    assert hit.node == NODES[0]
    assert hit.node is not NODES[0]
    hit.node.metadata["title"] = "changed"
    assert retriever.retrieve("picking")[0].node.metadata["title"] == "Tea"


def test_what_is_given_is_not_altered():
    given = copy.deepcopy(NODES)
    BM25Retriever(given).retrieve("tea")
    assert given == NODES


@pytest.mark.parametrize("query", ["", "  \n"])
def test_an_empty_query_raises(retriever, query):
    with pytest.raises(EmptyQueryError):
        retriever.retrieve(query)
    with pytest.raises(EmptyQueryError):
        asyncio.run(retriever.aretrieve(query))


def test_an_empty_retriever_finds_nothing_and_takes_nodes():
    empty = BM25Retriever()
    assert empty.retrieve("tea") == []
    assert empty.add(NODES[:1]) == ["tea"]
    assert ids(empty.retrieve("tea")) == ["tea"]


def test_docstore_and_exactly_one_source():
    docstore = SimpleDocumentStore()
    docstore.add_documents(NODES)
    assert len(BM25Retriever.from_defaults(docstore=docstore)) == 4
    assert len(BM25Retriever.from_defaults(nodes=[])) == 0
    with pytest.raises(InvalidInputError, match="2 of nodes"):
        BM25Retriever.from_defaults(nodes=NODES, docstore=docstore)
    with pytest.raises(InvalidInputError, match="0 of nodes"):
        BM25Retriever.from_defaults()


def test_adding_an_id_again_replaces_its_node(retriever):
    retriever.add([node("tea", "Matcha.", "drinks")])
    assert len(retriever) == 4
    assert ids(retriever.retrieve("picking")) == []
    assert ids(retriever.retrieve("matcha")) == ["tea"]


def test_delete_by_document_id_and_filter(retriever):
    assert retriever.delete("drink") == 0
    assert retriever.delete("drinks") == 2
    assert ids(retriever.retrieve("beans tea")) == ["beans"]
    assert retriever.delete_nodes(["beans", "unknown"]) == 1
    assert retriever.delete_nodes([]) == 0
    assert retriever.delete_nodes(filters=where("year", FilterOperator.GT, 2009)) == 1
    assert len(retriever) == 0
    with pytest.raises(InvalidInputError, match="needs node_ids or filters"):
        retriever.delete_nodes()
    with pytest.raises(InvalidInputError, match="write"):
        retriever.delete_nodes("tea")


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        (FilterOperator.EQ, "year", 1990),
        (FilterOperator.NE, "year", 1990),
        (FilterOperator.GT, "year", 2001),
        (FilterOperator.GTE, "year", 2001),
        (FilterOperator.LT, "year", 2001),
        (FilterOperator.LTE, "year", 2001),
        (FilterOperator.IN, "title", ["Tea", "차"]),
        (FilterOperator.NIN, "title", ["Tea", "차"]),
        (FilterOperator.ANY, "tags", ["ko"]),
        (FilterOperator.ALL, "tags", ["ko", "hot"]),
        (FilterOperator.CONTAINS, "tags", "hot"),
        (FilterOperator.TEXT_MATCH, "title", "bean"),
        (FilterOperator.TEXT_MATCH_INSENSITIVE, "title", "GREEN"),
        (FilterOperator.IS_EMPTY, "tags", None),
    ],
)
def test_filters_as_llama_index_means_them(operator, key, value):
    filters = where(key, operator, value)
    by_id = {one.node_id: one.metadata for one in NODES}
    matches = build_metadata_filter_fn(by_id.__getitem__, filters)
    wanted = {id_ for id_ in by_id if matches(id_)}
    found = BM25Retriever(NODES, filters=filters).retrieve("green tea coffee beans 녹차")
    assert set(ids(found)) == wanted


def test_with_filters_adds_to_its_own_and_shares_the_nodes(retriever):
    late = retriever.with_filters(where("year", FilterOperator.GT, 2000))
    both = late.with_filters(where("title", FilterOperator.NE, "Coffee"))
    assert set(ids(late.retrieve("beans"))) == {"coffee", "beans"}
    assert ids(both.retrieve("beans")) == ["beans"]
    assert set(ids(retriever.retrieve("beans tea"))) == {"coffee", "beans", "tea"}
    retriever.delete_nodes(["beans"])
    assert both.retrieve("beans") == []
    nothing = retriever.with_filters(
        MetadataFilters(
            filters=[MetadataFilter(key="year", value=1)], condition=FilterCondition.AND
        )
    )
    assert nothing.retrieve("tea") == []


def test_field_boosts():
    flat = BM25Retriever(NODES, fields={"title": 1, "text": 1})
    boosted = BM25Retriever(NODES, fields={"title": 5, "text": 1})
    assert ids(flat.retrieve("green"))[0] == ids(boosted.retrieve("green"))[0] == "beans"
    ratio = lambda hits: hits[0].score / hits[1].score  # noqa: E731
    assert ratio(boosted.retrieve("green")) > ratio(flat.retrieve("green"))
    assert ids(BM25Retriever(NODES, fields={"tags": 1}).retrieve("hot ko")) == ["학교", "tea"]
    assert BM25Retriever(NODES, fields={"title": 1}).retrieve("picking") == []


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"similarity_top_k": 0}, InvalidInputError, "similarity_top_k=0"),
        ({"variant": "bm26"}, InvalidInputError, "unknown; choose one of"),
        ({"delta": -1.0}, InvalidInputError, "delta=-1.0"),
        ({"tokenizer": "nonsense"}, InvalidInputError, "tokenizer='nonsense' is unknown"),
        (
            {"fields": {"title": 1.5}},
            InvalidInputError,
            r"fields\['title'\]=1.5 must be a whole number",
        ),
        ({"filters": where("a", FilterOperator.IN, "x")}, FilterError, "takes a list"),
        ({"nodes": NODES[0]}, InvalidInputError, "write \\[node\\]"),
        ({"nodes": ["text"]}, InvalidInputError, "must hold LlamaIndex nodes, not str"),
        ({"nodes": [NODES[0], NODES[0]]}, DuplicateIdError, "'tea'"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        BM25Retriever(**options)


def test_a_refused_batch_changes_nothing(retriever):
    before = retriever.retrieve("tea beans")
    with pytest.raises(SerializationError):
        retriever.add([node("tea", "x"), node("new", "tea", thing={1: 2})])
    assert retriever.retrieve("tea beans") == before


def test_a_tokenizer_that_fails_changes_nothing():
    def tokens(text):
        if "poison" in text:
            raise ValueError("poison")
        return text.split()

    register_tokenizer("fails-on-poison", tokens)
    small = BM25Retriever([node("a", "one two"), node("b", "two")], tokenizer="fails-on-poison")
    with pytest.raises(ValueError, match="poison"):
        small.add([node("a", "three"), node("c", "poison")])
    assert len(small) == 2
    assert ids(small.retrieve("one")) == ["a"]
    assert small.retrieve("three") == []
    small.add([node("a", "three")])
    assert ids(small.retrieve("three")) == ["a"]


def test_persist_and_reopen(tmp_path):
    first = BM25Retriever(NODES, variant="plus", k1=1.1, fields={"title": 2, "text": 1})
    first.delete_nodes(["coffee"])
    (tmp_path / "other.json").write_text("{}")
    first.persist(tmp_path)
    first.persist(tmp_path)  # in the place of what is there
    again = BM25Retriever.from_persist_dir(tmp_path, similarity_top_k=2)
    assert (tmp_path / "other.json").exists()
    assert again.retrieve("green 차") == first.retrieve("green 차")[:2]
    assert repr(again).startswith("BM25Retriever(nodes=3, similarity_top_k=2, variant='plus'")
    again.add([node("new", "White tea."), node("tea", "Black.")])
    assert again.delete("korea") == 1
    again.persist(tmp_path)
    third = BM25Retriever.from_persist_dir(tmp_path)
    assert set(ids(third.retrieve("tea black green"))) == {"new", "tea", "beans"}
    assert third.retrieve("black")[0].node.text == "Black."


@pytest.mark.parametrize(
    "part", ["nodes/nodes.npy", "nodes/manifest.json", "text/rows.npy", "metadata/rows.npy"]
)
@pytest.mark.parametrize("damage", ["cut", "gone", "altered"])
def test_a_damaged_file_is_named(tmp_path, part, damage):
    BM25Retriever(NODES).persist(tmp_path)
    file = tmp_path / "bm25_retriever" / part
    body = bytearray(file.read_bytes())
    if damage == "gone":
        file.unlink()
    else:
        body[-2] ^= 0xFF
        file.write_bytes(body if damage == "altered" else body[:-3])
    with pytest.raises(DamagedSnapshotError, match=str(file)):
        BM25Retriever.from_persist_dir(tmp_path)


def test_parts_that_do_not_belong_together(tmp_path):
    BM25Retriever(NODES).persist(tmp_path / "a")
    BM25Retriever(NODES[:2]).persist(tmp_path / "b")
    text = tmp_path / "a" / "bm25_retriever" / "text"
    text.rename(tmp_path / "away")
    (tmp_path / "b" / "bm25_retriever" / "text").rename(text)
    with pytest.raises(DamagedSnapshotError, match="does not fit together"):
        BM25Retriever.from_persist_dir(tmp_path / "a")


def test_nothing_persisted(tmp_path):
    with pytest.raises(NotACollectionError, match="persist a BM25Retriever there first"):
        BM25Retriever.from_persist_dir(tmp_path)


def test_a_tokenizer_of_ones_own_is_needed_again_and_a_later_version_tokenizes_anew(tmp_path):
    register_tokenizer("letters", list, version="1")
    BM25Retriever([node("a", "xyz")], tokenizer="letters").persist(tmp_path)
    assert ids(BM25Retriever.from_persist_dir(tmp_path).retrieve("z")) == ["a"]
    register_tokenizer("letters", lambda text: [text[0]], version="2")
    with pytest.warns(RuntimeWarning, match="tokenized anew"):
        later = BM25Retriever.from_persist_dir(tmp_path)
    assert later.retrieve("z") == []
    assert ids(later.retrieve("x")) == ["a"]
    with pytest.raises(InvalidInputError, match="contradicts"):
        BM25Retriever.from_persist_dir(tmp_path, tokenizer="english")


@pytest.mark.parametrize("kind", ["BM25Okapi", "BM25L", "BM25Plus"])
def test_from_rank_bm25_has_the_same_scores(kind):
    words = str.split
    texts = ["a b c c", "b c d", "a a e f", "g h", "d e a b"]
    fitted = getattr(rank_bm25, kind)([words(text) for text in texts], k1=1.3, b=0.6)
    nodes = [node(str(i), text) for i, text in enumerate(texts)]
    register_tokenizer("words", words)
    with pytest.raises(InvalidInputError, match="tokenizer="):
        BM25Retriever.from_rank_bm25(fitted, nodes)
    with pytest.raises(InvalidInputError, match="2 nodes were given for 5 documents"):
        BM25Retriever.from_rank_bm25(fitted, nodes[:2], tokenizer="words")
    with pytest.raises(InvalidInputError, match="must be a BM25Okapi"):
        BM25Retriever.from_rank_bm25(object(), nodes, tokenizer="words")
    ours = BM25Retriever.from_rank_bm25(fitted, nodes, tokenizer="words")
    for query in ("a", "c d", "b e a"):
        wanted = fitted.get_scores(words(query))
        for hit in ours.retrieve(query):
            assert hit.score == pytest.approx(wanted[int(hit.node_id)], rel=1e-6)
        assert {hit.node_id for hit in ours.retrieve(query)} == {
            str(i) for i, text in enumerate(texts) if set(words(query)) & set(words(text))
        }
    ours.add([node("5", "z a")])
    assert ids(ours.retrieve("z")) == ["5"]


def test_aretrieve_leaves_the_loop_free(retriever):
    loop_thread = threading.get_ident()
    asked = []
    tokenizer = retriever._index.tokenizer

    class Watched:
        name, version = tokenizer.name, tokenizer.version

        def __call__(self, text):
            asked.append(threading.get_ident())
            return tokenizer(text)

    retriever._index.tokenizer = Watched()

    async def many():
        return await asyncio.gather(*(retriever.aretrieve("tea") for _ in range(8)))

    answers = asyncio.run(many())
    assert all(ids(hits) == ids(answers[0]) for hits in answers)
    assert loop_thread not in asked


def test_in_a_query_engine_and_in_fusion(retriever):
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    assert "tea" in ids(engine.query("green tea").source_nodes)
    fusion = QueryFusionRetriever([retriever], llm=MockLLM(), num_queries=1, use_async=False)
    assert ids(fusion.retrieve("green tea"))
    hybrid = HybridRetriever({"bm25": retriever}, similarity_top_k=2)
    assert ids(hybrid.retrieve("beans everywhere"))[0] == "beans"
