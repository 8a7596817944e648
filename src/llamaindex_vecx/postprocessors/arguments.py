"""What a reranker may be given, checked before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import QueryBundle

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import EmptyQueryError, InvalidInputError
from llamaindex_vecx.fusion.methods import check_method
from llamaindex_vecx.postprocessors.loading import BACKENDS

__all__ = ["check_mix", "check_settings", "question_of"]

_NORMALIZE = ("model", "sigmoid", "none")
_WINDOWS = ("first", "best")


def check_settings(settings: dict[str, Any]) -> None:
    """Refuse what the constructor of a reranker can't take.

    Raises
    ------
    InvalidInputError
    """
    _check_name(settings["model"])
    check_count(settings["top_n"], "top_n")
    _check_number(settings["score_threshold"], "score_threshold")
    _check_choice(settings["normalize"], "normalize", _NORMALIZE)
    check_mix(settings["weight"], settings["method"], settings["k"])
    _check_choice(settings["window"], "window", _WINDOWS)
    overlap = settings["window_overlap"]
    if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
        raise InvalidInputError(f"window_overlap={overlap!r} must be a whole number of at least 0")
    for name in ("max_length", "batch_tokens"):
        if settings[name] is not None:
            check_count(settings[name], name)
    _check_choice(settings["backend"], "backend", BACKENDS)


def check_mix(weight: Any, method: str, k: float | None) -> None:
    """Refuse a weight outside [0, 1], an unknown method, or a ``k`` for one that has none.

    Raises
    ------
    InvalidInputError
    """
    _check_number(weight, "weight")
    if weight is not None and not 0.0 <= weight <= 1.0:
        raise InvalidInputError(
            f"weight={weight!r} must lie in [0, 1]: 1 is the reranker alone, 0 the stage before"
        )
    check_method(method, k)


def question_of(bundle: QueryBundle | None) -> str:
    """The query's text.

    Raises
    ------
    InvalidInputError
        There is no query.
    EmptyQueryError
        It has no letter or digit.
    """
    if bundle is None:
        raise InvalidInputError(
            "reranking needs the query; give query_str=… or query_bundle=… to postprocess_nodes"
        )
    query = bundle.query_str
    if not any(character.isalnum() for character in query):
        raise EmptyQueryError(
            f"the query {query[:40]!r} has no word to compare a text with; ask something"
        )
    return query


def _check_name(model: Any) -> None:
    if not isinstance(model, str) and not hasattr(model, "__fspath__"):
        raise InvalidInputError(
            f"model must be the name or folder of a cross-encoder, not {type(model).__name__}"
        )
    if not str(model).strip():
        raise InvalidInputError("model='' names nothing; give a name or folder")


def _check_choice(value: Any, argument: str, choices: Sequence[str]) -> None:
    if value not in choices:
        listed = ", ".join(map(repr, choices))
        raise InvalidInputError(f"{argument}={value!r} must be one of {listed}")


def _check_number(value: Any, argument: str) -> None:
    if value is not None and not (isinstance(value, (int, float)) and math.isfinite(value)):
        raise InvalidInputError(f"{argument}={value!r} must be a finite number")
