"""LlamaIndex's ``persist`` conventions over collections.

``StorageContext.persist`` hands each store a path like ``<dir>/default__vector_store.json``, and a later
plain ``StorageContext.from_defaults(persist_dir)`` reads every file of such a name as a
SimpleVectorStore. So nothing is ever written under that name. Beside it stand, by namespace:

::

    <dir>/<namespace>__vecx.json   where the collection of a store with a path lies
    <dir>/<namespace>__vecx/       a copy of the collection of a store in memory
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from llama_index.core.vector_stores.simple import DEFAULT_VECTOR_STORE, NAMESPACE_SEP

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import FormatError, NotACollectionError, UnsupportedError

__all__ = ["DEFAULT_NAMESPACE", "check_local", "find_persisted", "namespace_of", "write_persisted"]

DEFAULT_NAMESPACE = DEFAULT_VECTOR_STORE
_SUFFIX = f"{NAMESPACE_SEP}vecx"


def namespace_of(persist_path: str | os.PathLike[str]) -> tuple[Path, str]:
    """The folder and the namespace that a ``persist_path`` stands for."""
    path = Path(persist_path)
    namespace, separator, _ = path.name.partition(NAMESPACE_SEP)
    return path.parent, namespace if separator and namespace else DEFAULT_NAMESPACE


def check_local(fs: Any) -> None:
    """Refuse a remote file system.

    Raises
    ------
    UnsupportedError
    """
    protocol = getattr(fs, "protocol", "file")
    names = (protocol,) if isinstance(protocol, str) else tuple(protocol)
    if fs is not None and "file" not in names:
        raise UnsupportedError(
            f"a collection can't be kept on a remote file system (fs speaks {names[0]!r}); "
            "persist to a local folder and copy that"
        )


def write_persisted(collection: Collection, folder: Path, namespace: str) -> None:
    """Leave in ``folder`` what :func:`find_persisted` needs.

    Raises
    ------
    StorageError, NotACollectionError
    """
    folder.mkdir(parents=True, exist_ok=True)
    copy, pointer = folder / f"{namespace}{_SUFFIX}", folder / f"{namespace}{_SUFFIX}.json"
    if collection.path is None:
        collection.backup(copy)
        pointer.unlink(missing_ok=True)
        return
    here = os.path.abspath(collection.path)
    if os.path.realpath(here) == os.path.realpath(copy):
        return
    aside = pointer.with_suffix(".json.new")
    body = {"format": 1, "path": here, "relative": os.path.relpath(here, folder)}
    aside.write_text(json.dumps(body, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(aside, pointer)


def find_persisted(folder: Path, namespace: str) -> Path:
    """Where the persisted collection lies. A pointer outranks a copy, which is older.

    Raises
    ------
    NotACollectionError
        Nothing was persisted there, or the collection that it points to is gone.
    FormatError
        The pointer is damaged.
    """
    copy, pointer = folder / f"{namespace}{_SUFFIX}", folder / f"{namespace}{_SUFFIX}.json"
    if not pointer.exists():
        if copy.is_dir():
            return copy
        raise NotACollectionError(
            f"{folder} holds no collection of namespace {namespace!r}; "
            "persist a store there first, or open the collection by its path"
        )
    try:
        body = json.loads(pointer.read_text(encoding="utf-8"))
        candidates = [folder / str(body["relative"]), Path(str(body["path"]))]
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{pointer} is damaged: {error}; persist the store again") from error
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise NotACollectionError(
        f"{pointer} points to {candidates[1]}, where no collection is; "
        "open it by its path where it lies now"
    )
