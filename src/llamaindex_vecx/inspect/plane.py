"""The collection as a plane: its two widest directions (PCA; Pearson 1901)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.errors import InvalidInputError

__all__ = ["Plane"]

_SAMPLE = 1200


class Plane:
    """A projection fitted on a sample of the vectors, spread evenly over the collection.

    Under cosine, vectors are brought to unit length first: what is near in the search is near here.

    Attributes
    ----------
    points : float32, shape (n, 2)
        The sample.
    share : float
        Share of the variance that the two directions show, in [0, 1].
    """

    def __init__(self, collection: Collection, sample: int = _SAMPLE) -> None:
        if not len(collection):
            raise InvalidInputError(f"{collection!r} is empty; there is nothing to draw")
        rows = list(collection.all_rows())
        step = max(1, -(-len(rows) // sample))
        self._unit = collection.metric == "cosine"
        vectors = self._prepared(collection.vectors(rows[::step]))
        self._centre: NDArray[np.float32] = vectors.mean(axis=0)
        _, spread, directions = np.linalg.svd(vectors - self._centre, full_matrices=False)
        axes = np.zeros((2, vectors.shape[1]), np.float32)
        axes[: min(2, len(directions))] = directions[:2]
        self._axes: NDArray[np.float32] = axes
        total = float((spread**2).sum())
        self.share: float = float((spread[:2] ** 2).sum()) / total if total else 1.0
        self.points: NDArray[np.float32] = self._project(vectors)

    def place(
        self, vectors: Sequence[Sequence[float]] | NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Where vectors lie on it.

        Parameters
        ----------
        vectors : float32, shape (n, dim)

        Returns
        -------
        float32, shape (n, 2)
        """
        block = np.asarray(vectors, np.float32)
        if block.ndim != 2 or block.shape[1] != self._axes.shape[1]:
            raise InvalidInputError(
                f"vectors must have shape (n, {self._axes.shape[1]}), not {block.shape}"
            )
        return self._project(self._prepared(block))

    def _project(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((vectors - self._centre) @ self._axes.T).astype(np.float32)

    def _prepared(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if not self._unit:
            return vectors
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.where(norms > 0, norms, 1)).astype(np.float32)
