"""Whether the signs of components tell enough of this data, by looking for rows with and without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.base import Rows
from llamaindex_vecx.index.hnsw.layout import vectors_of
from llamaindex_vecx.index.hnsw.store import Store, View

__all__ = ["Trust"]

_ASKED = 64  # rows that are looked for
_AMONG = 1 << 15  # rows, at most
_K = 10
_RECALL = 0.985  # of them that signs must not hide

_Scan = Callable[[View, NDArray[np.int64], NDArray[np.float32], int, bool], Rows]


class Trust:
    """What was found, until the index has doubled or halved.

    Where all components are positive, or rows lie close together far from the origin, signs say little.
    A row finds itself by its signs in any case, so only the others count.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._found: tuple[int, bool] | None = None

    def given(self, store: Store, scan: _Scan) -> bool:
        """Whether a scan by signs finds what it should.

        Parameters
        ----------
        scan : callable
            From a view, rows, queries, ``k`` and whether by signs to the nearest of the rows.
        """
        found = self._found
        if found is None or store.outgrown(found[0]):
            found = self._found = store.alive, self._measure(store.view, scan)
        return found[1]

    def _measure(self, view: View, scan: _Scan) -> bool:
        slots = np.flatnonzero(view.graph.rows[: view.size] >= 0)
        slots = slots[:: -(-len(slots) // _AMONG)]
        rows = np.sort(view.graph.rows[slots].astype(np.int64))
        asked = slots[:: -(-len(slots) // _ASKED)]
        queries = vectors_of(view.graph, asked, self._dim)
        exact, signs = (scan(view, rows, queries, _K + 1, by) for by in (False, True))
        hits = sum(
            len({*a} & {*b} - {row})
            for a, b, row in zip(
                exact.tolist(), signs.tolist(), view.graph.rows[asked].tolist(), strict=True
            )
        )
        return hits >= _RECALL * _K * len(asked)
