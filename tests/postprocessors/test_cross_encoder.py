"""CrossEncoderRerank against the library's own predict, which is the oracle."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import ImageNode, MetadataMode, NodeWithScore, TextNode
from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

from llamaindex_vecx import CrossEncoderRerank, FlatVectorStore, hybrid_query_engine
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError, UnsupportedError
from llamaindex_vecx.fusion import fuse
from llamaindex_vecx.observe import StageEvent
from llamaindex_vecx.postprocessors import ScoreCache
from llamaindex_vecx.retrievers import BM25Retriever
from tests.postprocessors.conftest import QUERY, TEXTS
from tests.tiny_models import save_generative

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def exact(models):
    """In float32, so that it can be held to the library's own scores."""
    return CrossEncoderRerank(models(), top_n=10, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def library(models):
    from sentence_transformers import CrossEncoder

    return CrossEncoder(models(), device="cpu")


def ids(hits):
    return [hit.node_id for hit in hits]


def scores_of(library, texts, query=QUERY):
    return library.predict([(query, text) for text in texts], show_progress_bar=False)


def test_scores_and_order_are_the_librarys(exact, library, hits):
    own = dict(zip(TEXTS, scores_of(library, TEXTS.values()), strict=True))
    ranked = exact.postprocess_nodes(hits, query_str=QUERY)
    assert ids(ranked) == sorted(own, key=own.get, reverse=True)
    assert len(set(own.values())) == len(own), "the oracle tells texts apart"
    for hit in ranked:
        assert type(hit.score) is float
        assert hit.score == pytest.approx(own[hit.node_id], abs=1e-5)
    json.dumps([hit.score for hit in ranked])


@pytest.mark.parametrize("kind", ["bert", "roberta", "xlm-roberta", "electra", "distilbert"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_build_of_encoder(models, hits, kind, dtype):
    from sentence_transformers import CrossEncoder

    folder = models(kind)
    reranker = CrossEncoderRerank(
        folder, top_n=10, dtype=dtype, device="cpu", batch_tokens=100, normalize="none"
    )
    assert reranker._scorer.loaded.fast is (kind != "distilbert"), "DistilBERT has another build"
    import torch

    own = CrossEncoder(folder, device="cpu").predict(
        [(QUERY, text) for text in TEXTS.values()], activation_fn=torch.nn.Identity()
    )
    wanted = dict(zip(TEXTS, own, strict=True))
    tolerance = 1e-4 if dtype == "float32" else 0.15 * float(max(abs(own)))
    for hit in reranker.postprocess_nodes(hits, query_str=QUERY):
        assert hit.score == pytest.approx(wanted[hit.node_id], abs=tolerance)


def test_a_generative_reranker_goes_the_librarys_own_way(tmp_path, hits):
    from sentence_transformers import CrossEncoder

    folder = str(save_generative(tmp_path / "model"))
    reranker = CrossEncoderRerank(folder, top_n=10, dtype="float32", batch_tokens=1)
    assert reranker._scorer.loaded.forward is None
    own = CrossEncoder(folder, device="cpu").predict(
        [(QUERY, text) for text in TEXTS.values()], batch_size=1
    )
    wanted = dict(zip(TEXTS, own.tolist(), strict=True))
    for hit in reranker.postprocess_nodes(hits, query_str=QUERY):
        assert hit.score == pytest.approx(wanted[hit.node_id], abs=1e-5)
    with pytest.raises(UnsupportedError, match="window='best' needs a model that reads two texts"):
        CrossEncoderRerank(folder, window="best")


def test_earlier_ranks_and_scores_stay_readable_and_input_is_left_alone(exact, hits):
    before = copy.deepcopy(hits)
    ranked = exact.postprocess_nodes(hits, query_str=QUERY)
    assert hits == before
    assert ids(ranked) != ids(hits), "this model's order is another"
    for hit in ranked:
        place = ids(hits).index(hit.node_id)
        assert hit.sources["before"].rank == place + 1
        assert hit.sources["before"].score == hits[place].score
        assert hit.sources["reranker"].score == hit.score
        assert not hit.node.metadata
    assert [hit.sources["reranker"].rank for hit in ranked] == list(range(1, len(ranked) + 1))
    twice = exact.postprocess_nodes(ranked, query_str=QUERY)
    assert set(twice[0].sources) == {"before", "reranker", "before #2", "reranker #2"}


def test_top_n_threshold_and_normalisation(models, hits):
    import torch

    bare = CrossEncoderRerank(models(), top_n=10, normalize="none", dtype="float32")
    logits = {hit.node_id: hit.score for hit in bare.postprocess_nodes(hits, query_str=QUERY)}
    assert min(logits.values()) < 0 < max(logits.values())
    sigmoid = CrossEncoderRerank(
        models(), top_n=2, normalize="sigmoid", score_threshold=0.5, dtype="float32"
    )
    ranked = sigmoid.postprocess_nodes(hits, query_str=QUERY)
    assert len(ranked) <= 2
    for hit in ranked:
        expected = torch.sigmoid(torch.tensor(logits[hit.node_id], dtype=torch.float64))
        assert hit.score == pytest.approx(float(expected))
        assert hit.score >= 0.5
    sigmoid.score_threshold, sigmoid.top_n = 1.1, 10
    assert sigmoid.postprocess_nodes(hits, query_str=QUERY) == []


def test_images_and_textless_nodes_pass_through(exact, hits):
    picture = NodeWithScore(node=ImageNode(id_="img", text="a cat", image="aGk="), score=0.95)
    blank = NodeWithScore(node=TextNode(id_="blank", text=" ", metadata={"a": "b"}), score=None)
    cut = exact.model_copy(update={"top_n": 1})
    ranked = cut.postprocess_nodes([picture, *hits, blank], query_str=QUERY)
    assert ids(ranked)[1:] == ["img", "blank"]
    assert ranked[1] is picture
    assert ranked[2] is blank
    assert exact.postprocess_nodes([blank], query_str=QUERY) == [blank]
    assert exact.postprocess_nodes([], query_str=QUERY) == []


def test_metadata_are_read_as_asked(exact, library):
    node = TextNode(text="the cow", metadata={"place": "farm"})
    (hit,) = exact.postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    assert hit.score == pytest.approx(scores_of(library, ["place: farm\n\nthe cow"])[0], abs=1e-5)
    bare = exact.model_copy(update={"metadata_mode": MetadataMode.NONE})
    (hit,) = bare.postprocess_nodes([NodeWithScore(node=node)], query_str=QUERY)
    assert hit.score == pytest.approx(scores_of(library, ["the cow"])[0], abs=1e-5)


def test_the_best_window_of_a_long_text(models, library):
    filler = ["the elk of the river eats leaves"] * 12
    pieces = [" ".join([*filler[:place], "bee honey", *filler[place:]]) for place in (0, 6, 12)]
    hits = [NodeWithScore(node=TextNode(id_=str(n), text=text)) for n, text in enumerate(pieces)]

    def reranked(**options):
        reranker = CrossEncoderRerank(
            models(), top_n=9, normalize="none", dtype="float32", **options
        )
        found = reranker.postprocess_nodes(hits, query_str="bee")
        return {hit.node_id: hit.score for hit in found}

    first, best = reranked(), reranked(window="best", window_overlap=8)
    assert all(best[name] >= first[name] - 1e-5 for name in first)
    assert any(best[name] > first[name] + 1e-3 for name in first)


def test_a_query_longer_than_half_the_room_is_cut_as_transformers_do(exact, library):
    query = " ".join(["what does the cat eats"] * 12)
    texts = ["the cow", TEXTS["owl"], TEXTS["long"]]
    hits = [NodeWithScore(node=TextNode(id_=str(n), text=text)) for n, text in enumerate(texts)]
    own = scores_of(library, texts, query)
    for hit in exact.postprocess_nodes(hits, query_str=query):
        assert hit.score == pytest.approx(own[int(hit.node_id)], abs=1e-5)


def test_equal_texts_are_scored_once_and_the_cache_remembers(models, hits):
    cache = ScoreCache(max_entries=100)
    reranker = CrossEncoderRerank(models(), top_n=20, cache=cache)
    seen = Events()
    with seen:
        first = reranker.postprocess_nodes(hits + hits[:2], query_str=QUERY)
        again = reranker.postprocess_nodes(hits, query_str=QUERY)
        reranker.postprocess_nodes(hits[:1], query_str="where is the cow")
    counts = [event.counts for event in seen.stages]
    assert [count["pairs"] for count in counts] == [6, 0, 1]
    assert [count["cached"] for count in counts] == [0, 6, 0]
    assert len(first) == 8
    assert ids(again) == list(dict.fromkeys(ids(first)))
    assert len(cache) == 7


def test_an_event_a_call(exact, hits):
    seen = Events()
    with seen:
        ranked = exact.postprocess_nodes(hits, query_str=QUERY)
        with pytest.raises(EmptyQueryError):
            exact.postprocess_nodes(hits, query_str="?!")
    (event,) = seen.stages
    assert (event.stage, event.component) == ("rerank", "CrossEncoderRerank")
    assert event.ids == ids(ranked)
    assert event.scores == [hit.score for hit in ranked]
    assert event.counts["pairs"] == event.counts["nodes"] == len(hits)
    assert event.counts["pairs_per_second"] > 0
    assert event.parameters["dtype"] == "float32"
    assert {"ReRankStartEvent", "ReRankEndEvent"} <= seen.names


async def test_async_leaves_the_loop_free(exact, hits, monkeypatch):
    held, started = threading.Event(), threading.Event()
    score = type(exact._scorer).score

    def slow(self, query, texts):
        started.set()
        assert held.wait(10)
        return score(self, query, texts)

    monkeypatch.setattr(type(exact._scorer), "score", slow)
    task = asyncio.create_task(exact.apostprocess_nodes(hits, query_str=QUERY))
    while not started.is_set():
        await asyncio.sleep(0.001)  # the loop goes on while the model is busy
    assert not task.done()
    held.set()
    assert ids(await task) == ids(exact.postprocess_nodes(hits, query_str=QUERY))


def test_threads_at_once(exact, hits):
    answers, wanted = [], ids(exact.postprocess_nodes(hits, query_str=QUERY))

    def work():
        answers.append(ids(exact.postprocess_nodes(hits, query_str=QUERY)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [wanted] * 4


def test_copies_and_pickles_work(exact, hits):
    wanted = exact.postprocess_nodes(hits, query_str=QUERY)
    for other in (
        copy.deepcopy(exact),
        pickle.loads(pickle.dumps(exact)),
        CrossEncoderRerank.from_dict(exact.to_dict()),
    ):
        assert repr(other) == repr(exact)
        assert other.postprocess_nodes(hits, query_str=QUERY) == wanted


def test_mixed_with_the_stage_before(models, hits):
    mixed = CrossEncoderRerank(
        models(), top_n=10, weight=0.3, method="z_score", dtype="float32", normalize="none"
    )
    ranked = mixed.postprocess_nodes(hits, query_str=QUERY)
    after = [(hit.node_id, hit.sources["reranker"].score) for hit in ranked]
    after.sort(key=lambda pair: -pair[1])
    before = [(hit.node_id, hit.score) for hit in hits]
    expected = fuse([before, after], "z_score", weights=[0.7, 0.3])
    assert ids(ranked) == [name for name, _ in expected]
    assert [hit.score for hit in ranked] == pytest.approx([score for _, score in expected])
    mixed.use(weight=0.0)
    unread = mixed.postprocess_nodes(hits, query_str=QUERY)
    assert unread == hits
    mixed.use(weight=0.5, method="rrf", k=5)
    assert ids(mixed.postprocess_nodes(hits, query_str=QUERY))
    scoreless = [NodeWithScore(node=hit.node) for hit in hits]
    assert mixed.postprocess_nodes(scoreless, query_str=QUERY)
    mixed.use(weight=0.5, method="min_max")
    with pytest.raises(InvalidInputError, match="gave node 'cat' none"):
        mixed.postprocess_nodes(scoreless, query_str=QUERY)


def test_a_fit_keeps_the_stage_before_where_reranking_does_harm(models):
    animals = TEXTS | {f"n{n}": f"the {word} lives in the hill" for n, word in enumerate(NAMES)}
    retriever = BM25Retriever(
        [TextNode(id_=name, text=text) for name, text in animals.items()], similarity_top_k=10
    )
    queries = {f"n{n}": f"where lives the {word}" for n, word in enumerate(NAMES)}
    reranker = CrossEncoderRerank(models(), top_n=10, dtype="float32")
    fitted = reranker.fit(queries, {name: [name] for name in queries}, retriever, measure="mrr@10")
    assert fitted.baseline == "before"
    assert fitted.alone["before"] > fitted.alone["reranker"], "an untrained model ranks at random"
    assert not fitted.adopted
    assert reranker.weight == 0.0
    assert "before alone, which was kept" in str(fitted)
    with pytest.raises(InvalidInputError, match="too few to choose on"):
        reranker.fit(["cat"], [["n0"]], retriever)


NAMES = ["cat", "dog", "cow", "hen", "fox", "owl", "bee", "ant", "elk", "yak", "eel", "ape"]


def test_in_query_engines_and_stores(exact, models, embedding, monkeypatch):
    nodes = [TextNode(id_=name, text=text) for name, text in TEXTS.items()]
    with FlatVectorStore(reranker=exact) as store:
        index = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
        index.insert_nodes(nodes)
        semantic = store.query(
            VectorStoreQuery(
                query_embedding=embedding.get_query_embedding(QUERY),
                query_str=QUERY,
                mode=VectorStoreQueryMode.SEMANTIC_HYBRID,
                similarity_top_k=3,
            )
        )
        wanted = ids(
            exact.postprocess_nodes([NodeWithScore(node=node) for node in nodes], query_str=QUERY)
        )
        assert semantic.ids == wanted[:3]
        engine = RetrieverQueryEngine.from_args(
            index.as_retriever(similarity_top_k=6), llm=MockLLM(), node_postprocessors=[exact]
        )
        assert ids(engine.query(QUERY).source_nodes) == wanted
        by_name = hybrid_query_engine(
            index, similarity_top_k=6, rerank_top_n=2, reranker=models(), llm=MockLLM()
        )
        found = by_name.query(QUERY).source_nodes
        assert len(found) == 2
        assert {"before", "reranker"} <= set(found[0].sources)
        assert "bm25" in found[0].sources or "dense" in found[0].sources
        store.reranker = None
        monkeypatch.setattr("llamaindex_vecx.postprocessors.cross_encoder.DEFAULT_MODEL", models())
        by_default = hybrid_query_engine(index, similarity_top_k=6, rerank_top_n=2, llm=MockLLM())
        assert by_default.query(QUERY).source_nodes == found


class Events:
    """What LlamaIndex's root dispatcher hears meanwhile."""

    def __init__(self):
        self.seen = []

    @property
    def stages(self):
        return [event for event in self.seen if isinstance(event, StageEvent)]

    @property
    def names(self):
        return {event.class_name() for event in self.seen}

    def __enter__(self):
        seen = self.seen

        class Handler(BaseEventHandler):
            @classmethod
            def class_name(cls):
                return "Handler"

            def handle(self, event, **_):
                seen.append(event)

        self._handler = Handler()
        get_dispatcher().add_event_handler(self._handler)
        return self

    def __exit__(self, *_):
        get_dispatcher().event_handlers.remove(self._handler)
