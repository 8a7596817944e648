"""Snapshots of a graph. What is read is checked so far that no kernel can step outside its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import DamagedSnapshotError
from llamaindex_vecx.index.hnsw.layout import (
    EMPTY,
    FIRST,
    ROW,
    STATE,
    TWIN,
    Graph,
    column,
    lists_of,
    stride,
    width,
)
from llamaindex_vecx.index.hnsw.levels import MAX_LEVEL
from llamaindex_vecx.index.hnsw.store import Store
from llamaindex_vecx.index.memory import zeros
from llamaindex_vecx.snapshot import read_snapshot, write_snapshot

__all__ = ["checked", "load", "save", "validate"]

T = TypeVar("T")
_Shapes = Mapping[str, tuple[type, tuple[int, ...]]]
# Bytes of blocks that are copied, at a gigabyte a second, from the mapped file to huge pages, which no file
# has: a search then takes a fifth less.
_COPIED = 128 << 20
_PARAMS = {"dim", "metric", "M", "ef_construction", "ef_search", "seed"}
_NEWER = {"target_recall", "on_disk"}  # not in snapshots of the first version
_TABLE = "calibration"
# What has a word in the blocks, and had an array of its own in snapshots of before: of a header of five
# words the last was the degree.
_ONCE_APART = {"rows": ROW, "twins": TWIN, "first": FIRST}
_HEADER_THEN = 5


def save(
    folder: Path,
    kind: str,
    params: Mapping[str, Any],
    store: Store,
    table: NDArray[np.float64] | None,
    stamp: Mapping[str, Any] | None,
) -> None:
    """Write what is in use."""
    used = {"upper": store.lists, "state": None}
    arrays = {
        name: array[: used.get(name, store.view.size)]
        for name, array in store.view.graph._asdict().items()
    }
    if table is not None:
        arrays[_TABLE] = table
    write_snapshot(folder, kind=kind, params=params, arrays=arrays, stamp=stamp)


def load(
    folder: Path, kind: str
) -> tuple[dict[str, Any], Graph, NDArray[np.float64] | None, dict[str, Any]]:
    """Settings, arrays, the table of a calibration and stamp of a snapshot, not yet validated."""
    snapshot = read_snapshot(folder, kind=kind)
    arrays = dict(snapshot.arrays)
    table = arrays.pop(_TABLE, None)
    apart = set(arrays) == {*Graph._fields, *_ONCE_APART}
    if apart:
        arrays["blocks"] = _together(folder, arrays)
        arrays = {name: array for name, array in arrays.items() if name not in _ONCE_APART}
    if set(snapshot.params) - _NEWER != _PARAMS or set(arrays) != set(Graph._fields):
        raise DamagedSnapshotError(
            f"{folder} has other settings or arrays than this version's: "
            f"{sorted(snapshot.params)}, {sorted(snapshot.arrays)}"
        )
    blocks = arrays["blocks"]
    if blocks.dtype == np.uint8 and blocks.nbytes <= _COPIED and not apart:
        arrays["blocks"] = zeros(blocks.shape, np.uint8, huge_pages=True)
        arrays["blocks"][...] = blocks
    state = arrays["state"]
    if state.shape == (4,):  # of the first versions, which didn't measure DIMENSION
        arrays["state"] = np.append(state, np.zeros(1, state.dtype))
    return snapshot.params, Graph(**arrays), table, snapshot.stamp


def _together(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """The blocks of a snapshot of before, with the arrays that were apart inside."""
    blocks, residuals, upper = (arrays[name] for name in ("blocks", "residuals", "upper"))
    if not blocks.ndim == residuals.ndim == upper.ndim == 2:
        raise DamagedSnapshotError(f"{folder}: blocks, residuals or upper are no matrix")
    n, dim, M = len(blocks), residuals.shape[1], upper.shape[1] - 1
    expected: _Shapes = {
        "blocks": (np.uint8, (n, stride(dim, M, _HEADER_THEN))),
        **dict.fromkeys(_ONCE_APART, (np.int32, (n,))),
    }
    _demand_shapes(folder, arrays, expected)
    fresh = zeros((n, stride(dim, M)), np.uint8, huge_pages=True)
    new, old = fresh.view(np.int32), blocks.view(np.int32)
    start, half = column(dim) + _HEADER_THEN - 1, 4 * column(dim)
    stop = start + 1 + 2 * M
    new[:, :start] = old[:, :start]
    for name, which in _ONCE_APART.items():
        new[:, column(dim) + which] = arrays[name]
    new[:, lists_of(dim, M)] = old[:, start:stop]
    fresh[:, -half:] = blocks[:, -half:]
    return fresh


def checked(folder: Path | str, make: Callable[[], T]) -> T:
    """What ``make`` returns; settings that it refuses are damage."""
    try:
        return make()
    except (TypeError, ValueError) as error:
        raise DamagedSnapshotError(f"{folder} has settings that can't be: {error}") from error


def validate(
    folder: Path | str, graph: Graph, table: NDArray[np.float64] | None, dim: int, M: int
) -> None:
    """Raise :class:`DamagedSnapshotError` unless every number that is followed leads somewhere.

    Checksums tell that a file is as it was written; this is for files written by hand or by a bug.
    """
    n, lists = len(graph.blocks), len(graph.upper)
    expected: _Shapes = {
        "blocks": (np.uint8, (n, stride(dim, M))),
        "upper": (np.int32, (lists, 1 + M)),
        "levels": (np.uint8, (n,)),
        "residuals": (np.int16, (n, width(dim))),
        "state": (np.int64, (STATE,)),
    }
    _demand_shapes(folder, graph._asdict(), expected)

    def demand(holds: bool | np.bool_, what: str) -> None:
        if not holds:
            raise DamagedSnapshotError(f"{folder}: {what}; rebuild the index")

    if table is not None:
        demand(
            table.dtype == np.float64
            and table.shape[1:] == (2,)
            and len(table) > 1
            and bool(np.isfinite(table).all() and (table[1:, 0] >= 1).all())
            and bool((np.diff(table[1:], axis=0) >= 0).all()),
            "the table of ef and recall is none",
        )
    words = graph.blocks.view(np.int32)[:, lists_of(dim, M)]
    demand(_lists_inside(words, n), "a list of neighbours leads outside the graph")
    demand(_lists_inside(graph.upper, n), "an upper list leads outside the graph")
    levels = graph.levels.astype(np.int64)
    firsts = graph.first.astype(np.int64)
    demand(levels.max(initial=0) <= MAX_LEVEL, "a level is too high")
    inside = (firsts >= 0) & (firsts + levels <= lists)
    demand(inside[levels > 0].all(), "a node's upper lists lie outside the array")
    demand(_levels_agree(graph, levels, firsts), "an upper list holds a node of a lower level")
    alive = graph.rows[graph.rows >= 0]
    demand(graph.rows.min(initial=0) >= -1, "a row is below -1")
    demand(len(np.unique(alive)) == len(alive), "a row stands twice")
    demand(_chains_end(graph.twins), "the chains of twins are broken")
    packed = int(graph.state[0])
    if n == 0 or packed == EMPTY:
        demand(packed == EMPTY, "an empty graph has an entry point")
        demand(len(alive) == 0, "there are rows and no entry point")
    else:
        demand(0 <= packed >> 8 < n, "the entry point lies outside the graph")
        demand((packed & 255) <= levels[packed >> 8], "the entry point has no such level")
    numbers = graph.blocks.view(np.float32)[:, column(dim) : column(dim) + 3]
    demand(np.isfinite(numbers).all(), "the length of a vector is NaN or infinite")


def _demand_shapes(
    folder: Path | str, arrays: Mapping[str, NDArray[Any]], expected: _Shapes
) -> None:
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if array.dtype != dtype or array.shape != shape:
            raise DamagedSnapshotError(
                f"{folder}: {name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}"
            )


def _lists_inside(lists: NDArray[np.int32], n: int) -> bool:
    """Degrees fit, and all of the list, used or not: a torn read may see what lies beyond."""
    degrees, slots = lists[:, 0], lists[:, 1:]
    if degrees.min(initial=0) < 0 or degrees.max(initial=0) > slots.shape[1]:
        return False
    return bool(slots.min(initial=0) >= 0 and (len(lists) == 0 or slots.max(initial=0) < n))


def _levels_agree(graph: Graph, levels: NDArray[np.int64], firsts: NDArray[np.int64]) -> bool:
    """Whether every node in a list of level l has a level of at least l."""
    for level in range(1, int(levels.max(initial=0)) + 1):
        lists = graph.upper[firsts[levels >= level] + level - 1]
        used = np.arange(lists.shape[1] - 1) < lists[:, :1]
        if (levels[lists[:, 1:][used]] < level).any():
            return False
    return True


def _chains_end(twins: NDArray[np.int32]) -> bool:
    """Whether following ``twins`` from any slot comes to -1 (by pointer doubling)."""
    if twins.min(initial=-1) < -1 or twins.max(initial=-1) >= len(twins):
        return False
    jump = twins.astype(np.int64)
    for _ in range(max(1, len(twins)).bit_length() + 1):
        if jump.max(initial=-1) < 0:
            return True
        jump = np.where(jump >= 0, jump[jump], -1)
    return False
