"""The random level of a node: a function of the seed and the slot alone.

So the graph depends on the order of insertion, never on how it was cut into batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_LEVEL", "draw_levels"]

MAX_LEVEL = 30


def draw_levels(seed: int, M: int, start: int, stop: int) -> NDArray[np.uint8]:
    """Levels of the slots from ``start`` to ``stop``: ``⌊-ln(u) / ln(M)⌋`` (paper: section 4.1).

    ``u`` is SplitMix64 of seed and slot.
    """
    with np.errstate(over="ignore"):
        x = np.arange(start + 1, stop + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x += np.uint64(seed) * np.uint64(0xD1342543DE82EF95)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    uniform = ((x >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    levels: NDArray[np.uint8] = np.minimum(-np.log(uniform) / np.log(M), MAX_LEVEL).astype(np.uint8)
    return levels
