"""Collections as W&B artifacts: what a study or a run made, kept with where it came from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from llama_index.core import VectorStoreIndex

from llamaindex_vecx.collection.schema import VIEWS
from llamaindex_vecx.errors import InvalidInputError, UnsupportedError
from llamaindex_vecx.observe.wandb.client import import_wandb
from llamaindex_vecx.observe.wandb.manifest import CONTENT, check_manifest, write_manifest
from llamaindex_vecx.retrievers.bm25 import BM25Retriever
from llamaindex_vecx.snapshot import put_in_place
from llamaindex_vecx.stores.faiss import FaissVectorStore
from llamaindex_vecx.stores.flat import FlatVectorStore
from llamaindex_vecx.stores.hnsw import HNSWVectorStore
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["log_index", "use_index"]

TYPE = "collection"
"""Of the artifacts."""

_STORES: dict[str, type[LocalVectorStore]] = {
    store.__name__: store for store in (HNSWVectorStore, FlatVectorStore, FaissVectorStore)
}


def log_index(
    index: Any,
    name: str,
    *,
    run: Any | None = None,
    aliases: Sequence[str] = (),
    study: str | None = None,
    inputs: Sequence[str] = (),
    notes: Mapping[str, Any] | None = None,
) -> Any:
    """Save a collection as a W&B artifact, complete and consistent also while others write to it.

    Parameters
    ----------
    index : store, BM25Retriever or VectorStoreIndex
        One of our local stores, or an index over one.
    name : str
        Of the artifact.
    run : wandb run or WandbHandler, optional
        Whose output it is; None is the run that is open.
    aliases : sequence of str
        Beside ``latest``.
    study : str, optional
        Which study chose its settings, e.g. an artifact of W&B. Noted in the artifact.
    inputs : sequence of str
        Artifacts that it was made from. Where the run is online W&B draws them in its lineage, too.
    notes : mapping, optional
        Further metadata of the artifact.

    Returns
    -------
    wandb.Artifact
        Logged; where the run is online, ``.wait()`` returns when it is uploaded.

    Raises
    ------
    InvalidInputError
        No run is open, or ``index`` is none.
    UnsupportedError
        The store keeps nothing on this machine.
    MissingExtraError
    """
    wandb = import_wandb()
    run = _run(run) if run is not None else wandb.run
    if run is None:
        raise InvalidInputError(
            "run=None and no W&B run is open; call wandb.init(...), or give run=…"
        )
    held = index.vector_store if isinstance(index, VectorStoreIndex) else index
    with tempfile.TemporaryDirectory(prefix="vecx-artifact-") as folder:
        root = Path(folder)
        facts = _save(held, root / CONTENT)
        facts["version"] = metadata.version("llamaindex-vecx")
        facts["made_by"] = {
            "run": f"{run.entity or ''}/{run.project}/{run.id}".strip("/"),
            "run_name": run.name,
            "study": study,
            "inputs": list(inputs),
        }
        write_manifest(root, facts)
        artifact = wandb.Artifact(name, type=TYPE, metadata={**facts, **(notes or {})})
        artifact.add_dir(folder)
        if not run.offline:
            for one in (*inputs, *([study] if study and "/" in study else [])):
                run.use_artifact(one)
        return run.log_artifact(artifact, aliases=["latest", *aliases])


def use_index(
    artifact: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    run: Any | None = None,
    **settings: Any,
) -> Any:
    """Open a collection that :func:`log_index` has saved.

    Parameters
    ----------
    artifact : str or path
        Its name, e.g. ``"team/project/kb:latest"``; or a folder that it was downloaded to.
    path : str or path
        Where the collection is to lie: new, or an empty folder.
    run : wandb run or WandbHandler, optional
        That uses it, for W&B's lineage.
    **settings
        Of the store, e.g. ``read_only=True``; of ``BM25Retriever.from_persist_dir``.

    Returns
    -------
    store or BM25Retriever
        Open, as it was saved.

    Raises
    ------
    FormatError
        A file is missing, cut, altered or of a newer version; nothing was written.
    InvalidInputError
        ``path`` is taken.
    MissingExtraError
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidInputError(f"path={str(path)!r} is taken; name a new folder")
    with _downloaded(artifact, run) as folder:
        facts = check_manifest(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            shutil.copytree(folder / CONTENT, aside, dirs_exist_ok=True)
            put_in_place(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    if facts["kind"] == BM25Retriever.__name__:
        return BM25Retriever.from_persist_dir(target, **settings)
    return _STORES[facts["kind"]](path=target, **settings)


def _run(run: Any) -> Any:
    return run.run if hasattr(run, "take") else run  # a handler of ours, or a run of W&B's


def _save(held: Any, folder: Path) -> dict[str, Any]:
    if isinstance(held, BM25Retriever):
        folder.mkdir()
        held.persist(folder)
        return {"kind": BM25Retriever.__name__, "nodes": len(held)}
    if not isinstance(held, LocalVectorStore):
        if hasattr(held, "add") and hasattr(held, "query"):
            raise UnsupportedError(
                f"a {type(held).__name__} keeps nothing on this machine that could be an artifact; "
                "HNSWVectorStore, FlatVectorStore and FaissVectorStore do"
            )
        raise InvalidInputError(
            f"index must be a store, a BM25Retriever or a VectorStoreIndex, not {type(held).__name__}"
        )
    collection = held.client
    views = folder.with_name(VIEWS)
    if collection.path is not None:
        if not held.read_only:
            held.flush()
        # Before the rows: a view may be older than these, never newer.
        if (collection.path / VIEWS).is_dir():
            shutil.copytree(collection.path / VIEWS, views)
    collection.backup(folder)
    if views.is_dir():
        views.rename(folder / VIEWS)
    return {
        "kind": type(held).__name__ if type(held).__name__ in _STORES else _kind_of(held),
        "nodes": len(held),
        "dim": collection.dim,
        "settings": dict(collection.settings),
    }


def _kind_of(held: LocalVectorStore) -> str:
    return next(name for name, store in _STORES.items() if isinstance(held, store))


@contextmanager
def _downloaded(artifact: str | os.PathLike[str], run: Any | None) -> Iterator[Path]:
    if os.path.isdir(artifact):
        yield Path(artifact)
        return
    name = os.fspath(artifact)
    if os.sep in name.strip(os.sep).split(":")[0] and name.count("/") > 2:
        raise InvalidInputError(
            f"artifact={name!r} is no folder, and no name as in 'team/project/kb:latest'"
        )
    wandb = import_wandb()
    found = wandb.Api().artifact(name, type=TYPE) if run is None else _run(run).use_artifact(name)
    with tempfile.TemporaryDirectory(prefix="vecx-artifact-") as folder:
        yield Path(found.download(root=folder))
