"""From the files of LlamaIndex's own FAISS stores, or of faiss itself, to nodes with their vectors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from llama_index.core.data_structs import IndexDict
from llama_index.core.schema import BaseNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.index_store import SimpleIndexStore

from llamaindex_vecx.collection.snapshots import warn
from llamaindex_vecx.errors import FormatError, InvalidInputError
from llamaindex_vecx.index.faiss.foreign import Foreign, read_foreign
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["fill", "read_llama_index", "with_vectors"]

S = TypeVar("S", bound=LocalVectorStore)
T = TypeVar("T")


def read_llama_index(
    folder: Path, index_id: str | None, namespace: str
) -> tuple[Foreign, list[BaseNode]]:
    """The FAISS file of a persisted StorageContext, and the nodes with the vectors it holds for them.

    Raises
    ------
    FormatError, InvalidInputError
    """
    file = folder / f"{namespace}__vector_store.json"
    if not file.is_file():
        raise FormatError(
            f"{folder} holds no {file.name}, the FAISS file that LlamaIndex's store writes there; give the "
            "folder that storage_context.persist(persist_dir=…) wrote"
        )
    foreign = read_foreign(file)
    ids = _ids_of_labels(folder, index_id)
    documents = _read(
        folder / "docstore.json", lambda file: SimpleDocumentStore.from_persist_path(file).docs
    )
    strangers = sorted(set(ids) - set(foreign.labels.tolist()))
    if strangers:
        raise FormatError(
            f"{folder} does not fit together: the index store names {len(strangers)} vectors, the first "
            f"{strangers[0]}, which {file.name} with its {len(foreign.labels)} vectors does not hold; "
            "the files are of different times: persist again"
        )
    nodes = {label: documents[id_] for label, id_ in ids.items() if id_ in documents}
    if len(nodes) < len(foreign.labels):
        warn(
            f"{len(foreign.labels) - len(nodes)} of the {len(foreign.labels)} vectors in {file} belong to no "
            f"node of {folder / 'docstore.json'} and are left out"
        )
    return foreign, _embedded(foreign, nodes)


def with_vectors(
    file: Path, nodes: Sequence[BaseNode] | Mapping[int, BaseNode]
) -> tuple[Foreign, list[BaseNode]]:
    """A FAISS file, and the nodes given with the vectors it holds for them.

    Raises
    ------
    FormatError, InvalidInputError
    """
    foreign = read_foreign(file)
    if isinstance(nodes, Mapping):
        by_label = dict(nodes)
    else:
        by_label = dict(enumerate(nodes))
    labels = foreign.labels.tolist()
    if len(by_label) != len(labels) or set(by_label) != set(labels):
        missing = sorted(set(labels) ^ set(by_label))
        raise InvalidInputError(
            f"nodes has {len(by_label)} entries and {file} {len(labels)} vectors"
            + (f"; {missing[0]} is in only one of them" if missing else "")
            + ": give one node for each vector, in order, or a mapping from the index's ids to nodes"
        )
    return foreign, _embedded(foreign, by_label)


def fill(
    make: Callable[..., S],
    path: str | os.PathLike[str] | None,
    foreign: Foreign,
    nodes: list[BaseNode],
    settings: Mapping[str, Any],
) -> S:
    """A new store with these nodes, in one transaction.

    Raises
    ------
    InvalidInputError
        There are nodes in ``path`` already.
    """
    given: dict[str, Any] = {}
    if settings.get("factory") is None and settings.get("faiss_index") is None:
        given = {"template": foreign.template, "factory": foreign.name}
        settings = {name: value for name, value in settings.items() if name != "factory"}
    if settings.get("metric") is None and settings.get("faiss_index") is None:
        given["metric"] = foreign.metric
    if foreign.lossy:
        warn(
            f"the file holds codes ({foreign.name}), so the vectors taken over are approximate; embed "
            "the nodes again for exact scores"
        )
    store = make(dim=foreign.vectors.shape[1], **given)
    try:
        if len(store):
            raise InvalidInputError(
                f"{path} holds {len(store)} nodes already; give a new folder, or add the nodes to that store"
            )
        if nodes:
            store.add(nodes)
    except BaseException:
        store.close()
        raise
    return store


def _embedded(foreign: Foreign, nodes: Mapping[int, BaseNode]) -> list[BaseNode]:
    """Copies of the nodes with their vectors. A node that stands under two labels has the later vector."""
    labels, counts = np.unique(foreign.labels, return_counts=True)
    if len(labels) < len(foreign.labels):
        twice = int(labels[counts > 1][0])
        raise FormatError(
            f"{int((counts > 1).sum())} ids stand more than once in the FAISS file, the first {twice}: which "
            "vector is whose can't be told (LlamaIndex's FaissMapVectorStore reuses ids after a delete); "
            "embed the nodes again"
        )
    found: dict[str, BaseNode] = {}
    for place in np.argsort(foreign.labels, kind="stable").tolist():
        node = nodes.get(int(foreign.labels[place]))
        if node is not None:
            copied = node.model_copy()
            copied.embedding = foreign.vectors[place].tolist()
            found[copied.node_id] = copied
    return list(found.values())


def _ids_of_labels(folder: Path, index_id: str | None) -> dict[int, str]:
    """Node id by the label of its vector: from FaissMapVectorStore's map, or else the index store."""
    id_map = folder / "id_map.json"
    if id_map.exists():
        try:
            body = json.loads(id_map.read_text("utf-8"))["faiss_id_to_node_id_map"]
            return {int(label): str(id_) for label, id_ in body.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                f"{id_map} is damaged: {error!r}; restore it from a backup"
            ) from error
    file = folder / "index_store.json"
    structs = [
        struct
        for struct in _read(
            file, lambda file: SimpleIndexStore.from_persist_path(file).index_structs()
        )
        if isinstance(struct, IndexDict)
    ]
    if index_id is not None:
        structs = [struct for struct in structs if struct.index_id == index_id]
    if len(structs) != 1:
        names = ", ".join(struct.index_id for struct in structs) or "none"
        raise InvalidInputError(
            f"{file} holds {len(structs)} vector indexes ({names}); name one as index_id=…"
        )
    try:
        return {int(label): id_ for label, id_ in structs[0].nodes_dict.items()}
    except ValueError as error:
        raise FormatError(
            f"{file} is of a store that does not number its vectors ({error}); "
            "from_llama_index reads FaissVectorStore and FaissMapVectorStore"
        ) from error


def _read(file: Path, read: Callable[[str], T]) -> T:
    if not file.is_file():
        raise FormatError(f"{file} is missing; persist the whole storage context there")
    try:
        return read(str(file))
    except Exception as error:  # LlamaIndex raises whatever a damaged file leads it to
        raise FormatError(
            f"{file} is damaged: {type(error).__name__}: {error}; restore it from a backup"
        ) from error
