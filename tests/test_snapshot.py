"""Snapshots: whole or refused, never half, never altered."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from llamaindex_vecx.errors import DamagedSnapshotError
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

ARRAYS = {
    "vectors": np.arange(12, dtype=np.float32).reshape(3, 4),
    "rows": np.array([5, 6, 7], dtype=np.int64),
    "none": np.empty((0, 4), dtype=np.int8),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "views" / "graph"
    write_snapshot(folder, kind="test", params={"M": 16}, arrays=ARRAYS, stamp={"seq": 9})
    return folder


def test_what_is_written_is_read(folder):
    snapshot = read_snapshot(folder, kind="test")
    assert (snapshot.params, snapshot.stamp) == ({"M": 16}, {"seq": 9})
    assert snapshot.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(snapshot.arrays[name], array)
        assert snapshot.arrays[name].dtype == array.dtype


def test_writing_to_an_opened_array_leaves_the_file_alone(folder):
    read_snapshot(folder, kind="test").arrays["vectors"][:] = 0
    np.testing.assert_array_equal(
        read_snapshot(folder, kind="test").arrays["vectors"], ARRAYS["vectors"]
    )


def test_an_array_still_open_survives_a_new_snapshot(folder):
    opened = read_snapshot(folder, kind="test").arrays["vectors"]
    write_snapshot(folder, kind="test", params={}, arrays={"vectors": np.zeros((1, 1))})
    np.testing.assert_array_equal(opened, ARRAYS["vectors"])
    assert read_snapshot(folder, kind="test").arrays["vectors"].shape == (1, 1)
    assert [entry.name for entry in folder.parent.iterdir()] == ["graph"]


@pytest.mark.parametrize("file", ["manifest.json", "vectors.npy", "rows.npy", "none.npy"])
@pytest.mark.parametrize("fault", ["flipped", "cut", "lengthened", "removed", "emptied"])
def test_every_fault_in_every_file_is_seen(folder, file, fault):
    path = folder / file
    content = path.read_bytes()
    if fault == "flipped":
        middle = len(content) - 1 if file != "none.npy" else 20
        content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    changed = {
        "flipped": content,
        "cut": content[:-1],
        "lengthened": content + b"\0",
        "emptied": b"",
        "removed": None,
    }[fault]
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)
    with pytest.raises(DamagedSnapshotError, match=file):
        read_snapshot(folder, kind="test")


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.filterwarnings("ignore:Reading .npy or .npz file required additional header parsing")
def test_no_flipped_bit_of_a_header_gets_past(folder):
    """numpy reads a header as Python does source: what it raises depends on Python's version."""
    file = folder / "none.npy"
    whole = file.read_bytes()
    for at in range(80):
        for bit in range(8):
            file.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            try:
                read = read_snapshot(folder, kind="test").arrays["none"]
            except DamagedSnapshotError:
                continue
            assert (read.shape, read.dtype) == ((0, 4), np.int8), (at, bit)


def test_another_kind_or_format_is_refused(folder):
    with pytest.raises(DamagedSnapshotError, match="'test', not 'other'"):
        read_snapshot(folder, kind="other")
    import zlib

    manifest = folder / "manifest.json"
    body = manifest.read_text().partition("\n")[2].replace('"format": 1', '"format": 2')
    manifest.write_text(json.dumps({"crc32": zlib.crc32(body.encode())}) + "\n" + body)
    with pytest.raises(DamagedSnapshotError, match="format 2"):
        read_snapshot(folder, kind="test")


def test_a_pickle_is_never_loaded(folder, tmp_path):
    np.save(folder / "rows.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DamagedSnapshotError, match="rows.npy"):
        read_snapshot(folder, kind="test")


def test_a_failed_write_leaves_the_old_snapshot(folder, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_snapshot(folder, kind="test", params={}, arrays={"x": np.ones(3)})
    monkeypatch.undo()
    assert read_snapshot(folder, kind="test").stamp == {"seq": 9}
    assert [entry.name for entry in folder.parent.iterdir()] == ["graph"]


def test_a_parser_disturbed_by_another_thread_is_asked_again(folder, monkeypatch):
    load, calls = np.load, []

    def disturbed(*args, **kwargs):
        calls.append(args)
        if len(calls) % 2:
            raise SystemError("AST constructor recursion depth mismatch (before=93, after=56)")
        return load(*args, **kwargs)

    monkeypatch.setattr(np, "load", disturbed)
    snapshot = read_snapshot(folder, kind="test")
    np.testing.assert_array_equal(snapshot.arrays["vectors"], ARRAYS["vectors"])
    assert len(calls) == 2 * len(ARRAYS)
