"""``vecx eval``: the twenty questions over this repo's docs, two modes compared, the gate, the files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamaindex_vecx.evaluation import load_labelled
from tests.cli.conftest import REPO, Vecx
from tests.cli.tiny import TINY
from tests.evaluation.scifact import bm25_run, folder

QUESTIONS = REPO / "examples" / "data" / "docs-questions.json"
LLM = "tests.cli.test_eval:make_judge"


def make_judge() -> object:
    from tests.evaluation.test_answers import judge

    return judge(context="[RESULT] many")


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This repo's README and docs, embedded without a model."""
    from typer.testing import CliRunner

    from llamaindex_vecx.cli.app import app

    path = tmp_path_factory.mktemp("eval") / "kb"
    sources = [str(REPO / "README.md"), str(REPO / "docs")]
    done = CliRunner().invoke(app, ["ingest", *sources, "--to", str(path), "--model", TINY])
    assert done.exit_code == 0, done.output
    return path


@pytest.fixture
def notes_questions(tmp_path: Path) -> Path:
    file = tmp_path / "questions.csv"
    file.write_text("question,relevant\nWhat does bread need?,kitchen.md\n점심,학교.md\n", "utf-8")
    return file


def test_the_twenty_questions_are_of_files_that_are_there() -> None:
    labelled = load_labelled(QUESTIONS)
    assert len(labelled) == 20
    assert not labelled.unjudged
    names = {path.name for path in (REPO / "docs").rglob("*.md")} | {"README.md"}
    assert set(labelled.relevant_ids()) <= names


def test_two_modes_compared_and_written_to_files(vecx: Vecx, kb: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / f"e.{name}" for name in ("json", "csv", "html", "png", "svg")}
    output = vecx(
        "eval", QUESTIONS, "--from", kb, "--model", TINY, "--mode", "hybrid", "--mode", "text_search",
        "--save", files["json"], "--csv", files["csv"], "--html", files["html"], "--png", files["png"],
        "--write-run", tmp_path / "e.trec", "--fail-under", "ndcg@10=0.3",
    ).output  # fmt: skip
    assert "ndcg@10: text_search" in output
    assert "p = " in output
    assert "Passed: ndcg@10 ≥ 0.3" in output
    assert "Worst of hybrid" in output
    assert files["csv"].read_text("utf-8").count("\n") == 21
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert "<svg" in files["html"].read_text("utf-8")
    again = vecx(
        "eval", QUESTIONS, "--from", kb, "--mode", "text_search", "--against", files["json"],
        "--png", files["svg"],
    ).output  # fmt: skip
    assert "hybrid (saved)" in again
    assert files["svg"].read_text("utf-8").startswith("<svg")
    # what was written as a run has the same measures
    run = vecx("eval", QUESTIONS, "--run", tmp_path / "e.trec", "--json").output
    means = json.loads(run)["evaluations"][0]["means"]
    assert means == json.loads(files["json"].read_text("utf-8"))["means"]


def test_the_gate_fails(vecx: Vecx, kb: Path) -> None:
    output = vecx(
        "eval",
        QUESTIONS,
        "--from",
        kb,
        "--mode",
        "text_search",
        "--fail-under",
        "mrr@3=0.999",
        code=1,
    ).output
    assert "under 0.999" in output
    assert "Passed" not in output
    vecx("eval", QUESTIONS, "--from", kb, "--mode", "text_search", "--fail-under", "mrr@3=0.1")


def test_json_names_what_failed(vecx: Vecx, kb: Path) -> None:
    output = vecx(
        "eval", QUESTIONS, "--from", kb, "--mode", "text_search", "--limit", 3, "--json",
        "--fail-under", "precision@10=1", "--price", 0.02, code=1,
    ).stdout  # fmt: skip
    value = json.loads(output)
    assert len(value["evaluations"][0]["results"]) == 3
    assert value["failures"][0].startswith("precision@10 is 0.")
    assert value["evaluations"][0]["costs"]["usd_per_1000"] == 0


