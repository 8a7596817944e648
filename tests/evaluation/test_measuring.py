"""A retriever measured, compared with another, reported, and held to a threshold."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llamaindex_vecx import FlatVectorStore, HybridRetriever
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation import (
    Evaluation,
    LabelledQueries,
    aevaluate,
    compare,
    evaluate,
    evaluate_run,
    failures,
    parse_threshold,
    permutation_test,
    write_page,
)
from llamaindex_vecx.retrievers import StoreRetriever
from tests.cli.tiny import Tiny

TEXTS = {
    "bread": "yeast makes bread rise",
    "tea": "green tea is dried leaves",
    "sea": "the sea is salt water",
    "moon": "the moon turns once a month",
}
LABELLED = LabelledQueries.of(
    "notes",
    {"b": "why does bread rise", "t": "what is green tea", "m": "how does the moon turn", "x": "?"},
    {"b": {"bread": 1}, "t": {"tea": 1}, "m": {"moon": 1}},
)


@pytest.fixture
def store() -> FlatVectorStore:
    store = FlatVectorStore()
    model = Tiny()
    nodes = [
        TextNode(
            id_=id_, text=text, metadata={"page": place}, embedding=model.get_text_embedding(text)
        )
        for place, (id_, text) in enumerate(TEXTS.items())
    ]
    store.add(nodes)
    return store


class Scripted(BaseRetriever):
    """Finds what it was told; fails where it was told an exception."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self.answers[query_bundle.query_str]
        if isinstance(found, BaseException):
            raise found
        return [
            NodeWithScore(node=TextNode(id_=id_, metadata={"file": id_[0]}), score=1.0 / rank)
            for rank, id_ in enumerate(found, 1)
        ]


def scripted(**found: Any) -> Scripted:
    return Scripted({LABELLED.queries[query]: ids for query, ids in found.items()})


def test_a_retriever_over_a_store(store: FlatVectorStore) -> None:
    retriever = HybridRetriever.from_store(store, Tiny(), similarity_top_k=3)
    found = evaluate(retriever, LABELLED, store=store, price_per_million_tokens=1.0)
    assert found.complete
    assert found.unjudged == ["x"]
    assert found.means["mrr@10"] == 1.0
    assert found.means["precision@10"] == pytest.approx(0.1)
    result = found.results[0]
    assert (result.first_relevant, result.found[0][0]) == (1, "bread")
    assert set(result.stages) >= {"embed", "dense", "bm25", "fuse"}
    assert 0 < sum(result.stages[name] for name in ("fuse", "embed")) < result.seconds  # type: ignore[operator]
    costs = found.costs
    assert costs is not None
    assert 0 < costs.p50_ms <= costs.p95_ms
    assert costs.cpu_ms > 0
    assert costs.embedding_tokens == pytest.approx(13 / 3)  # 4 + 4 + 5 words, each a token
    assert costs.usd_per_1000 == pytest.approx(13 / 3 * 1000 / 1e6)


async def test_the_same_without_blocking(store: FlatVectorStore) -> None:
    retriever = HybridRetriever.from_store(store, Tiny(), similarity_top_k=3)
    found = await aevaluate(retriever, LABELLED, store=store)
    again = evaluate(retriever, LABELLED, store=store)
    assert found.means == again.means
    assert [result.found for result in found.results] == [result.found for result in again.results]
    assert found.costs is not None
    assert found.costs.embedding_tokens == pytest.approx(13 / 3)


def test_text_alone_embeds_nothing(store: FlatVectorStore) -> None:
    found = evaluate(StoreRetriever(store, "text_search"), LABELLED, measures=["mrr@10"])
    assert found.costs is not None
    assert found.costs.embedding_tokens == 0
    assert "embed" not in found.results[0].stages


def test_groups_count_once_where_their_first_node_stands() -> None:
    labelled = LabelledQueries.of("x", {"b": "q"}, {"b": {"z": 1}}, group_by="file")
    found = evaluate(Scripted({"q": ["a1", "a2", "z1", "a3"]}), labelled, measures=["mrr@10"])
    assert [id_ for id_, _ in found.results[0].found] == ["a", "z"]
    assert found.means["mrr@10"] == 0.5


