"""Reads what a W&B client wrote offline: the records of ``run-*.wandb``.

The file is LevelDB's log format: blocks of 32 KiB, in which records of at most a block each carry checksum,
length and type (whole, first, middle, last), behind a header of seven bytes.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK = 32_768


_PATIENCE = 10.0


def records(folder: Path) -> list[Any]:
    """All of a run that was finished. W&B's own process writes the last ones a little later."""
    (file,) = folder.glob("**/run-*.wandb")
    until = time.monotonic() + _PATIENCE
    while True:
        found = list(_records(file.read_bytes()))
        if found and found[-1].WhichOneof("record_type") == "exit":
            return found
        assert time.monotonic() < until, "the run was not finished"
        time.sleep(0.02)


def _records(data: bytes) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    at, parts = 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        left = _BLOCK - at % _BLOCK
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        if at + 7 + size > len(data):
            return
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def history(folder: Path) -> list[dict[str, Any]]:
    """What each ``run.log`` said."""
    rows = []
    for record in records(folder):
        if record.WhichOneof("record_type") != "history":
            continue
        row: dict[str, Any] = {}
        for item in record.history.item:
            *path, last = list(item.nested_key) or [item.key]
            place = row
            for name in path:
                place = place.setdefault(name, {})
            place[last] = json.loads(item.value_json)
        rows.append(row)
    return rows


def trace_trees(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(row["trace"]["root_span_dumps"]) for row in history(folder) if "trace" in row
    ]


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a table, over all its files."""
    rows: list[dict[str, Any]] = []
    for file in sorted(
        folder.glob(f"**/media/table/{name}_*.table.json"), key=lambda path: path.stat().st_mtime_ns
    ):
        body = json.loads(file.read_text("utf-8"))
        rows += [dict(zip(body["columns"], row, strict=True)) for row in body["data"]]
    return rows


def artifacts(folder: Path) -> dict[str, Any]:
    """Artifacts that were logged, by name."""
    return {
        record.artifact.name: record.artifact
        for record in records(folder)
        if record.WhichOneof("record_type") == "artifact"
    }


def everything(folder: Path) -> bytes:
    """All bytes that lie under a folder, with names of files; records also as text, not cut by blocks."""
    whole = b"\n".join(str(path).encode() for path in folder.rglob("*"))
    for path in folder.rglob("*"):
        if path.is_file():
            whole += b"\n" + path.read_bytes()
    for record in records(folder):
        whole += b"\n" + record.SerializeToString()
    return whole