def test_answers_are_judged(vecx: Vecx, kb: Path) -> None:
    output = vecx(
        "eval", QUESTIONS, "--from", kb, "--mode", "text_search", "--limit", 2, "--judge", LLM
    ).output
    assert "faithfulness" in output
    assert "2 of 2 judgements of context_relevancy are invalid" in output
    for bad in ("nothing", "tests.cli.tiny:TINY", "no.such:thing"):
        output = vecx(
            "eval", QUESTIONS, "--from", kb, "--mode", "text_search", "--judge", bad, code=1
        )
        assert "LLM" in output.output or "must be module:Class" in output.output


def test_labels_of_another_collection(vecx: Vecx, kb: Path, notes_questions: Path) -> None:
    output = vecx(
        "eval",
        notes_questions,
        "--from",
        kb,
        "--mode",
        "text_search",
        "--group-by",
        "file_name",
        code=1,
    ).output
    assert "none of the 2 relevant ids" in output
    assert "'kitchen.md'" in output
    output = vecx("eval", notes_questions, "--from", kb, "--mode", "text_search", code=1).output
    assert "Say what they name with group_by" in output


def test_what_is_missing_is_said(vecx: Vecx, kb: Path, tmp_path: Path) -> None:
    assert "give either --from" in vecx("eval", QUESTIONS, code=1).output
    assert "no such file" in vecx("eval", tmp_path / "x", "--from", kb, code=1).output
    assert "brings no corpus" in vecx("eval", QUESTIONS, "--from", kb, "--ingest", code=1).output
    (tmp_path / "empty.trec").write_text("")
    output = vecx("eval", QUESTIONS, "--run", tmp_path / "empty.trec", code=1).output
    assert "is empty" in output


def test_a_file_that_has_no_folder_is_refused_before_anything_is_asked(
    vecx: Vecx, kb: Path, tmp_path: Path
) -> None:
    there_is_none = tmp_path / "absent" / "e.json"
    output = vecx("eval", QUESTIONS, "--from", kb, "--save", there_is_none, code=1).output
    assert "there is no folder" in output


def test_a_corpus_goes_in_once(vecx: Vecx, tmp_path: Path) -> None:
    paragraphs = [
        {"context": text, "qas": [{"id": str(place), "question": question}]}
        for place, (text, question) in enumerate(
            [("학교에서 점심을 먹는다.", "점심은 어디서 먹나?"), ("바다는 짜다.", "바다는 어떤가?")]
        )
    ]
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"data": [{"title": "글", "paragraphs": paragraphs}]}), "utf-8")
    for _ in range(2):
        output = vecx("eval", file, "--from", tmp_path / "kb", "--ingest", "--model", TINY).output
        assert "1.0000" in output
    assert json.loads(vecx("info", tmp_path / "kb", "--json").output)["passages"] == 2


def test_a_run_of_scifact(vecx: Vecx, tmp_path: Path) -> None:
    file = tmp_path / "bm25.trec"
    lines = [
        f"{query} Q0 {id_} 0 {score!r} bm25\n"
        for query, found in bm25_run().items()
        for id_, score in found.items()
    ]
    file.write_text("".join(lines))
    output = vecx("eval", folder("scifact"), "--run", file, "--fail-under", "ndcg@10=0.65").output
    assert "Passed: ndcg@10 ≥ 0.65" in output
    assert "scifact (test)" in output


def test_the_wandb_run(
    vecx: Vecx, kb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="pip install 'llamaindex-vecx[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    vecx("eval", QUESTIONS, "--from", kb, "--mode", "text_search", "--limit", 4, "--wandb", "vecx")
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    tables = [json.loads(path.read_text("utf-8")) for path in run.rglob("*.table.json")]
    rows = {len(table["data"]): table["columns"] for table in tables}
    assert set(rows) == {1, 4}
    assert rows[4][:3] == ["query", "text", "ndcg@10"]
    assert list(run.rglob("*.png"))
