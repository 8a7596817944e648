from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from llamaindex_vecx.cli.answers import Answer, Hit, Passage
from llamaindex_vecx.cli.demo import same_answers
from llamaindex_vecx.cli.demo_data import (
    Question,
    demo_questions,
    demo_roots,
    questions_from_headings,
    rank_of_expected,
)
from llamaindex_vecx.cli.files import find_files, read_sections
from llamaindex_vecx.cli.split import Splitter, count_units
from tests.cli.conftest import REPO, run_vecx
from tests.cli.tiny import TINY

DATA = REPO / "examples" / "data"


def passage(rank: int, file: str, heading: str, score: float = 1.0) -> Passage:
    metadata = {"file_path": file, "heading": heading}
    return Passage(rank, f"id{rank}", score, "text", metadata, {"bm25": Hit(rank, score)})


def test_every_expected_passage_exists_once() -> None:
    headings = []
    for file in find_files(demo_roots()).files:
        sections = read_sections(file, file.path.read_bytes(), "utf-8")
        nodes = Splitter().nodes(file, "f", sections)
        names = dict.fromkeys(node.metadata["heading"].rsplit(" › ", 1)[-1] for node in nodes)
        headings += [(file.shown, name) for name in names]
    questions = demo_questions(DATA)
    assert {question.mode for question in questions} == {"hybrid", "text_search"}
    for question in questions:
        assert headings.count((question.file, question.heading)) == 1, question


def test_each_passage_of_the_corpus_is_one_node() -> None:
    for language in ("en", "ko"):
        count = 0
        for file in find_files([DATA / language]).files:
            text = file.path.read_text(encoding="utf-8")
            nodes = Splitter().nodes(file, "f", read_sections(file, text.encode(), "utf-8"))
            assert len(nodes) == len(re.findall("^## ", text, re.MULTILINE)), file.shown
            assert min(len(count_units(node.text)) for node in nodes) > 15
            count += len(nodes)
        assert count >= 140, language


def test_the_rank_of_the_expected_passage() -> None:
    question = Question("?", "hybrid", "ko/food.md", "김치의 발효")
    answer = Answer(
        "?",
        "hybrid",
        [passage(1, "en/food.md", "김치의 발효"), passage(2, "ko/food.md", "음식 › 김치의 발효")],
    )
    assert rank_of_expected(question, answer) == 2
    assert rank_of_expected(question, Answer("?", "hybrid", answer.passages[:1])) is None


def test_answers_differ_by_order_and_score() -> None:
    one = [Answer("?", "hybrid", [passage(1, "a", "x"), passage(2, "b", "y", 0.5)])]
    swapped = [Answer("?", "hybrid", one[0].passages[::-1])]
    rescored = [
        Answer("?", "hybrid", [one[0].passages[0], replace(one[0].passages[1], score=0.51)])
    ]
    assert same_answers(one, one)
    assert not same_answers(one, swapped)
    assert not same_answers(one, rescored)
    assert not same_answers(one, [])
    assert not same_answers(one, [Answer("?", "hybrid", one[0].passages[:1])])


def test_headings_become_a_few_distinct_questions() -> None:
    questions = questions_from_headings(["a", "", "a", *map(str, range(20))])
    assert len(questions) == 4
    assert len({question.text for question in questions}) == 4
    assert questions_from_headings([]) == []


def test_the_demo_survives_its_kill(tmp_path: Path) -> None:
    done = run_vecx("demo", "--to", tmp_path / "kb", "--model", TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "was killed (status -9)" in done.stdout
    assert "the same passages with the same scores" in done.stdout
    assert re.search(r"Korean, BM25: first for \d of 6", done.stdout)
    info = json.loads(run_vecx("info", tmp_path / "kb", "--json", cwd=tmp_path).stdout)
    assert info["passages"] > 300


def test_a_folder_of_ones_own_is_asked_by_its_headings(notes: Path, tmp_path: Path) -> None:
    done = run_vecx("demo", "--docs", notes, "--to", tmp_path / "kb", "--model", TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "some of the headings are asked" in done.stdout
    assert "Bread needs yeast and time." in done.stdout
    assert "the same passages with the same scores" in done.stdout


@pytest.mark.parametrize("content", ["Only a line without a heading.\n", ""])
def test_a_folder_without_headings_says_what_to_do(tmp_path: Path, content: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text(content)
    done = run_vecx("demo", "--docs", "docs", "--to", "kb", "--model", TINY, cwd=tmp_path)
    assert done.returncode == 1
    assert "vecx ingest" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_error_in_the_child_is_told_in_one_line(tmp_path: Path) -> None:
    done = run_vecx("demo", "--to", "kb", "--model", "tests.cli.tiny:Absent", cwd=tmp_path)
    assert done.returncode == 1
    assert "tests.cli.tiny:Absent" in done.stderr
    assert "Traceback" not in done.stderr
