"""Fusing rankings: pure functions over any hashable keys, one algorithm a file. No LlamaIndex here."""

from llamaindex_vecx.fusion.convex import convex_combination
from llamaindex_vecx.fusion.pool import pool_size
from llamaindex_vecx.fusion.rrf import reciprocal_rank_fusion

__all__ = ["convex_combination", "pool_size", "reciprocal_rank_fusion"]
