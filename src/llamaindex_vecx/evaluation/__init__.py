"""Measures over rankings and judgements, and whether a difference is real. No LlamaIndex here."""

from llamaindex_vecx.evaluation.measures import MEASURES, Measure, get_measure
from llamaindex_vecx.evaluation.significance import bootstrap_interval

__all__ = ["MEASURES", "Measure", "bootstrap_interval", "get_measure"]
