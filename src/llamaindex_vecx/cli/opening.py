"""Open a collection by its folder, whichever index it has."""

from __future__ import annotations

from pathlib import Path

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import NotACollectionError, SettingsConflictError
from llamaindex_vecx.stores.faiss import FaissVectorStore
from llamaindex_vecx.stores.flat import FlatVectorStore
from llamaindex_vecx.stores.hnsw import HNSWVectorStore
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["open_store", "require_folder"]


def open_store(
    path: Path, *, tokenizer: str | None = None, read_only: bool = False
) -> LocalVectorStore:
    """The store over a folder: a graph for a new one, the collection's own index for one that exists.

    Raises
    ------
    NotACollectionError, FormatError, LockedError, SettingsConflictError
    """
    if read_only:
        require_folder(path)
    try:
        return HNSWVectorStore(path, tokenizer=tokenizer, read_only=read_only)
    except SettingsConflictError:
        with Collection.open(path, read_only=True) as collection:
            kind = collection.settings["index"]
        others = {store.index_kind: store for store in (FlatVectorStore, FaissVectorStore)}
        if kind not in others:
            raise
        return others[kind](path, tokenizer=tokenizer, read_only=read_only)


def require_folder(path: Path) -> None:
    """Raise NotACollectionError, with the command that makes one, where there is nothing."""
    if not path.exists():
        raise NotACollectionError(
            f"there is no collection in {path}; vecx ingest PATH --to {path} makes one"
        )
