"""How far a walk goes: where ``ef`` candidates end for a typical query, not for each.

A beam of ``ef`` is too wide for a query with few nodes as near as its ``k``-th and too narrow for one in a
crowd. So a walk keeps what lies within a multiple of its ``k``-th distance (Al-Jazzazi et al., arXiv
2505.15636), for which the number of distances at the same recall is a fifth lower. The multiple is the
one that holds ``ef`` nodes around a typical row: distances grow as the ``1 / d``-th power of the rank,
``d`` being the intrinsic dimension of squared distances, the mean of Levina and Bickel's estimates (2004)
around inserted rows.
"""

from __future__ import annotations

from functools import lru_cache

from llamaindex_vecx.index.hnsw.layout import UNITS

__all__ = ["ROOM", "reach_of"]

ROOM = 2  # times ef candidates, at most
_RANK = 10  # of the distance that is multiplied; those of the very nearest tell little
_LEAST = 0.05  # dimension: below, all that is near is as good as equal


@lru_cache
def reach_of(dimension: int, ef: int, k: int) -> tuple[int, float]:
    """By which of its candidates a walk measures how far it goes, and how many times as far.

    By the ``ef``-th and once where the dimension isn't known, as HNSW does. Cached, for a lone query waits.

    Parameters
    ----------
    dimension : int
        ``state[DIMENSION]`` of a graph.
    """
    rank = max(k, min(_RANK, ef))
    if dimension <= 0 or rank >= ef:
        return ef, 1.0
    return rank, (ef / rank) ** (1 / max(dimension / UNITS, _LEAST))
