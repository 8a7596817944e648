"""Whether one configuration is better than another, on the same queries."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import named
from llamaindex_vecx.evaluation.results import Evaluation
from llamaindex_vecx.evaluation.significance import bootstrap_interval, permutation_test

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """A paired comparison by one measure.

    Attributes
    ----------
    measure, name, baseline : str
    mean, baseline_mean, difference : float
        ``difference`` is ``mean - baseline_mean``.
    interval : (float, float)
        Of the difference, 95 %, by the bootstrap.
    p_value : float
        By Fisher's randomization test, two-sided.
    better, worse, equal : int
        Queries.
    left_out : tuple of str
        Queries that only one of the two has.
    """

    measure: str
    name: str
    baseline: str
    mean: float
    baseline_mean: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    better: int
    worse: int
    equal: int
    left_out: tuple[str, ...] = ()

    @property
    def queries(self) -> int:
        """How many were compared."""
        return self.better + self.worse + self.equal

    def __str__(self) -> str:
        low, high = self.interval
        text = (
            f"{self.measure}: {self.name} {self.mean:.4f}, {self.baseline} {self.baseline_mean:.4f}, "
            f"difference {self.difference:+.4f} [{low:+.4f}, {high:+.4f}], p = {self.p_value:.4f} "
            f"(randomization test; of {self.queries} queries {self.better} better, {self.worse} worse, "
            f"{self.equal} equal)"
        )
        if self.left_out:
            text += f"; left out, since only one has them: {named(self.left_out)}"
        return text

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "interval": list(self.interval), "left_out": list(self.left_out)}


def compare(
    evaluation: Evaluation,
    baseline: Evaluation,
    measure: str,
    *,
    samples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two evaluations, query by query.

    Choose the measure before you look, and compare few configurations: of twenty comparisons without any
    real difference one has p < 0.05.

    Parameters
    ----------
    evaluation, baseline : Evaluation
        Of the same labelled queries.
    measure : str
    samples, seed : int
        Of the test and of the interval.

    Raises
    ------
    InvalidInputError
        The measure was not measured for both, or they have no query in common.
    """
    evaluation.values(measure), baseline.values(measure)
    ours = {result.query: result for result in evaluation.results}
    theirs = {result.query: result for result in baseline.results}
    both = [query for query in ours if query in theirs]
    changed = [
        query
        for query in both
        if ours[query].text and theirs[query].text not in ("", ours[query].text)
    ]
    if not both or changed:
        raise InvalidInputError(
            f"{evaluation.name!r} and {baseline.name!r} can't be compared: "
            + (f"queries differ in text: {named(changed)}" if changed else "no query is in both")
        )
    pairs = [(ours[query].values[measure], theirs[query].values[measure]) for query in both]
    differences = [mine - other for mine, other in pairs]
    return Comparison(
        measure=measure,
        name=evaluation.name,
        baseline=baseline.name,
        mean=sum(mine for mine, _ in pairs) / len(pairs),
        baseline_mean=sum(other for _, other in pairs) / len(pairs),
        difference=sum(differences) / len(pairs),
        interval=bootstrap_interval(differences, samples=samples, seed=seed),
        p_value=permutation_test(differences, samples=samples, seed=seed),
        better=sum(value > 0 for value in differences),
        worse=sum(value < 0 for value in differences),
        equal=sum(value == 0 for value in differences),
        left_out=tuple(sorted(set(ours) ^ set(theirs))),
    )
