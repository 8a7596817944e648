"""``vecx finetune`` on a tiny model and a tiny BEIR folder."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from llamaindex_vecx.cli.app import app
from tests import tiny_models

pytestmark = pytest.mark.model

ANIMALS = ["cat", "dog", "cow", "hen", "fox", "owl", "bee", "ant", "elk", "yak", "eel", "ape"]


@pytest.fixture
def beir(tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": f"d{n}", "text": f"the {a} lives in the hill"} for n, a in enumerate(ANIMALS)]
    queries = [{"_id": f"q{n}", "text": f"where is the {a}"} for n, a in enumerate(ANIMALS)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)), "utf-8")
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)), "utf-8")
    rows = "\n".join(f"q{n}\td{n}\t1" for n in range(len(ANIMALS)))
    (folder / "qrels" / "train.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}\n", "utf-8")
    return folder


def run(*arguments):
    return CliRunner().invoke(app, ["finetune", *map(str, arguments)])


def test_an_embedding_model_and_a_reranker(beir, tmp_path):
    pytest.importorskip("datasets")
    base = tiny_models.save_encoder(tmp_path / "base")
    made = run(
        "reranker", beir, "--to", tmp_path / "ce", "--base", base, "--epochs", 1, "--share", 0.5
    )
    assert made.exit_code == 0, made.output
    assert "reranked" in made.output
    assert f"CrossEncoderRerank(model='{tmp_path / 'ce'}')" in made.output.replace("\n", "")
    again = run("embedding", beir, "--to", tmp_path / "ce", "--base", base)
    assert again.exit_code == 1
    assert "exists already; give another folder, or overwrite=True" in again.output
    embedder = tiny_models.save_embedder(tmp_path / "embedder")
    body = run(
        "embedding", beir, "--to", tmp_path / "st", "--base", embedder, "--epochs", 1, "--share", 0,
        "--json",
    )  # fmt: skip
    assert body.exit_code == 0, body.output
    report = json.loads(body.stdout[body.stdout.index("{") :])
    assert report["kind"] == "embedding"
    assert report["held_out_queries"] == 0


def test_wrong_input_is_one_line(beir, tmp_path):
    for arguments, message in [
        (("embedding", tmp_path / "absent.json", "--to", tmp_path / "x"), "is no file"),
        (("embedding", beir, "--split", "dev", "--to", tmp_path / "x"), "has no qrels/dev.tsv"),
        (("reranker", beir, "--share", 2, "--to", tmp_path / "x"), "share=2.0 of held-out"),
    ]:
        done = run(*arguments)
        assert done.exit_code == 1, done.output
        assert message in done.output.replace("\n", "")
