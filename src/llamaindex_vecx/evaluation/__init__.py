"""Measuring retrieval and answers, and whether a difference is real.

Measures and tests over rankings need no LlamaIndex. Everything is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamaindex_vecx.evaluation.asking import aevaluate, evaluate
    from llamaindex_vecx.evaluation.comparing import Comparison, compare
    from llamaindex_vecx.evaluation.formats import load_labelled
    from llamaindex_vecx.evaluation.gate import Threshold, failures, parse_threshold
    from llamaindex_vecx.evaluation.judging import (
        AnswerRecord,
        Judged,
        ajudge_answers,
        judge_answers,
    )
    from llamaindex_vecx.evaluation.labelled import LabelledQueries, Passage
    from llamaindex_vecx.evaluation.measures import MEASURES, Measure, get_measure
    from llamaindex_vecx.evaluation.measuring import evaluate_run
    from llamaindex_vecx.evaluation.page import write_page
    from llamaindex_vecx.evaluation.questions import generate_questions
    from llamaindex_vecx.evaluation.results import Costs, Evaluation, QueryResult
    from llamaindex_vecx.evaluation.runs import order_scores, read_run, write_run
    from llamaindex_vecx.evaluation.significance import bootstrap_interval, permutation_test
    from llamaindex_vecx.evaluation.texts import bleu, perplexity, rouge

_HOMES = {
    "AnswerRecord": "judging",
    "Comparison": "comparing",
    "Costs": "results",
    "Evaluation": "results",
    "Judged": "judging",
    "LabelledQueries": "labelled",
    "MEASURES": "measures",
    "Measure": "measures",
    "Passage": "labelled",
    "QueryResult": "results",
    "Threshold": "gate",
    "aevaluate": "asking",
    "ajudge_answers": "judging",
    "bleu": "texts",
    "bootstrap_interval": "significance",
    "compare": "comparing",
    "evaluate": "asking",
    "evaluate_run": "measuring",
    "failures": "gate",
    "generate_questions": "questions",
    "get_measure": "measures",
    "judge_answers": "judging",
    "load_labelled": "formats",
    "order_scores": "runs",
    "parse_threshold": "gate",
    "permutation_test": "significance",
    "perplexity": "texts",
    "read_run": "runs",
    "rouge": "texts",
    "write_page": "page",
    "write_run": "runs",
}

__all__ = [
    "MEASURES",
    "AnswerRecord",
    "Comparison",
    "Costs",
    "Evaluation",
    "Judged",
    "LabelledQueries",
    "Measure",
    "Passage",
    "QueryResult",
    "Threshold",
    "aevaluate",
    "ajudge_answers",
    "bleu",
    "bootstrap_interval",
    "compare",
    "evaluate",
    "evaluate_run",
    "failures",
    "generate_questions",
    "get_measure",
    "judge_answers",
    "load_labelled",
    "order_scores",
    "parse_threshold",
    "permutation_test",
    "perplexity",
    "read_run",
    "rouge",
    "write_page",
    "write_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
