"""What the page shows is what a query engine would get."""

from __future__ import annotations

import pytest
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

from llamaindex_vecx import BM25Retriever, FlatVectorStore, HybridRetriever
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError
from llamaindex_vecx.fusion import METHODS
from llamaindex_vecx.inspect import moves_between, run_stages
from llamaindex_vecx.inspect.moves import paths

QUESTION = "When does the night shift run a backup?"


class Backwards(BaseNodePostprocessor):
    """Turns the list round, and says so in the scores."""

    def _postprocess_nodes(self, nodes, query_bundle=None):
        for place, hit in enumerate(reversed(nodes)):
            hit.score = float(-place)
        return nodes[::-1]


@pytest.mark.parametrize("method", list(METHODS))
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_the_fused_list_is_that_of_the_hybrid_retriever(store, model, method, alpha):
    run = run_stages(
        store, QUESTION, model.get_query_embedding(QUESTION), top_k=4, method=method, alpha=alpha
    )
    weights = {"bm25": 1 - alpha, "dense": alpha}
    hybrid = HybridRetriever.from_store(
        store, model, similarity_top_k=4, method=method, weights=weights
    )
    truth = [(hit.node.node_id, pytest.approx(hit.score)) for hit in hybrid.retrieve(QUESTION)]
    assert [(hit.id, hit.score) for hit in run.stage("fused").shown] == truth


def test_every_stage_has_its_own_answer(store, model):
    run = run_stages(store, QUESTION, model.get_query_embedding(QUESTION), top_k=3)
    assert [stage.name for stage in run.stages] == ["dense", "bm25", "fused"]
    keyword = BM25Retriever(store.get_nodes(), similarity_top_k=3).retrieve(QUESTION)
    assert [hit.id for hit in run.stage("bm25").shown] == [hit.node.node_id for hit in keyword]
    assert [hit.rank for hit in run.last.shown] == [1, 2, 3]
    assert all(stage.seconds > 0 for stage in run.stages)
    assert set(run.nodes) == {hit.id for stage in run.stages for hit in stage.shown}
    assert run.passages()[:3] == [hit.id for hit in run.last.shown]
    below = run.stage("dense").hits[4]
    assert run.ranks(below.id)["dense"].rank == 5  # known, though the list shows three


def test_without_a_model_keywords_are_all_there_is(store):
    run = run_stages(store, "green tea", None, top_k=2)
    assert [stage.name for stage in run.stages] == ["bm25"]
    assert run.last.shown[0].id == "tea"
    assert run.stage("dense") is None


def test_a_reranker_sees_the_fused_list_and_changes_nothing_else(store, model):
    embedding = model.get_query_embedding(QUESTION)
    plain = run_stages(store, QUESTION, embedding, top_k=4)
    run = run_stages(store, QUESTION, embedding, top_k=4, reranker=Backwards())
    assert run.stage("fused").shown == plain.stage("fused").shown
    before = [hit.id for hit in run.stage("fused").shown]
    assert [hit.id for hit in run.stage("reranked").shown] == before[::-1]
    moved = {move.id: move.up for move in moves_between(run.stages[-2], run.stages[-1])}
    assert moved == {before[0]: -3, before[1]: -1, before[2]: 1, before[3]: 3}


def test_filters_reach_both_sides(store, model):
    office = MetadataFilters(filters=[MetadataFilter(key="file_name", value="office.md")])
    run = run_stages(store, QUESTION, model.get_query_embedding(QUESTION), filters=office)
    assert {node.metadata["file_name"] for node in run.nodes.values()} == {"office.md"}


def test_moves_name_what_came_and_what_went(store, model):
    run = run_stages(store, QUESTION, model.get_query_embedding(QUESTION), top_k=3)
    moves = {move.id: move for move in moves_between(run.stage("bm25"), run.stage("fused"))}
    for move in moves.values():
        assert move.up is None or move.up == move.before - move.after
    only_dense = {hit.id for hit in run.stage("fused").shown} - {
        hit.id for hit in run.stage("bm25").hits
    }
    assert all(moves[id_].before is None and moves[id_].up is None for id_ in only_dense)
    assert {id_: places[0] for id_, places in paths(run).items()}[run.stages[0].shown[0].id] == (
        0,
        1,
    )


def test_ef_is_left_out_where_the_index_has_none(model):
    with FlatVectorStore() as flat:
        flat.add(_nodes(model))
        run = run_stages(flat, "green tea", model.get_query_embedding("green tea"), ef_search=3)
    assert run.stage("dense").shown[0].id == "tea"


def _nodes(model):
    from llama_index.core.schema import TextNode

    from tests.inspect.conftest import TEXTS

    return [
        TextNode(id_=id_, text=text, embedding=model.get_text_embedding(text))
        for id_, (_, _, text) in TEXTS.items()
    ]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"question": "  "}, EmptyQueryError, "empty"),
        ({"alpha": 1.5}, InvalidInputError, "alpha"),
        ({"method": "sum"}, InvalidInputError, "sum"),
        ({"top_k": 0}, InvalidInputError, "top_k"),
    ],
)
def test_bad_input(store, change, error, says):
    arguments = {"question": "tea", **change}
    with pytest.raises(error, match=says):
        run_stages(store, arguments.pop("question"), None, **arguments)
