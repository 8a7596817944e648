"""Labelled queries from every format, and what is wrong in a file is named by file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation import LabelledQueries, Passage, load_labelled
from llamaindex_vecx.evaluation.formats.squad import paragraph_id


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "mini"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": "d1", "title": "One", "text": "first"}, {"_id": "d2", "text": "second"}]
    with gzip.open(folder / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in corpus)
    queries = [{"_id": f"q{n}", "text": f"question {n}"} for n in (1, 2, 3)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t0\n"
    )
    return folder


def test_beir(beir: Path) -> None:
    labelled = load_labelled(beir)
    assert labelled.queries == {"q1": "question 1"}
    assert labelled.qrels == {"q1": {"d1": 2.0, "d2": 0.0}}
    assert labelled.unjudged == ("q2",)
    assert labelled.read_corpus is not None
    assert list(labelled.read_corpus()) == [
        Passage("d1", "One", "first"),
        Passage("d2", "", "second"),
    ]
    assert "1 queries, 1 relevant ids" in repr(labelled)


def test_the_splits_there_are_are_named(beir: Path) -> None:
    with pytest.raises(InvalidInputError, match="split='dev'; there are test"):
        load_labelled(beir, split="dev")


def test_squad(tmp_path: Path) -> None:
    def paragraph(text: str, *asked: dict[str, Any]) -> dict[str, Any]:
        return {"context": text, "qas": list(asked)}

    value = {
        "data": [
            {
                "title": "학교",
                "paragraphs": [
                    paragraph("같은 글", {"id": 1, "question": "무엇?"}),
                    paragraph("같은 글", {"id": "2", "question": "언제?"}),
                    paragraph("다른 글", {"id": "3", "question": "왜?", "is_impossible": True}),
                ],
            }
        ]
    }
    file = tmp_path / "KorQuAD.json"
    file.write_text(json.dumps(value), "utf-8")
    labelled = load_labelled(file)
    same = paragraph_id("같은 글")
    assert labelled.qrels == {"1": {same: 1.0}, "2": {same: 1.0}}
    assert labelled.unjudged == ("3",)
    assert labelled.read_corpus is not None
    assert [passage.text for passage in labelled.read_corpus()] == ["같은 글", "다른 글"]
    del value["data"][0]["paragraphs"][0]["qas"][0]["question"]
    file.write_text(json.dumps(value), "utf-8")
    with pytest.raises(InvalidInputError, match="'question'.* is missing"):
        load_labelled(file)


def test_trec(tmp_path: Path) -> None:
    qrels, texts = tmp_path / "a.qrels", tmp_path / "q.tsv"
    qrels.write_text("q1 0 d1 1\nq1 0 d2 0\n\nq2 0 d3 2\n")
    texts.write_text("q1\twhat is it\nq2\twhy\n")
    assert load_labelled(qrels).queries == {}
    labelled = load_labelled(qrels, queries=texts)
    assert labelled.queries == {"q1": "what is it", "q2": "why"}
    assert labelled.relevant_ids() == ["d1", "d3"]
    qrels.write_text("q1 0 d1 1\nq1 0 d2 high\n")
    with pytest.raises(InvalidInputError, match="a.qrels:2 is no judgement"):
        load_labelled(qrels)
    qrels.write_text("q1 0 d1 1\nq9 0 d2 1\n")
    with pytest.raises(InvalidInputError, match="1 queries whose text is missing or blank: 'q9'"):
        load_labelled(qrels, queries=texts)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '[{"question": "why?", "relevant": ["x", "y"]}]'),
        (
            "a.json",
            '{"group_by": null, "questions": [{"question": "why?", "relevant": {"x": 1, "y": 1}}]}',
        ),
        (
            "a.jsonl",
            '{"question": "why?", "relevant": "x"}\n{"id": 1, "question": "why?", "relevant": "y"}',
        ),
        ("a.csv", "question,relevant\nwhy?,x\nwhy?,y\n"),
        ("a.csv", "question,relevant\nwhy?,x|y\n"),
        (
            "a.json",
            '{"queries": {"1": "why?"}, "relevant_docs": {"1": ["x", "y"]}, "corpus": {"x": "t"}}',
        ),
    ],
)
def test_a_list_of_questions(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    labelled = load_labelled(tmp_path / name)
    if name == "a.jsonl":  # the first line's id is its place, 1
        assert labelled.qrels == {"1": {"x": 1.0, "y": 1.0}}
    assert labelled.queries == {"1": "why?"}
    assert labelled.qrels == {"1": {"x": 1.0, "y": 1.0}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[{}]", "item 1 has no 'question'"),
        ("a.json", '{"x": 1}', "must hold a list of questions"),
        (
            "a.json",
            '[{"question": "why?"}]',
            "no query with a relevant id .*without judgements are '1'",
        ),
        (
            "a.json",
            '[{"question": "why?", "relevant": 1.5}]',
            "must be an id, a list of ids or grades",
        ),
        ("a.json", "[", "is no JSON"),
        ("a.json", "[]", "no queries: it is empty"),
        ("a.jsonl", "{}\n[]", "a.jsonl:2 must be a JSON object"),
        ("a.csv", "q,r\n1,2\n", "must have the columns question and relevant"),
        ("a.csv", "question,relevant,grade\na,b,c\n", "a.csv:2: the grade is no number"),
        ("a.xlsx", "", "has the suffix '.xlsx'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        load_labelled(tmp_path / name)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no such file or folder"):
        load_labelled(tmp_path / "absent")
    with pytest.raises(InvalidInputError, match="no queries.jsonl"):
        load_labelled(tmp_path)


def test_saved_and_read_again(tmp_path: Path) -> None:
    labelled = LabelledQueries.of("x", {"a": "왜?"}, {"a": {"n": 2.0}}, group_by="file_name")
    labelled.save(tmp_path / "x.json")
    again = load_labelled(tmp_path / "x.json")
    assert (again.queries, again.qrels, again.group_by) == (
        {"a": "왜?"},
        {"a": {"n": 2.0}},
        "file_name",
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "x.json"]


def test_the_first_queries() -> None:
    labelled = LabelledQueries.of("x", {"a": "1", "b": "2"}, {"a": {"n": 1}, "b": {"m": 1}})
    assert labelled.first(1).qrels == {"a": {"n": 1}}
    assert labelled.first(1).queries == {"a": "1"}
