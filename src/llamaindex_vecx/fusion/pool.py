"""How deep each side is asked before fusing."""

from __future__ import annotations

__all__ = ["pool_size"]


def pool_size(top_k: int) -> int:
    """How many candidates each side brings where nobody says: ``max(2 * top_k, 50)``."""
    return max(2 * top_k, 50)
