"""Measures of one ranking against graded judgements, as trec_eval defines them.

All are functions of where the relevant documents stand. So they are written over an array of ranks, and many
rankings of the same query are measured in one call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["MEASURES", "Measure", "get_measure"]

Floats: TypeAlias = NDArray[np.float64]
Kernel: TypeAlias = Callable[[Floats, Floats, float], Floats]
"""(ranks (relevant, n) from 1, inf where not found; grades (relevant,); cut-off) -> values (n,)."""

_UNCUT = float(np.finfo(np.float64).max)
"""Below infinity, which is the rank of what was not found."""

_NAME = re.compile(r"([a-z_]+)(?:@([1-9]\d*))?")


def _ndcg(ranks: Floats, grades: Floats, k: float) -> Floats:
    """Järvelin & Kekäläinen, TOIS 2002, with gains as graded (trec_eval's ndcg_cut)."""
    gains = np.where(ranks <= k, grades[:, None] / np.log2(ranks + 1.0), 0.0).sum(axis=0)
    ideal = np.sort(grades)[::-1][: int(min(k, len(grades)))]
    return np.asarray(gains / (ideal / np.log2(np.arange(2, len(ideal) + 2))).sum())


def _recall(ranks: Floats, grades: Floats, k: float) -> Floats:
    return np.asarray((ranks <= k).sum(axis=0) / len(grades))


def _precision(ranks: Floats, grades: Floats, k: float) -> Floats:
    return np.asarray((ranks <= k).sum(axis=0) / k)


def _hit_rate(ranks: Floats, grades: Floats, k: float) -> Floats:
    return np.asarray((ranks <= k).any(axis=0), dtype=np.float64)


def _reciprocal_rank(ranks: Floats, grades: Floats, k: float) -> Floats:
    first = ranks.min(axis=0)
    return np.asarray(np.where(first <= k, 1.0 / first, 0.0))


def _average_precision(ranks: Floats, grades: Floats, k: float) -> Floats:
    """Divided by all relevant documents, also those beyond the cut-off (trec_eval's map_cut)."""
    ordered = np.sort(ranks, axis=0)
    precisions = np.arange(1, len(ordered) + 1)[:, None] / ordered
    return np.asarray(np.where(ordered <= k, precisions, 0.0).sum(axis=0) / len(grades))


MEASURES: Mapping[str, Kernel] = {
    "ndcg": _ndcg,
    "recall": _recall,
    "precision": _precision,
    "hit_rate": _hit_rate,
    "mrr": _reciprocal_rank,
    "map": _average_precision,
}
"""By name; with ``@k`` behind it a name is cut off after k places."""


@dataclass(frozen=True)
class Measure:
    """A measure with its cut-off; see :func:`get_measure`."""

    name: str
    kernel: Kernel
    k: float

    def of_ranks(self, ranks: Floats, grades: Floats) -> Floats:
        """Values of many rankings of one query.

        Parameters
        ----------
        ranks : float64, shape (relevant, n)
            Where each relevant document stands in each ranking, from 1; infinity where it doesn't.
        grades : float64, shape (relevant,)
            Their grades, all above 0; at least one.

        Returns
        -------
        float64, shape (n,)
        """
        return self.kernel(ranks, grades, self.k)

    def of(self, ranking: Sequence[Hashable], grades: Mapping[Any, float]) -> float:
        """Value of one ranking.

        Parameters
        ----------
        ranking : sequence of ids
            Best first, each once.
        grades : mapping of id to grade
            Grades of 0 and below count as not relevant.

        Raises
        ------
        InvalidInputError
            No document is relevant: the measure has no value.
        """
        relevant = {id_: float(grade) for id_, grade in grades.items() if grade > 0}
        if not relevant:
            raise InvalidInputError(f"{self.name} has no value where no document is relevant")
        places = {id_: rank for rank, id_ in enumerate(ranking, start=1)}
        ranks = np.array([[places.get(id_, np.inf)] for id_ in relevant], dtype=np.float64)
        return float(self.of_ranks(ranks, np.array(list(relevant.values())))[0])


def get_measure(name: str) -> Measure:
    """The measure of a name such as ``"ndcg@10"`` or ``"map"``.

    Raises
    ------
    InvalidInputError
        There is none, or precision without a cut-off.
    """
    match = _NAME.fullmatch(name)
    if match is None or match[1] not in MEASURES or (match[1] == "precision" and not match[2]):
        raise InvalidInputError(
            f"measure {name!r} is unknown; take one of {', '.join(MEASURES)}, "
            "with a cut-off such as 'ndcg@10' (precision always with one)"
        )
    return Measure(name, MEASURES[match[1]], float(match[2]) if match[2] else _UNCUT)
