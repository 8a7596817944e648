"""What an evaluation found: by query, on average, and what it cost."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import named
from llamaindex_vecx.evaluation.runs import write_run
from llamaindex_vecx.evaluation.significance import bootstrap_interval

__all__ = ["Costs", "Evaluation", "QueryResult"]

_FORMAT = 1


@dataclass(frozen=True)
class QueryResult:
    """One query of an evaluation.

    Attributes
    ----------
    query, text : str
        Id and question.
    values : dict of str to float
        By measure.
    found : list of (id, score)
        Best first, each id once.
    first_relevant : int or None
        Rank of the first relevant id, from 1.
    seconds : float or None
        Wall-clock time of the retrieval.
    stages : dict of str to float
        Of that, by stage: embed, dense, bm25, fuse, rerank, as far as they were met.
    """

    query: str
    text: str
    values: dict[str, float]
    found: list[tuple[str, float]] = field(default_factory=list)
    first_relevant: int | None = None
    seconds: float | None = None
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Costs:
    """What the queries cost.

    Attributes
    ----------
    mean_ms, p50_ms, p95_ms : float
        Wall-clock milliseconds a query.
    cpu_ms : float
        CPU milliseconds a query, of the whole process.
    embedding_tokens : float
        Tokens sent to the embedding model, a query, by LlamaIndex's tokenizer.
    usd_per_1000 : float or None
        What these tokens cost for a thousand queries, at the price that was given.
    """

    mean_ms: float
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    embedding_tokens: float = 0.0
    usd_per_1000: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """One configuration, measured on labelled queries.

    Attributes
    ----------
    name : str
        Of the configuration.
    data : str
        Of the labelled queries.
    measures : list of str
    results : list of QueryResult
        Of the queries that were answered.
    costs : Costs or None
        None where a run was measured that somebody else made.
    unjudged : list of str
        Queries without a relevant id, left out.
    missing : list of str
        Relevant ids that are not in the collection: they count as not found.
    failed : dict of str to str
        Queries that could not be answered, and why: they are in no mean.
    """

    name: str
    data: str
    measures: list[str]
    results: list[QueryResult]
    costs: Costs | None = None
    unjudged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every judged query was answered, and every relevant id can be found."""
        return not (self.failed or self.missing)

    @property
    def remarks(self) -> list[str]:
        """What a reader of the means must know, one sentence each."""
        remarks = []
        if self.failed:
            query, reason = next(iter(self.failed.items()))
            remarks.append(
                f"partial: {len(self.failed)} of {len(self.failed) + len(self.results)} queries failed "
                f"and are in no mean: {named(self.failed)} ({query!r}: {reason})"
            )
        if self.missing:
            remarks.append(
                f"partial: {len(self.missing)} relevant ids are not in the collection and count as not "
                f"found: {named(self.missing)}"
            )
        if self.unjudged:
            remarks.append(
                f"{len(self.unjudged)} queries have no relevant id and are left out: {named(self.unjudged)}"
            )
        return remarks

    def __repr__(self) -> str:
        means = ", ".join(f"{name}={value:.4f}" for name, value in self.means.items())
        partial = "" if self.complete else ", partial"
        return f"Evaluation({self.name!r} on {self.data!r}, {len(self.results)} queries, {means}{partial})"

    def values(self, measure: str) -> NDArray[np.float64]:
        """The measure of each query, shape (queries,).

        Raises
        ------
        InvalidInputError
            It was not measured.
        """
        if measure not in self.measures:
            raise InvalidInputError(
                f"{measure!r} was not measured for {self.name!r}; it has {', '.join(self.measures)}"
            )
        return np.array([result.values[measure] for result in self.results])

    @property
    def means(self) -> dict[str, float]:
        """By measure, over the queries that were answered."""
        return {name: float(self.values(name).mean()) for name in self.measures}

    def interval(self, measure: str, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of a mean, see :func:`~llamaindex_vecx.evaluation.bootstrap_interval`."""
        return bootstrap_interval(self.values(measure), level=level, samples=2_000)

    def worst(self, measure: str, count: int = 5) -> list[QueryResult]:
        """The queries with the lowest values, lowest first."""
        self.values(measure)
        return sorted(self.results, key=lambda result: result.values[measure])[:count]

    def rows(self) -> list[dict[str, Any]]:
        """The table by query, as plain JSON."""
        return [
            {
                "query": result.query,
                "text": result.text,
                **result.values,
                "first_relevant": result.first_relevant,
                "found": len(result.found),
                "ms": None if result.seconds is None else 1e3 * result.seconds,
            }
            for result in self.results
        ]

    def write_csv(self, path: str | Path) -> None:
        """Write the table by query."""
        rows = self.rows()
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def write_run(self, path: str | Path) -> None:
        """Write what was found in TREC's format, see :func:`~llamaindex_vecx.evaluation.write_run`."""
        write_run(path, {r.query: r.found for r in self.results}, tag="-".join(self.name.split()))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "format": _FORMAT,
            "complete": self.complete,
            "means": self.means,
            "remarks": self.remarks,
            **asdict(self),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evaluation:
        """The evaluation that :meth:`to_json` wrote.

        Raises
        ------
        InvalidInputError
            It did not.
        """
        if value.get("format") != _FORMAT:
            raise InvalidInputError(
                f"this is no saved evaluation of format {_FORMAT}, but {value.get('format')!r}"
            )
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        try:
            known["results"] = [
                QueryResult(**{**result, "found": [(id_, score) for id_, score in result["found"]]})
                for result in known["results"]
            ]
            known["costs"] = None if known.get("costs") is None else Costs(**known["costs"])
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInputError(f"this saved evaluation is damaged: {error!r}") from error

    def save(self, path: str | Path) -> None:
        """Write as JSON, whole or not at all."""
        file = Path(path)
        aside = file.with_name(file.name + ".part")
        aside.write_text(json.dumps(self.to_json(), ensure_ascii=False), "utf-8")
        os.replace(aside, file)

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InvalidInputError
            The file is missing or something else.
        """
        try:
            value = json.loads(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"{path} can't be read as a saved evaluation: {error}"
            ) from error
        if not isinstance(value, dict):
            raise InvalidInputError(f"{path} holds no saved evaluation")
        return cls.from_json(value)


def costs_of(
    seconds: Sequence[float], cpu_seconds: float, tokens: int, price: float | None
) -> Costs:
    """Costs a query.

    Parameters
    ----------
    seconds : sequence of float
        Of each query; not empty.
    cpu_seconds : float
        Of all.
    tokens : int
        Of all.
    price : float or None
        US dollars for a million tokens.
    """
    each = 1e3 * np.asarray(seconds)
    per_query = tokens / len(each)
    return Costs(
        mean_ms=float(each.mean()),
        p50_ms=float(np.quantile(each, 0.5)),
        p95_ms=float(np.quantile(each, 0.95)),
        cpu_ms=1e3 * cpu_seconds / len(each),
        embedding_tokens=per_query,
        usd_per_1000=None if price is None else per_query * price / 1e3,
    )
