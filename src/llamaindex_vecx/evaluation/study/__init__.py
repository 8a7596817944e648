"""Which parameters an index should have: every configuration measured on the user's own vectors."""

from llamaindex_vecx.evaluation.study.applying import apply_row
from llamaindex_vecx.evaluation.study.choosing import describe, pareto, recommend
from llamaindex_vecx.evaluation.study.plans import PRESETS, Build, Plan, classic, sweep
from llamaindex_vecx.evaluation.study.record import StudyRecord
from llamaindex_vecx.evaluation.study.report import write_report
from llamaindex_vecx.evaluation.study.running import run_study
from llamaindex_vecx.evaluation.study.vectors import StudyVectors

__all__ = [
    "PRESETS",
    "Build",
    "Plan",
    "StudyRecord",
    "StudyVectors",
    "apply_row",
    "classic",
    "describe",
    "pareto",
    "recommend",
    "run_study",
    "sweep",
    "write_report",
]