def test_numbers_in_metadata_are_found_by_their_text(store: FlatVectorStore) -> None:
    labelled = LabelledQueries.of("x", {"b": "bread"}, {"b": {"0": 1}}, group_by="page")
    retriever = StoreRetriever(store, "text_search")
    found = evaluate(retriever, labelled, store=store, measures=["mrr@10"])
    assert found.means["mrr@10"] == 1.0
    assert found.complete


def test_ids_that_are_not_in_the_collection(store: FlatVectorStore) -> None:
    retriever = StoreRetriever(store, "text_search")
    some = LabelledQueries.of("x", {"b": "bread"}, {"b": {"bread": 1, "gone": 1}})
    found = evaluate(retriever, some, store=store, measures=["recall@10"])
    assert not found.complete
    assert found.missing == ["gone"]
    assert (
        "1 relevant ids are not in the collection and count as not found: 'gone'"
        in found.remarks[0]
    )
    assert found.means["recall@10"] == 0.5
    none = LabelledQueries.of("x", {"b": "bread"}, {"b": {"gone": 1}})
    with pytest.raises(
        InvalidInputError, match="none of the 1 relevant ids.*'gone'.* e.g. 'bread'"
    ):
        evaluate(retriever, none, store=store)
    wrong = LabelledQueries.of("x", {"b": "bread"}, {"b": {"bread": 1}}, group_by="page")
    with pytest.raises(
        InvalidInputError, match="values of 'page', of which it has e.g. '0', '1', '2'"
    ):
        evaluate(retriever, wrong, store=store)


def test_a_query_that_fails_is_kept_apart() -> None:
    retriever = scripted(b=["bread"], t=RuntimeError("no answer"), m=["sea", "moon"])
    with pytest.raises(RuntimeError, match="no answer"):
        evaluate(retriever, LABELLED)
    found = evaluate(retriever, LABELLED, on_error="keep", measures=["mrr@10"])
    assert found.means == {"mrr@10": 0.75}
    assert not found.complete
    assert found.failed == {"t": "RuntimeError: no answer"}
    assert "1 of 3 queries failed" in found.remarks[0]
    assert failures(found, [parse_threshold("mrr@10=0.5")]) == [
        "1 queries failed, so the means are of a part"
    ]
    assert "partial" in repr(found)
    with pytest.raises(InvalidInputError, match="all 3 queries failed; 'b': RuntimeError: down"):
        evaluate(scripted(**dict.fromkeys("btm", RuntimeError("down"))), LABELLED, on_error="keep")


def test_an_interrupt_keeps_what_was_asked() -> None:
    retriever = scripted(b=["bread"], t=KeyboardInterrupt(), m=["moon"])
    found = evaluate(retriever, LABELLED, on_error="keep", measures=["mrr@10"])
    assert [result.query for result in found.results] == ["b"]
    assert set(found.failed) == {"t", "m"}


def test_bad_arguments() -> None:
    nothing = scripted(b=[], t=[], m=[])
    with pytest.raises(InvalidInputError, match="empty run"):
        evaluate(nothing, LABELLED)
    with pytest.raises(InvalidInputError, match="judgements alone, no questions"):
        evaluate(nothing, LabelledQueries.of("x", {}, {"q": {"d": 1}}))
    with pytest.raises(InvalidInputError, match="measures is empty"):
        evaluate(nothing, LABELLED, measures=[])
    with pytest.raises(InvalidInputError, match="on_error='skip'"):
        evaluate(nothing, LABELLED, on_error="skip")


# -- results -------------------------------------------------------------------------------------


def evaluation(values: list[float], name: str = "a") -> Evaluation:
    """Found at the rank that gives each value as its reciprocal."""
    run = {
        f"q{i}": ["x"] * 0 + [f"n{j}" for j in range(round(1 / v) - 1)] + ["d"]
        for i, v in enumerate(values)
    }
    return evaluate_run(run, {q: {"d": 1} for q in run}, measures=["mrr@10", "ndcg@10"], name=name)


def test_the_table_by_query_and_files(tmp_path: Path) -> None:
    found = evaluation([1.0, 0.5, 0.25])
    found.write_csv(tmp_path / "t.csv")
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mrr@10"]) for row in rows] == [1.0, 0.5, 0.25]
    assert [row["first_relevant"] for row in rows] == ["1", "2", "4"]
    assert [result.query for result in found.worst("mrr@10", 2)] == ["q2", "q1"]
    found.save(tmp_path / "e.json")
    assert Evaluation.load(tmp_path / "e.json") == found
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(InvalidInputError, match="'map' was not measured for 'a'"):
        found.values("map")


