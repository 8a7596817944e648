"""The page and the command that starts it, without a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

import llamaindex_vecx
from llamaindex_vecx.cli.inspect import judged_folder, streamlit_command
from llamaindex_vecx.errors import MissingExtraError, NotACollectionError
from tests.cli.conftest import vecx  # noqa: F401 - a fixture
from tests.cli.tiny import TINY

pytest.importorskip("streamlit", reason="pip install 'llamaindex-vecx[ui]'")


def page(collection: str, judged: str, model: str | None, language: str) -> None:
    from argparse import Namespace

    from llamaindex_vecx.inspect.page import show

    show(
        Namespace(collection=collection, judged=judged, model=model, rerank=None, language=language)
    )


@pytest.fixture
def app(folder: Path, tmp_path: Path):
    from streamlit.testing.v1 import AppTest

    def start(model: str | None = TINY, language: str = "en"):
        arguments = (str(folder), str(tmp_path / "judged"), model, language)
        return AppTest.from_function(page, args=arguments, default_timeout=60).run()

    return start


def test_from_question_to_judgements(app, tmp_path: Path):
    at = app()
    assert not at.exception
    at.text_input[0].set_value("night shift backup")
    at.button[0].click().run()
    assert not at.exception
    assert "Recall of the dense list against exact search: 1.000" in str(
        at.get("progress")[0].proto
    )
    judge = next(b for b in at.button_group if "judged:" in str(b.key))
    judge.set_value([1]).run()
    assert not at.exception
    node_id = judge.key.rpartition(":")[2]
    qrels = (tmp_path / "judged" / "qrels" / "test.tsv").read_text("utf-8")
    assert f"q1\t{node_id}\t1\n" in qrels
    assert any("vecx eval" in code.value for code in at.code)


def test_a_judgement_made_before_is_shown(app, tmp_path: Path):
    from llamaindex_vecx.inspect import Judgements

    Judgements(tmp_path / "judged").judge("green tea", "tea", 0)
    at = app()
    at.text_input[0].set_value("green tea")
    at.button[0].click().run()
    shown = {b.key.rpartition(":")[2]: b.value for b in at.button_group if "judged:" in str(b.key)}
    assert shown["tea"] in (0, [0])
    assert shown["keys"] in (None, [])


def test_korean_and_without_a_model(app):
    at = app(model=None, language="ko")
    assert "인스펙터" in at.title[0].value
    assert (
        "키워드로만" in at.info[0].value
    )  # a class is never imported because a collection says so
    at.text_input[0].set_value("연차")
    at.button[0].click().run()
    assert not at.exception
    assert any("연차는 사흘 전에" in text.value for text in at.text)


def test_settings_reach_the_search(app):
    at = app()
    at.text_input[0].set_value("night shift backup")
    at.button[0].click().run()
    before = len(at.text)
    at.sidebar.slider[0].set_value(1).run()
    assert 1 <= len(at.text) < before


def test_the_command_serves_this_machine_alone():
    command = streamlit_command(8501, ["kb"], browser=False)
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--browser.gatherUsageStats") + 1] == "false"
    assert command[-2:] == ["--", "kb"]


def test_where_judgements_go(tmp_path: Path):
    assert judged_folder(tmp_path / "kb") == tmp_path / "kb-judged"


def test_what_is_no_collection_is_refused_before_anything_starts(vecx, tmp_path: Path):  # noqa: F811
    result = vecx("inspect", tmp_path / "none", "--no-browser", code=1)
    assert "no collection" in result.output
    with pytest.raises(NotACollectionError):
        vecx("--debug", "inspect", tmp_path / "none", "--no-browser")


def test_a_missing_extra_is_named(monkeypatch, folder: Path):
    import llamaindex_vecx.cli.inspect as command

    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"llamaindex-vecx\[ui\]"):
        command.inspect(folder)


def test_only_the_page_needs_streamlit():
    modules = Path(llamaindex_vecx.__file__).parent.rglob("*.py")
    using = {file.name for file in modules if "import streamlit" in file.read_text("utf-8")}
    assert using == {"page.py"}
