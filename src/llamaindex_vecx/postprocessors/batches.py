"""Which pairs go through the model together."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["padded", "plan_batches"]


def padded(length: int, multiple: int) -> int:
    """``length`` rounded up."""
    return -(-length // multiple) * multiple


def plan_batches(lengths: Sequence[int], budget: int, multiple: int = 1) -> list[list[int]]:
    """Batches of pairs of like length, each within a budget of tokens with its padding.

    The longest come first, so that memory is asked for once.

    Parameters
    ----------
    lengths : sequence of int
        Tokens of each pair.
    budget : int
        Most tokens in a batch; a pair that is longer goes alone.
    multiple : int
        What a batch's length is rounded up to.

    Returns
    -------
    list of list of int
        Places in ``lengths``; each place once.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    batches: list[list[int]] = []
    room = 0
    for place in order:
        if room <= 0:
            batches.append([])
            room = max(1, budget // padded(max(1, lengths[place]), multiple))
        batches[-1].append(place)
        room -= 1
    return batches
