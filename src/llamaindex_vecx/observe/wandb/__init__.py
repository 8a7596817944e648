"""Weights & Biases: traces, tables and histograms of queries, collections as artifacts."""

from llamaindex_vecx.observe.wandb.artifacts import log_index, use_index
from llamaindex_vecx.observe.wandb.handler import WandbHandler

__all__ = ["WandbHandler", "log_index", "use_index"]
