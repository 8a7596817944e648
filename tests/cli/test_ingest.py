from __future__ import annotations

from pathlib import Path

import pytest
from llama_index.core.schema import TextNode

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.cli import models
from tests.cli.conftest import Vecx, documents
from tests.cli.tiny import DIM, TINY, Tiny


def numbers(output: str) -> dict[str, int]:
    rows = (line.split() for line in output.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def test_a_folder_goes_in_with_its_metadata(vecx: Vecx, notes: Path, tmp_path: Path) -> None:
    result = vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    assert numbers(result.output) == {
        "added": 3,
        "replaced": 0,
        "unchanged": 0,
        "removed": 0,
        "passages": 4,
    }
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        bread = next(node for node in store.get_nodes() if "yeast" in node.get_content())
        assert bread.metadata["file_path"] == "kitchen.md"
        assert bread.metadata["heading"] == "Kitchen › Bread"
        assert bread.ref_doc_id == (notes / "kitchen.md").as_posix()
        assert store.client.note("embed_model")["name"] == TINY
        assert store.client.note("embed_model")["dimension"] == DIM


def test_a_second_run_adds_nothing_and_loads_no_model(
    vecx: Vecx, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    monkeypatch.setattr(
        models, "load_embed_model", lambda note: pytest.fail("the model was loaded")
    )
    result = vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    assert numbers(result.output)["unchanged"] == 3
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        assert len(store) == 4


def test_only_what_changed_is_replaced(vecx: Vecx, notes: Path, tmp_path: Path) -> None:
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    (notes / "kitchen.md").write_text("# Kitchen\n\n## Rice\n\nRice is boiled.\n")
    (notes / "new.md").write_text("# New\n\nHere.\n")
    result = vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    counted = numbers(result.output)
    assert (counted["added"], counted["replaced"], counted["unchanged"]) == (1, 1, 2)
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        assert documents(store)[(notes / "kitchen.md").as_posix()] == ["## Rice\n\nRice is boiled."]
        assert len(store) == 4


def test_a_file_that_became_empty_leaves_no_passage(
    vecx: Vecx, notes: Path, tmp_path: Path
) -> None:
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    (notes / "kitchen.md").write_text("")
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        assert (notes / "kitchen.md").as_posix() not in documents(store)


def test_other_chunks_replace_everything_and_are_remembered(
    vecx: Vecx, notes: Path, tmp_path: Path
) -> None:
    arguments = ("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    vecx(*arguments)
    assert (
        numbers(vecx(*arguments, "--chunk-size", 20, "--chunk-overlap", 4).output)["replaced"] == 3
    )
    assert numbers(vecx(*arguments).output)["unchanged"] == 3
    assert "--chunk-overlap 20" in vecx(*arguments, "--chunk-overlap", 20, code=1).output


def test_files_that_are_gone_go_only_with_prune(vecx: Vecx, notes: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "far.md").write_text("# Far\n\nAway.\n")
    vecx("ingest", notes, other, "--to", tmp_path / "kb", "--model", TINY)
    (notes / "kitchen.md").unlink()
    (other / "far.md").unlink()
    result = vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    assert "1 documents are stored whose file is gone" in result.output
    result = vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY, "--prune")
    assert numbers(result.output)["removed"] == 1
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        left = documents(store)
        assert (notes / "kitchen.md").as_posix() not in left
        assert (other / "far.md").as_posix() in left  # under a folder that was not named


def test_a_document_of_two_versions_is_mended(vecx: Vecx, notes: Path, tmp_path: Path) -> None:
    """What a kill leaves behind when it comes between the new version and the old."""
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    with HNSWVectorStore(tmp_path / "kb") as store:
        node = next(node for node in store.get_nodes() if "yeast" in node.get_content())
        stale = TextNode.from_dict({**node.to_dict(), "id_": "stale"})
        stale.metadata["content_hash"] = "0" * 32
        store.add([stale])
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        assert store.get_nodes(["stale"]) == []
        assert len(store) == 4


def test_nodes_that_others_added_are_left_alone(vecx: Vecx, notes: Path, tmp_path: Path) -> None:
    with HNSWVectorStore(tmp_path / "kb") as store:
        store.add([TextNode(id_="mine", text="x", embedding=[1.0] * DIM)])
    result = vecx("ingest", notes, "--to", tmp_path / "kb", code=1)
    assert "records no embedding model" in result.output
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY, "--prune")
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        assert [node.node_id for node in store.get_nodes(["mine"])] == ["mine"]


def test_another_model_is_refused_by_both_names(vecx: Vecx, notes: Path, tmp_path: Path) -> None:
    vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    result = vecx("ingest", notes, "--to", tmp_path / "kb", "--model", "other/model", code=1)
    assert TINY in result.output
    assert "other/model" in result.output


def test_an_unreadable_file_is_named_and_the_rest_goes_in(
    vecx: Vecx, notes: Path, tmp_path: Path
) -> None:
    (notes / "old.txt").write_bytes("낡은 글".encode("cp949"))
    result = vecx("ingest", notes, "--to", tmp_path / "kb", "--model", TINY)
    assert "Could not read old.txt" in result.output
    assert numbers(result.output)["added"] == 3
    result = vecx(
        "ingest", notes / "old.txt", "--to", tmp_path / "kb", "--model", TINY, "--encoding", "cp949"
    )
    assert numbers(result.output)["added"] == 1


def test_nothing_readable_is_an_error(vecx: Vecx, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("낡은 글".encode("cp949"))
    result = vecx("ingest", tmp_path / "old.txt", "--to", tmp_path / "kb", "--model", TINY, code=1)
    assert "none of the files could be read" in result.output


def test_ctrl_c_keeps_what_was_counted(
    vecx: Vecx, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        body = "".join(f"## Part {part}\n\nWords of {number}.\n\n" for part in range(40))
        (notes / f"long{number}.md").write_text(body)

    class Interrupted(Tiny):
        calls: int = 0

        def _get_text_embedding(self, text: str) -> list[float]:
            self.calls += 1
            if self.calls > 150:
                raise KeyboardInterrupt
            return super()._get_text_embedding(text)

    monkeypatch.setattr(models, "load_embed_model", lambda note: Interrupted())
    result = vecx("ingest", notes, "--to", tmp_path / "kb", code=130)
    assert "Stopped" in result.output
    counted = numbers(result.output)["added"]
    assert 0 < counted < 8
    with HNSWVectorStore(tmp_path / "kb", read_only=True) as store:
        assert len(documents(store)) == counted
    monkeypatch.setattr(models, "load_embed_model", lambda note: Tiny())
    result = vecx("ingest", notes, "--to", tmp_path / "kb")
    assert numbers(result.output)["added"] == 8 - counted


def test_a_path_that_is_not_there_is_a_usage_error(vecx: Vecx, tmp_path: Path) -> None:
    vecx("ingest", tmp_path / "absent", "--to", tmp_path / "kb", code=2)
    assert not (tmp_path / "kb").exists()
