"""A new core from the exact vectors, while the old one answers and rows come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from llamaindex_vecx.index.faiss.anatomy import Anatomy, Points
from llamaindex_vecx.index.faiss.core import Core
from llamaindex_vecx.index.faiss.runtime import openmp
from llamaindex_vecx.index.flat import Flat

__all__ = ["Progress", "build", "catch_up"]

Progress = Callable[[str, int, int], None]
"""Called as ``progress(step, done, total)``; the steps are "train" and "add"."""

_CHUNK = 4096
_REST = 512  # rows that may still be missing when commits are held back


def build(index: Any, points: Points, exact: Flat, progress: Progress | None, threads: int) -> Core:
    """Train an empty index and fill it with the rows of ``exact``, but for the last few.

    Parameters
    ----------
    index : faiss.Index
        Empty. Trained in place, on a sample of at most ``points.most`` vectors.
    points : Points
    exact : Flat
        May change meanwhile: :func:`catch_up` tells the core.
    progress : callable, optional
    threads : int
    """
    say = progress or (lambda step, done, total: None)
    count = 0
    if points.least:
        store = exact.store
        slots = np.flatnonzero(store.rows[: store.size] >= 0)
        count = len(slots)
        if count > points.most:
            slots = np.sort(np.random.default_rng(0).choice(slots, points.most, replace=False))
        say("train", 0, len(slots))
        with openmp(threads):
            Anatomy(index).prepare_training(index)
            index.train(store.vectors[slots])
        say("train", len(slots), len(slots))
    core = Core(index, count)
    while _add_some(core, exact, _CHUNK, threads) > _REST:
        say("add", len(core), len(exact))
    say("add", len(core), len(exact))
    return core


def catch_up(core: Core, exact: Flat) -> None:
    """Make a core hold the rows of ``exact``, which does not change meanwhile."""
    while _add_some(core, exact, _CHUNK, 1):
        pass
    rows = core.row_of[core.row_of >= 0].astype(np.int64)
    table = exact.store.table
    core.remove(rows[table[rows] == 0])


def _add_some(core: Core, exact: Flat, most: int, threads: int) -> int:
    """Add some of the rows that a core lacks. Returns how many are left."""
    store = exact.store
    rows = store.rows[: store.size]
    missing = np.flatnonzero(rows >= 0)
    missing = missing[core.lacks(rows[missing].astype(np.int64))]
    some = missing[:most]
    taken = rows[some].astype(np.int64)
    vectors = store.vectors[some]
    alive = taken >= 0  # removed since
    core.add(taken[alive], vectors[alive], threads)
    return len(missing) - len(some)