def test_damaged_files(tmp_path: Path) -> None:
    for content in ("", "[]", "{}", '{"format": 1, "results": [{}]}', '{"format": 1}'):
        (tmp_path / "e.json").write_text(content)
        with pytest.raises(InvalidInputError, match="saved evaluation"):
            Evaluation.load(tmp_path / "e.json")


def test_the_gate() -> None:
    found = evaluation([1.0, 0.5])
    assert failures(found, [parse_threshold("mrr@10=0.75")]) == []
    assert failures(found, [parse_threshold("mrr@10 >= 0.76")]) == ["mrr@10 is 0.7500, under 0.76"]
    for bad in ("mrr@10", "mrr@10=x", "mrr@10=2", "mrr@10=nan", "=0.5", "mrr@10=1.2.3"):
        with pytest.raises(InvalidInputError, match="is no threshold"):
            parse_threshold(bad)
    with pytest.raises(InvalidInputError, match="'f1@10' is unknown"):
        parse_threshold("f1@10=0.5")


# -- comparisons ---------------------------------------------------------------------------------


def test_few_queries_are_tested_exactly() -> None:
    draw = np.random.default_rng(1)
    values = draw.normal(0.3, 1.0, 9)
    signs = np.array(list(itertools.product((-1, 1), repeat=9)))
    exact = (np.abs(signs @ values) >= abs(values.sum()) - 1e-12).mean()
    assert permutation_test(values) == pytest.approx(exact)
    scipys = scipy.stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert permutation_test(values) == pytest.approx(scipys.pvalue)
    assert permutation_test([0.0, 0.0]) == 1.0
    assert permutation_test([0.5]) == 1.0  # one query proves nothing


def test_many_queries_are_drawn() -> None:
    values = np.random.default_rng(2).normal(0.15, 1.0, 200)
    theirs = scipy.stats.ttest_1samp(values, 0.0).pvalue
    assert permutation_test(values) == pytest.approx(theirs, abs=0.02)
    assert permutation_test(np.full(40, 0.1)) == pytest.approx(1 / 10_001)


def test_under_no_difference_p_is_uniform() -> None:
    draw = np.random.default_rng(3)
    p = [permutation_test(draw.normal(0, 1, 30), samples=400, seed=i) for i in range(200)]
    assert 0.01 <= np.mean(np.array(p) < 0.05) <= 0.10


def test_two_configurations() -> None:
    better, base = evaluation([1.0, 1.0, 0.5, 1.0], "new"), evaluation([0.5, 0.5, 0.5, 1.0], "old")
    found = compare(better, base, "mrr@10")
    assert (found.better, found.worse, found.equal, found.queries) == (2, 0, 2, 4)
    assert found.difference == pytest.approx(0.25)
    assert found.p_value == 0.5  # two queries differ: of four draws of their signs two are as far
    assert found.interval[0] <= 0.25 <= found.interval[1]
    assert "mrr@10: new 0.8750, old 0.6250" in str(found)
    with pytest.raises(InvalidInputError, match="'map' was not measured"):
        compare(better, base, "map")


def test_what_only_one_has_is_left_out() -> None:
    found = compare(evaluation([1.0, 0.5]), evaluation([1.0, 0.5, 1.0]), "mrr@10")
    assert found.left_out == ("q2",)
    assert "'q2'" in str(found)
    other = evaluate_run({"z": ["d"]}, {"z": {"d": 1}}, measures=["mrr@10"])
    with pytest.raises(InvalidInputError, match="no query is in both"):
        compare(other, evaluation([1.0]), "mrr@10")


# -- the page ------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    a, b = evaluation([1.0, 0.5, 1.0], "<new>"), evaluation([0.5, 0.5, 1.0], "old")
    write_page(tmp_path / "p.html", [a, b], [compare(a, b, "mrr@10")])
    text = (tmp_path / "p.html").read_text("utf-8")
    assert text.count("<svg") == 2
    assert "&lt;new&gt;" in text
    assert "<new>" not in text
    for outside in ("<script", "<link", 'src="http', "@import"):
        assert outside not in text
    assert text.count("<tr>") == 1 + 2 + 2 * (1 + 3)


def test_json_is_plain() -> None:
    value = json.loads(json.dumps(evaluation([1.0, 0.5]).to_json()))
    assert value["complete"] is True
    assert value["means"]["mrr@10"] == 0.75
