"""Data and measures that the tests of the indexes share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

METRICS = ("cosine", "ip", "l2")


def normal(n: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def clustered(n: int, dim: int, clusters: int, spread: float, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((clusters, dim))
    points = centres[rng.integers(0, clusters, n)] + spread * rng.standard_normal((n, dim))
    return points.astype(np.float32)


def recall(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    hits = sum(len(set(a[a >= 0]) & set(b[b >= 0])) for a, b in zip(found, truth, strict=True))
    return hits / max(1, int((truth >= 0).sum()))


def score_recall(
    found: NDArray[np.float32], truth: NDArray[np.float32], slack: float = 1e-5
) -> float:
    """Recall where rows may tie: how many scores are as good as the k-th true one."""
    return float((found >= truth[:, -1:] - slack).mean())
