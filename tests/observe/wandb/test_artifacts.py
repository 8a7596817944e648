from __future__ import annotations

import base64
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.vector_stores import SimpleVectorStore

from llamaindex_vecx import BM25Retriever, FlatVectorStore, HNSWVectorStore, WandbHandler
from llamaindex_vecx.errors import FormatError, InvalidInputError, UnsupportedError
from llamaindex_vecx.observe import log_index, use_index

from ...conformance.library import library, near, says
from ...words import WordHashEmbedding
from ..wandb_files import artifacts

wandb = pytest.importorskip("wandb", reason="needs the extra wandb")

QUERIES = [near(2.2, 4), near(7, 3), says("captain storm"), says("김치 된장")]


def answers(store: Any) -> list[Any]:
    return [(result.ids, result.similarities) for result in map(store.query, QUERIES)]


def downloaded(logged: Any, folder: Path) -> Path:
    """What ``artifact.download()`` leaves: every file of the manifest, whose digest is right."""
    for file in logged.manifest.contents:
        content = Path(file.local_path).read_bytes()
        assert base64.b64encode(hashlib.md5(content).digest()).decode() == file.digest
        assert len(content) == file.size
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Artifacts of one offline run, and what the store answered when it was logged."""
    patch = pytest.MonkeyPatch()
    root = tmp_path_factory.mktemp("artifacts")
    patch.setenv("WANDB_MODE", "offline")
    patch.setenv("WANDB_DATA_DIR", str(root / "data"))
    store = HNSWVectorStore(path=root / "kb", M=8, tokenizer="default")
    store.add(library())
    expected = answers(store)
    bm25 = BM25Retriever.from_defaults(nodes=library(), similarity_top_k=3)
    with WandbHandler("rag", dir=root / "run") as handler:
        handler.log_index(
            store,
            "kb",
            aliases=["best"],
            study="team/rag/study:v3",
            inputs=["team/rag/corpus:v1"],
            notes={"recall": 0.97},
        )
        log_index(bm25, "keywords", run=handler)
        run = handler.run
    store.close()
    patch.undo()
    return {
        "found": artifacts(root / "run"),
        "expected": expected,
        "run": run,
        "bm25": [hit.node_id for hit in bm25.retrieve("captain storm")],
    }


def test_every_file_is_in_the_manifest_with_its_digest(logged, tmp_path):
    artifact = logged["found"]["kb"]
    assert artifact.type == "collection"
    assert sorted(artifact.aliases) == ["best", "latest"]
    folder = downloaded(artifact, tmp_path / "down")
    names = {file.path for file in artifact.manifest.contents}
    assert {"manifest.json", "content/collection.sqlite3"} <= names
    own = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert set(own["files"]) == names - {"manifest.json"}


def test_it_says_what_made_it(logged):
    facts = json.loads(logged["found"]["kb"].metadata)
    assert (facts["kind"], facts["nodes"], facts["dim"]) == ("HNSWVectorStore", 10, 4)
    assert facts["settings"]["index_params"]["M"] == 8
    assert facts["recall"] == 0.97
    made_by = facts["made_by"]
    assert made_by["run"].endswith(f"rag/{logged['run'].id}")
    assert made_by["study"] == "team/rag/study:v3"
    assert made_by["inputs"] == ["team/rag/corpus:v1"]


def test_a_downloaded_collection_answers_as_the_one_that_was_logged(logged, tmp_path):
    folder = downloaded(logged["found"]["kb"], tmp_path / "down")
    with use_index(folder, tmp_path / "kb") as store:
        assert isinstance(store, HNSWVectorStore)
        assert store.M == 8
        assert answers(store) == logged["expected"]
        store.delete("doc1")
    with use_index(folder, tmp_path / "again", read_only=True) as again:
        assert len(again) == 10, "the download is not what was opened"


def test_a_keyword_retriever_comes_back(logged, tmp_path):
    folder = downloaded(logged["found"]["keywords"], tmp_path / "down")
    retriever = use_index(folder, tmp_path / "bm25", similarity_top_k=3)
    assert [hit.node_id for hit in retriever.retrieve("captain storm")] == logged["bm25"]


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("harm", [_cut, _flip, Path.unlink], ids=["cut", "flipped", "missing"])
def test_a_damaged_download_is_refused_and_nothing_is_written(logged, tmp_path, harm):
    folder = downloaded(logged["found"]["kb"], tmp_path / "down")
    harm(folder / "content" / "collection.sqlite3")
    with pytest.raises(FormatError, match="collection.sqlite3"):
        use_index(folder, tmp_path / "kb")
    assert not (tmp_path / "kb").exists()


def test_a_file_too_many_and_a_damaged_or_missing_manifest(logged, tmp_path):
    folder = downloaded(logged["found"]["kb"], tmp_path / "down")
    (folder / "content" / "more").write_text("x")
    with pytest.raises(FormatError, match="more"):
        use_index(folder, tmp_path / "kb")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(FormatError, match="manifest.json is damaged"):
        use_index(folder, tmp_path / "kb")
    (folder / "manifest.json").write_text('{"format": 99, "files": {}}')
    with pytest.raises(FormatError, match="pip install -U"):
        use_index(folder, tmp_path / "kb")
    (folder / "manifest.json").unlink()
    with pytest.raises(FormatError, match="no manifest.json"):
        use_index(folder, tmp_path / "kb")
    assert [path.name for path in tmp_path.iterdir() if path.name != "down"] == []


def test_a_taken_path_is_not_overwritten(logged, tmp_path):
    folder = downloaded(logged["found"]["kb"], tmp_path / "down")
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "mine").write_text("x")
    with pytest.raises(InvalidInputError, match="kb.*is taken"):
        use_index(folder, tmp_path / "kb")
    assert (tmp_path / "kb" / "mine").read_text() == "x"


def test_a_store_in_memory_and_an_index_over_it(tmp_path):
    index = VectorStoreIndex.from_vector_store(FlatVectorStore(), embed_model=WordHashEmbedding())
    index.vector_store.add(library())
    with WandbHandler("rag", dir=tmp_path / "run") as handler:
        handler.log_index(index, "kb")
    folder = downloaded(artifacts(tmp_path / "run")["kb"], tmp_path / "down")
    with use_index(folder, tmp_path / "kb") as store:
        assert isinstance(store, FlatVectorStore)
        assert answers(store) == answers(index.vector_store)


def test_snapshots_travel_with_the_rows(tmp_path):
    store = HNSWVectorStore(path=tmp_path / "mine")
    store.add(library())
    store.query(near(1))
    store.flush()
    views = tmp_path / "mine" / "views"
    with WandbHandler("rag", dir=tmp_path / "run") as handler:
        handler.log_index(store, "kb")
    names = {file.path for file in artifacts(tmp_path / "run")["kb"].manifest.contents}
    there = {path.relative_to(tmp_path / "mine").as_posix() for path in views.rglob("*.npy")}
    assert {f"content/{name}" for name in there} <= names
    store.close()
    shutil.rmtree(tmp_path / "mine")


def test_bad_input_is_named(tmp_path):
    with pytest.raises(InvalidInputError, match="no W&B run is open"):
        log_index(FlatVectorStore(), "kb")
    with WandbHandler("rag", dir=tmp_path) as handler:
        with pytest.raises(InvalidInputError, match="not int"):
            handler.log_index(7, "kb")
        with pytest.raises(UnsupportedError, match="SimpleVectorStore"):
            handler.log_index(SimpleVectorStore(), "kb")
