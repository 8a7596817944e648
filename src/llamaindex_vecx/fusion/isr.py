"""Inverse square rank.

References
----------
Mourão, Martins & Magalhães, Multimodal medical information retrieval with unsupervised rank fusion,
Computerized Medical Imaging and Graphics 39, 2015, section 3.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

from llamaindex_vecx.fusion.sums import Fused, Part, Ranking, places, weighted_sum
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["inverse_square_rank", "inverse_square_ranks"]

K = TypeVar("K", bound=Hashable)


def inverse_square_ranks(ranking: Ranking[K]) -> Part[K]:
    """``1 / rank²`` for each key of a ranking, rank from 1."""
    return Part({key: 1.0 / (rank * rank) for key, rank in places(ranking).items()})


def inverse_square_rank(
    rankings: Sequence[Ranking[K]], *, weights: Sequence[float] | None = None
) -> Fused[K]:
    """Fuse rankings by ``hits × Σ weight / rank²``, hits being how many rankings hold the key.

    Parameters
    ----------
    rankings : sequence of rankings
        Keys, best first. A key that comes twice in a ranking counts where it comes first.
    weights : sequence of float, optional
        One a ranking, at least 0; None is 1 for each. A ranking of weight 0 is left out, keys and all.

    Returns
    -------
    list of (key, score)
        Best first; ties in order of first appearance.

    Raises
    ------
    InvalidInputError
    """
    weights = check_weights(weights, len(rankings))
    parts = [inverse_square_ranks(ranking) for ranking in rankings]
    return weighted_sum(parts, weights, times_hits=True)
