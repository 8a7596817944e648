"""Judgements are on disk at once, and read back as they were."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaindex_vecx.errors import FormatError, InvalidInputError, StorageError
from llamaindex_vecx.inspect import Judgements

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(texts, texts, st.sampled_from([0, 1, None])), max_size=20))
def test_what_was_judged_is_read_back(tmp_path_factory, judged):
    folder = tmp_path_factory.mktemp("judged")
    kept = Judgements(folder)
    truth: dict[str, dict[str, int]] = {}
    for question, node_id, grade in judged:
        kept.judge(question, node_id, grade)
        truth.setdefault(question, {})[node_id] = grade
    truth = {
        question: {id_: grade for id_, grade in grades.items() if grade is not None}
        for question, grades in truth.items()
    }
    again = Judgements(folder)
    for question, grades in truth.items():
        assert again.grades(question) == grades
    assert len(again) == sum(map(len, truth.values()))
    assert set(again.questions) == {question for question, grades in truth.items() if grades}


def test_the_files_are_those_of_beir(tmp_path: Path):
    judged = Judgements(tmp_path / "new" / "judged")
    judged.judge("연차는  언제?\n", "leave", 1)
    judged.judge("연차는 언제?", "tea", 0)
    judged.judge("green tea", "tea", 1)
    queries = [json.loads(line) for line in (judged.folder / "queries.jsonl").open("rb")]
    assert queries == [{"_id": "q1", "text": "연차는 언제?"}, {"_id": "q2", "text": "green tea"}]
    assert (judged.folder / "qrels" / "test.tsv").read_text("utf-8") == (
        "query-id\tcorpus-id\tscore\nq1\tleave\t1\nq1\ttea\t0\nq2\ttea\t1\n"
    )
    assert "2 questions, 3 passages" in repr(judged)


def test_ids_of_questions_stay_when_others_go(tmp_path: Path):
    judged = Judgements(tmp_path)
    judged.judge("one", "a", 1)
    judged.judge("two", "b", 1)
    judged.judge("one", "a", None)
    again = Judgements(tmp_path)
    again.judge("three", "c", 1)
    again.judge("one", "d", 0)
    qrels = (tmp_path / "qrels" / "test.tsv").read_text("utf-8").split()
    assert qrels[3:] == ["q2", "b", "1", "q3", "c", "1", "q1", "d", "0"]


def test_it_goes_on_with_a_set_from_elsewhere(tmp_path: Path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text('{"_id": "x9", "text": "tea", "more": 1}\n', "utf-8")
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nx9\tn\t2\n", "utf-8")
    judged = Judgements(tmp_path)
    judged.judge("tea", "m", 1)
    assert Judgements(tmp_path).grades("tea") == {"n": 2, "m": 1}


@pytest.mark.parametrize(
    ("queries", "qrels", "says"),
    [
        ("not json\n", "", r"queries.jsonl:1"),
        ('{"_id": "q1"}\n', "", r"queries.jsonl:1"),
        ('{"_id": "q1", "text": "t"}\n', "q1\tn\n", r"test.tsv:1"),
        ('{"_id": "q1", "text": "t"}\n', "q2\tn\t1\n", r"test.tsv:1"),
        ('{"_id": "q1", "text": "t"}\n', "q1\tn\tgood\n", r"test.tsv:1"),
        (None, "q1\tn\t1\n", "queries.jsonl is missing"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, queries, qrels, says):
    (tmp_path / "qrels").mkdir()
    if queries is not None:
        (tmp_path / "queries.jsonl").write_text(queries, "utf-8")
    (tmp_path / "qrels" / "test.tsv").write_text(qrels, "utf-8")
    with pytest.raises(FormatError, match=says):
        Judgements(tmp_path)


def test_a_cut_write_costs_no_earlier_judgement(tmp_path: Path, monkeypatch):
    judged = Judgements(tmp_path)
    judged.judge("one", "a", 1)
    replace = os.replace

    def full(source, target):
        if str(target).endswith("test.tsv"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        judged.judge("two", "b", 1)
    assert judged.questions == ["one"]
    monkeypatch.undo()
    assert Judgements(tmp_path).grades("one") == {"a": 1}


@pytest.mark.parametrize("node_id", ["", " ", "a\tb", "a\nb"])
def test_an_id_that_would_break_the_columns_is_refused(tmp_path: Path, node_id):
    with pytest.raises(InvalidInputError, match="node_id"):
        Judgements(tmp_path).judge("tea", node_id, 1)
    assert not (tmp_path / "queries.jsonl").exists()


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInputError, match="is a file"):
        Judgements(tmp_path / "file")
    with pytest.raises(InvalidInputError, match="question"):
        Judgements(tmp_path / "new").judge("  ", "a", 1)
