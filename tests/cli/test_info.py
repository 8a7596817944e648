from __future__ import annotations

import json
from pathlib import Path

import pytest

from llamaindex_vecx import HNSWVectorStore, __version__
from tests.cli.conftest import Vecx, run_vecx
from tests.cli.tiny import DIM, TINY


@pytest.fixture
def kb(vecx: Vecx, notes: Path, tmp_path: Path) -> Path:
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    return tmp_path / "kb"


def test_json_says_what_the_collection_is(vecx: Vecx, kb: Path) -> None:
    facts = json.loads(vecx("info", kb, "--json").output)
    assert facts["passages"] == 4
    assert facts["dim"] == DIM
    assert facts["metric"] == "cosine"
    assert facts["index"] == "hnsw"
    assert facts["index_params"]["M"] == 16
    assert facts["embed_model"]["name"] == TINY
    assert facts["tokenizer"].startswith("default")
    assert facts["seq"] > 0
    assert facts["bytes_on_disk"] > 1000


def test_views_are_up_to_date_after_an_ingest_and_behind_after_an_add(vecx: Vecx, kb: Path) -> None:
    views = json.loads(vecx("info", kb, "--json").output)["views"]
    assert set(views) == {"graph", "text", "metadata"}
    assert {view["state"] for view in views.values()} == {"up to date"}
    store = HNSWVectorStore(kb)
    node = store.get_nodes()[0]
    store.add([node.model_copy(update={"id_": "more"})])
    states = {
        view["state"] for view in json.loads(vecx("info", kb, "--json").output)["views"].values()
    }
    assert any("behind" in state for state in states)
    store.close()


def test_a_damaged_snapshot_is_called_so(kb: Path) -> None:
    (kb / "views" / "text" / "manifest.json").write_text("no manifest")
    assert "text: damaged, will be rebuilt" in run_vecx("info", kb, cwd=kb).stdout
    done = run_vecx("ask", "yeast", "--from", kb, "--mode", "text_search", cwd=kb)
    assert "Bread needs yeast" in done.stdout
    assert done.stderr.startswith("Note: ")
    assert done.stderr.count("\n") == 1


def test_the_table_is_for_people(vecx: Vecx, kb: Path) -> None:
    output = vecx("info", kb).output
    assert f"{TINY} ({DIM})" in output
    assert "M=16" in output
    assert " KB" in output


def test_what_is_no_collection(vecx: Vecx, tmp_path: Path) -> None:
    assert "vecx ingest" in vecx("info", tmp_path / "absent", code=1).output


def test_version(vecx: Vecx) -> None:
    assert vecx("--version").output == f"vecx {__version__}\n"
