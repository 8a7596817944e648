"""Snapshots of a FAISS index: its bytes, the row of each label, and the exact vectors."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import DamagedSnapshotError, InvalidInputError
from llamaindex_vecx.index.faiss.core import Core
from llamaindex_vecx.index.faiss.runtime import library
from llamaindex_vecx.index.flat import Flat
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

__all__ = ["load", "save"]


def save(
    index: Any, exact: Flat, core: Core | None, folder: Path, stamp: Mapping[str, Any] | None
) -> None:
    """Write what is there. Searches go on, changes don't."""
    vectors, rows = exact.alive()
    params = {"dim": index.dim, "metric": index.metric.name, **index.params}
    template = params.pop("template") or ""
    params["trained_on"] = 0 if core is None else core.trained_on
    write_snapshot(
        folder,
        kind=index.kind,
        params=params,
        arrays={
            "vectors": vectors,
            "rows": rows,
            "index": _bytes(core),
            "row_of": np.zeros(0, np.int32) if core is None else core.row_of,
            "template": np.frombuffer(base64.b64decode(template), np.uint8),
        },
        stamp=stamp,
    )


def load(cls: Any, folder: Path) -> tuple[Any, Flat, Core | None, dict[str, Any]]:
    """The index without its content, the content, and the stamp.

    Raises
    ------
    DamagedSnapshotError
    """
    snapshot = read_snapshot(folder, kind=cls.kind)
    params, arrays = dict(snapshot.params), snapshot.arrays
    try:
        trained_on = params.pop("trained_on")
        template = base64.b64encode(arrays["template"].tobytes()).decode() or None
        index = cls(template=template, **params)
        exact = Flat.of(index.dim, index.metric, arrays["vectors"], arrays["rows"])
        core = _core(arrays["index"], arrays["row_of"], trained_on)
    except (KeyError, TypeError, InvalidInputError, RuntimeError) as error:
        raise DamagedSnapshotError(f"{folder} does not fit together: {error}") from error
    if core is not None:
        objection = _objection(index, exact, core)
        if objection:
            raise DamagedSnapshotError(f"{folder} does not fit together: {objection}")
    return index, exact, core, snapshot.stamp


def _bytes(core: Core | None) -> NDArray[np.uint8]:
    return np.zeros(0, np.uint8) if core is None else core.serialized()


def _core(data: NDArray[np.uint8], row_of: NDArray[np.int32], trained_on: int) -> Core | None:
    if not len(data):
        return None
    if row_of.ndim != 1 or row_of.dtype != np.int32:
        raise TypeError(f"row_of is {row_of.dtype} {row_of.shape}")
    return Core(library().deserialize_index(np.asarray(data)), trained_on, np.array(row_of))


def _objection(index: Any, exact: Flat, core: Core) -> str:
    """Why the parts are not of one index; empty if they are."""
    there = core.row_of[core.row_of >= 0].astype(np.int64)
    found, wanted = core.anatomy, index.anatomy
    if core.index.d != index.dim or core.index.metric_type != wanted.index.metric_type:
        return (
            f"the faiss index has dimension {core.index.d} and metric_type {core.index.metric_type}"
        )
    if (found.nlist, found.graph, found.refined) != (wanted.nlist, wanted.graph, wanted.refined):
        return f"the faiss index is no {index.factory}"
    if core.dead < 0 or (not core.anatomy.numbers_rows and core.index.ntotal != len(core.row_of)):
        return f"{core.index.ntotal} vectors and {len(core.row_of)} labels"
    if len(np.unique(there)) != len(there) or len(there) != len(exact):
        return f"{len(there)} labelled rows and {len(exact)} vectors"
    if exact.lacks(there).any():
        return "a labelled row has no vector"
    return ""
