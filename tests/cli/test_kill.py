"""The ingest killed at several moments: every document is whole, in its old or its new version."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.cli.split import HASH_KEY
from tests.cli.conftest import command, documents, environment, run_vecx
from tests.cli.tiny import SLOW

FILES, PARTS = 12, 24


def write(folder: Path, version: str) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(FILES):
        parts = (f"## Part {part}\n\n{version} words of {number}.\n\n" for part in range(PARTS))
        (folder / f"doc{number:02}.md").write_text("".join(parts))


def expected(folder: Path, version: str) -> dict[str, list[str]]:
    return {
        (folder / f"doc{number:02}.md").as_posix(): sorted(
            f"## Part {part}\n\n{version} words of {number}." for part in range(PARTS)
        )
        for number in range(FILES)
    }


def ingest_and_kill(kb: Path, notes: Path, cwd: Path, until_seq: int) -> None:
    """Run an ingest; SIGKILL it as soon as the collection has come that far."""
    process = subprocess.Popen(
        command("ingest", notes, "--to", kb, "--model", SLOW),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (kb / "collection.sqlite3").exists() and seq(kb) >= until_seq:
            break
        time.sleep(0.002)
    assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()


def seq(kb: Path) -> int:
    try:
        with HNSWVectorStore(kb, read_only=True) as store:
            return store.client.seq
    except OSError:  # the database is being made
        return 0


@pytest.mark.parametrize("share", [pytest.param(0.05, marks=pytest.mark.slow), 0.5])
def test_a_killed_ingest_keeps_whole_documents_and_goes_on(tmp_path: Path, share: float) -> None:
    notes, kb = tmp_path / "notes", tmp_path / "kb"
    write(notes, "old")
    ingest_and_kill(kb, notes, tmp_path, int(FILES * PARTS * share))
    new = expected(notes, "old")
    with HNSWVectorStore(kb, read_only=True) as store:
        left = documents(store)
    assert 0 < len(left) < FILES
    assert all(texts == new[name] for name, texts in left.items())
    done = run_vecx("ingest", notes, "--to", kb, "--model", SLOW, cwd=tmp_path)
    assert f"unchanged  {len(left)}" in done.stdout
    with HNSWVectorStore(kb, read_only=True) as store:
        assert documents(store) == new


def test_a_killed_replacement_loses_no_document(tmp_path: Path) -> None:
    notes, kb = tmp_path / "notes", tmp_path / "kb"
    write(notes, "old")
    assert run_vecx("ingest", notes, "--to", kb, "--model", SLOW, cwd=tmp_path).returncode == 0
    first = seq(kb)
    write(notes, "new")
    ingest_and_kill(kb, notes, tmp_path, first + 1)
    old, new = expected(notes, "old"), expected(notes, "new")
    with HNSWVectorStore(kb, read_only=True) as store:
        versions: dict[str, dict[str, list[str]]] = {}
        for node in store.get_nodes():
            by_hash = versions.setdefault(str(node.ref_doc_id), {})
            by_hash.setdefault(node.metadata[HASH_KEY], []).append(node.get_content())
    assert set(versions) == set(old)
    for name, by_hash in versions.items():
        assert all(sorted(texts) in (old[name], new[name]) for texts in by_hash.values())
    run_vecx("ingest", notes, "--to", kb, "--model", SLOW, cwd=tmp_path)
    with HNSWVectorStore(kb, read_only=True) as store:
        assert documents(store) == new
