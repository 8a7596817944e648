"""Runs are ordered as trec_eval orders them, ties included, and the measures are its."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation import evaluate_run, order_scores, read_run, write_run
from tests.evaluation.scifact import bm25_run, rounded, scifact
from tests.evaluation.trec_oracle import MEASURES, trec_eval

IDS = st.text("ab12é학", min_size=1, max_size=3)
SCORES = st.sampled_from([0.0, 1.0, 1.0 + 1e-9, 0.5, 2.0, -1.0])
"""1 + 1e-9 is 1 as a 32-bit float, which trec_eval keeps."""


def test_the_order_of_ties() -> None:
    assert order_scores({"a": 1.0, "c": 1.0 + 1e-9, "b": 2.0, "d": 1.0}) == ["b", "d", "c", "a"]
    with pytest.raises(InvalidInputError, match="'a' is nan"):
        order_scores({"a": float("nan")})


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from("pqr"),
        st.tuples(
            st.dictionaries(IDS, SCORES, min_size=1, max_size=9),
            st.dictionaries(IDS, st.integers(0, 3), min_size=1, max_size=5),
        ),
        min_size=1,
    )
)
def test_equal_to_trec_eval_on_any_run(data: dict) -> None:
    run = {query: scores for query, (scores, _) in data.items()}
    qrels = {query: grades for query, (_, grades) in data.items() if max(grades.values()) > 0}
    if not qrels:
        return
    theirs = trec_eval(run, qrels)
    for result in evaluate_run(run, qrels, measures=list(MEASURES)).results:
        for name, value in result.values.items():
            assert value == pytest.approx(theirs[result.query][name], abs=1e-9), (name, result)


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_equal_to_trec_eval_on_scifact(digits: int | None) -> None:
    """Scores as they are; rounded to a digit, and to whole numbers, so that most of them tie."""
    labelled, run = scifact(), bm25_run()
    if digits is not None:
        run = rounded(run, digits)
        ties = sum(len(found) - len(set(found.values())) for found in run.values())
        assert ties > 1_000
    theirs = trec_eval(run, labelled.qrels)
    ours = evaluate_run(run, labelled, measures=list(MEASURES))
    assert len(ours.results) == 300
    worst = max(
        abs(value - theirs[result.query][name])
        for result in ours.results
        for name, value in result.values.items()
    )
    assert worst < 1e-9


def test_written_and_read(tmp_path: Path) -> None:
    file = tmp_path / "run.trec"
    write_run(file, {"q": [("d2", 3.5), ("d1", 1.25)], "p": [("a", 1.0), ("b", 1.0)]}, "vecx")
    assert file.read_text().splitlines()[0] == "q Q0 d2 1 3.5 vecx"
    again = read_run(file)
    assert again["q"] == {"d2": 3.5, "d1": 1.25}
    assert order_scores(again["p"]) == ["a", "b"]  # a tie that trec_eval would have turned round
    with pytest.raises(InvalidInputError, match="'a b' can't be written"):
        write_run(file, {"q": [("a b", 1.0)]}, "vecx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("q Q0 d 1\n", "run.trec:1 is no line of a run"),
        ("q Q0 d 1 high tag\n", "run.trec:1 is no line"),
        ("q Q0 d 1 2 tag\nq Q0 d 2 1 tag\n", "run.trec:2 names 'd' twice for query 'q'"),
    ],
)
def test_damaged_runs(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.trec").write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        read_run(tmp_path / "run.trec")


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="there is no run"):
        read_run(tmp_path / "absent")


def test_an_empty_run_and_one_of_other_queries() -> None:
    qrels = {"q": {"d": 1}}
    with pytest.raises(InvalidInputError, match="'run' is an empty run"):
        evaluate_run({"q": []}, qrels)
    with pytest.raises(
        InvalidInputError, match="no query of 'run' is judged: the run has 'x', judged"
    ):
        evaluate_run({"x": ["d"]}, qrels)
    with pytest.raises(InvalidInputError, match="holds 'd' twice"):
        evaluate_run({"q": ["d", "d"]}, qrels)


def test_a_query_without_a_run_counts_as_not_found() -> None:
    result = evaluate_run({"q": ["d"]}, {"q": {"d": 1}, "p": {"d": 1}}, measures=["mrr@10"])
    assert result.means == {"mrr@10": 0.5}
