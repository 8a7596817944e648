"""A collection small enough to know by heart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from llama_index.core.schema import TextNode

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.cli.models import NOTE_KEY, ModelNote
from tests.cli.tiny import TINY, Tiny

TEXTS = {
    "backup": ("ops.md", "Backups", "Backups run at three at night and are kept for a month."),
    "restore": ("ops.md", "Restore", "To restore a backup ask the night shift for the newest one."),
    "keys": ("ops.md", "Keys", "Keys are rotated every ninety days by the night shift."),
    "tea": ("office.md", "Tea", "The kitchen has green tea and black tea."),
    "leave": ("office.md", "연차", "연차는 사흘 전에 신청한다."),
    "meals": ("office.md", "식대", "식대는 한 달에 이십만 원이다."),
}


def fill(path: Path) -> Path:
    model = Tiny()
    with HNSWVectorStore(path=path) as store:
        store.add(
            [
                TextNode(
                    id_=id_,
                    text=f"# {heading}\n\n{text}",
                    metadata={"file_name": file, "heading": heading, "tags": [file[:3], "all"]},
                    embedding=model.get_text_embedding(text),
                )
                for id_, (file, heading, text) in TEXTS.items()
            ]
        )
        store.client.set_note(NOTE_KEY, ModelNote(TINY, 24).to_json())
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("inspect") / "kb")


@pytest.fixture(scope="session")
def store(folder: Path) -> Iterator[HNSWVectorStore]:
    with HNSWVectorStore(path=folder, read_only=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def model() -> Tiny:
    return Tiny()
