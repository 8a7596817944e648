"""Fusing rankings: pure functions over any hashable keys, one algorithm a file. No LlamaIndex here."""

from llamaindex_vecx.fusion.borda import borda_count
from llamaindex_vecx.fusion.combmnz import comb_mnz
from llamaindex_vecx.fusion.combsum import comb_sum
from llamaindex_vecx.fusion.convex import convex_combination
from llamaindex_vecx.fusion.dbsf import distribution_based
from llamaindex_vecx.fusion.fit import fit_fusion
from llamaindex_vecx.fusion.fitted import FittedFusion
from llamaindex_vecx.fusion.highest import share_of_highest
from llamaindex_vecx.fusion.isr import inverse_square_rank
from llamaindex_vecx.fusion.methods import METHODS, fuse
from llamaindex_vecx.fusion.min_max import min_max
from llamaindex_vecx.fusion.pool import pool_size
from llamaindex_vecx.fusion.rrf import reciprocal_rank_fusion
from llamaindex_vecx.fusion.z_score import z_score

__all__ = [
    "METHODS",
    "FittedFusion",
    "borda_count",
    "comb_mnz",
    "comb_sum",
    "convex_combination",
    "distribution_based",
    "fit_fusion",
    "fuse",
    "inverse_square_rank",
    "min_max",
    "pool_size",
    "reciprocal_rank_fusion",
    "share_of_highest",
    "z_score",
]
