"""A snapshot: a folder of named arrays and a manifest, written aside and renamed into place.

::

    <folder>/manifest.json   format, kind, params, stamp, and per array: dtype, shape, file size, crc32
    <folder>/<name>.npy      one file an array, opened memory-mapped

A snapshot is a cache of something that can be rebuilt, so a reader never repairs: whatever is missing,
cut, altered or of another format raises :class:`DamagedSnapshotError`, and the owner rebuilds.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import DamagedSnapshotError

__all__ = ["Snapshot", "put_in_place", "read_snapshot", "read_stamp", "write_snapshot"]

FORMAT = 1
_MANIFEST = "manifest.json"
_TRIES = 20


@dataclass(frozen=True)
class Snapshot:
    """What :func:`read_snapshot` found.

    Attributes
    ----------
    kind : str
        What wrote it, e.g. ``"hnsw"``.
    params : dict
        The writer's own parameters (plain JSON).
    stamp : dict
        What the owner of the snapshot noted about it (plain JSON), e.g. the ``seq`` it has reached.
    arrays : dict of str to ndarray
        Memory-mapped copy-on-write: they can be written to, the files don't change.
    """

    kind: str
    params: dict[str, Any]
    stamp: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def write_snapshot(
    folder: Path,
    *,
    kind: str,
    params: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    stamp: Mapping[str, Any] | None = None,
) -> None:
    """Write a snapshot to ``folder``, replacing what is there.

    The new snapshot is complete and on disk before the old one goes away; a kill in between leaves one
    of the two, or none, never a mixture.

    Raises
    ------
    OSError
        The folder can't be written. What was there before is still there.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        entries = {}
        for name, array in arrays.items():
            file = aside / f"{name}.npy"
            contiguous = np.ascontiguousarray(array)
            with open(file, "wb") as stream:
                np.save(stream, contiguous, allow_pickle=False)
                stream.flush()
                os.fsync(stream.fileno())
            entries[name] = {
                "dtype": contiguous.dtype.str,
                "shape": list(array.shape),
                "bytes": file.stat().st_size,
                "crc32": _crc32(contiguous),
            }
        manifest = {
            "format": FORMAT,
            "kind": kind,
            "params": dict(params),
            "stamp": dict(stamp or {}),
            "arrays": entries,
        }
        body = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
        with open(aside / _MANIFEST, "w", encoding="utf-8") as stream:
            stream.write(json.dumps({"crc32": zlib.crc32(body.encode())}) + "\n" + body)
            stream.flush()
            os.fsync(stream.fileno())
        put_in_place(aside, folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def read_snapshot(folder: Path, *, kind: str, verify: bool = True) -> Snapshot:
    """Open the snapshot in ``folder``.

    Parameters
    ----------
    kind : str
        What the caller can read; another kind raises.
    verify : bool
        Compare every array with its checksum (about a second a gigabyte).

    Raises
    ------
    DamagedSnapshotError
        Missing, cut, altered, of another kind or format. The message names the file.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder / _MANIFEST)
    if manifest["kind"] != kind:
        raise DamagedSnapshotError(
            f"{folder} holds a snapshot of kind {manifest['kind']!r}, not {kind!r}"
        )
    arrays = {
        name: _open_array(folder / f"{name}.npy", entry, verify)
        for name, entry in manifest["arrays"].items()
    }
    return Snapshot(kind, manifest["params"], manifest["stamp"], arrays)


def read_stamp(folder: Path) -> dict[str, Any]:
    """What the owner noted about a snapshot, without looking at its arrays.

    Raises
    ------
    DamagedSnapshotError
    """
    stamp: dict[str, Any] = _read_manifest(folder / _MANIFEST)["stamp"]
    return stamp


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        head, _, body = file.read_text(encoding="utf-8").partition("\n")
        if json.loads(head)["crc32"] != zlib.crc32(body.encode()):
            raise DamagedSnapshotError(f"{file} was altered: its checksum does not match")
        manifest: dict[str, Any] = json.loads(body)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedSnapshotError(f"{file} can't be read: {error}") from error
    if manifest.get("format") != FORMAT:
        raise DamagedSnapshotError(
            f"{file} has format {manifest.get('format')!r}; this version reads {FORMAT}"
        )
    return manifest


def _open_array(file: Path, entry: dict[str, Any], verify: bool) -> NDArray[Any]:
    try:
        size = file.stat().st_size
        if size != entry["bytes"]:
            raise DamagedSnapshotError(
                f"{file} has {size} bytes; the manifest says {entry['bytes']}"
            )
        # an empty file region can't be mapped
        array = _load(file, None if 0 in entry["shape"] else "c")
    except (OSError, ValueError, SyntaxError, TokenError) as error:  # a header is read as Python
        if isinstance(error, DamagedSnapshotError):
            raise
        raise DamagedSnapshotError(f"{file} can't be read: {error}") from error
    if array.dtype.str != entry["dtype"] or list(array.shape) != entry["shape"]:
        raise DamagedSnapshotError(
            f"{file} holds {array.dtype} {array.shape}, not what the manifest says"
        )
    if verify and _crc32(array) != entry["crc32"]:
        raise DamagedSnapshotError(f"{file} was altered: its checksum does not match")
    return array


def _load(file: Path, mmap_mode: Literal["c"] | None) -> NDArray[Any]:
    """``np.load``, again where Python's parser, which reads the header, was disturbed by another thread.

    All threads of CPython 3.11 share the parser's depth: seen as ``SystemError: AST constructor recursion
    depth mismatch`` when many collections were opened at once. It says nothing about the file.
    """
    for _ in range(_TRIES):
        try:
            return cast("NDArray[Any]", np.load(file, mmap_mode=mmap_mode, allow_pickle=False))
        except SystemError:
            continue
    return cast("NDArray[Any]", np.load(file, mmap_mode=mmap_mode, allow_pickle=False))


def _crc32(array: NDArray[Any]) -> int:
    return (
        zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data) if array.size else 0
    )


def put_in_place(aside: Path, folder: Path) -> None:
    """Put ``aside`` in the place of ``folder``. A folder that isn't empty can't be renamed over."""
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
        os.rename(folder, old / "was")
        os.rename(aside, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(aside, folder)
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
