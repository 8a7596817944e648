"""A gate for CI: means that an evaluation must reach."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.measures import get_measure
from llamaindex_vecx.evaluation.results import Evaluation

__all__ = ["Threshold", "failures", "parse_threshold"]

_FORM = re.compile(r"\s*(\w+(?:@\d+)?)\s*>?=\s*([0-9.eE+-]+)\s*")


class Threshold(NamedTuple):
    """A measure and the least mean that passes."""

    measure: str
    least: float

    def __str__(self) -> str:
        return f"{self.measure}={self.least:g}"


def parse_threshold(text: str) -> Threshold:
    """``"ndcg@10=0.70"``.

    Raises
    ------
    InvalidInputError
        Of another form, an unknown measure, or no number in [0, 1].
    """
    match = _FORM.fullmatch(text)
    try:
        value = float(match[2]) if match else float("nan")
    except ValueError:
        value = float("nan")
    if match is None or not 0 <= value <= 1:
        raise InvalidInputError(
            f"{text!r} is no threshold: write MEASURE=VALUE with a value from 0 to 1, e.g. ndcg@10=0.70"
        )
    return Threshold(get_measure(match[1]).name, value)


def failures(evaluation: Evaluation, thresholds: Sequence[Threshold]) -> list[str]:
    """Why an evaluation does not pass, one sentence each; empty where it does.

    One in which queries failed never passes: the mean is that of the others.
    """
    reasons = [
        f"{name} is {value:.4f}, under {least:g}"
        for name, least in thresholds
        if (value := float(evaluation.values(name).mean())) < least
    ]
    if thresholds and evaluation.failed:
        reasons.append(f"{len(evaluation.failed)} queries failed, so the means are of a part")
    return reasons
