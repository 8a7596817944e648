"""A fusion that was chosen on labelled queries, and how it did on those it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from llamaindex_vecx.errors import FormatError, InvalidInputError
from llamaindex_vecx.fusion.methods import check_method
from llamaindex_vecx.fusion.weights import check_weights

__all__ = ["FittedFusion"]


@dataclass(frozen=True)
class FittedFusion:
    """What a fit chose, and its record.

    Attributes
    ----------
    method, k, weights
        The choice, as :class:`~llamaindex_vecx.HybridRetriever` takes them; ``k`` is None but for RRF.
        Weights are by name of the source and sum to 1; a source of weight 0 is not worth asking.
    measure : str
        What was to be raised.
    queries, folds : int
        How many labelled queries there were, and in how many parts they were held out.
    alone : dict
        The measure of each source alone, over all queries.
    rrf : float
        That of plain RRF: equal weights, k = 60.
    held_out : float
        That of the choice on queries it was not chosen on.
    interval : (float, float)
        95 % confidence interval of the gain, by paired bootstrap.
    adopted : bool
        False: nothing beat the baseline on the held-out queries, and the choice *is* the baseline.
    baseline : str or None
        The source that was to be beaten; None is plain RRF.
    """

    method: str
    k: float | None
    weights: dict[str, float]
    measure: str
    queries: int
    folds: int
    alone: dict[str, float]
    rrf: float
    held_out: float
    interval: tuple[float, float]
    adopted: bool
    baseline: str | None = None

    @property
    def gain(self) -> float:
        """What the choice adds to plain RRF, or to the baseline, on held-out queries."""
        return self.held_out - (self.rrf if self.baseline is None else self.alone[self.baseline])

    @property
    def helped(self) -> bool:
        """Whether the gain is more than chance: its interval lies above 0."""
        return self.interval[0] > 0

    @property
    def settings(self) -> dict[str, Any]:
        """The choice as keyword arguments of a :class:`~llamaindex_vecx.HybridRetriever`."""
        return {"method": self.method, "k": self.k, "weights": dict(self.weights)}

    def __str__(self) -> str:
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in self.weights.items())
        k = "" if self.k is None else f" (k={self.k:g})"
        low, high = self.interval
        beaten = "plain RRF" if self.baseline is None else f"{self.baseline} alone"
        verdict = (
            f"better than {beaten}"
            if self.helped
            else f"not surely better than {beaten}"
            if self.adopted
            else f"nothing beat {beaten}, which was kept"
        )
        alone = ", ".join(f"{name} alone {value:.3f}" for name, value in self.alone.items())
        return (
            f"{self.method}{k}, weights {weights}: {self.measure} {self.held_out:.3f} held out, plain RRF "
            f"{self.rrf:.3f}, {alone}; gain {self.gain:+.3f} [{low:+.3f}, {high:+.3f}] over "
            f"{self.queries} queries: {verdict}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "interval": list(self.interval)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> FittedFusion:
        """What :meth:`to_dict` wrote.

        Raises
        ------
        FormatError
            It is something else, or was written by a newer version.
        """
        try:
            values = {
                field.name: body[field.name] for field in fields(cls) if field.name != "baseline"
            }
            values["baseline"] = body.get("baseline")  # files from before there was one lack it
            values["interval"] = (float(body["interval"][0]), float(body["interval"][1]))
            fitted = cls(**values)
            check_method(fitted.method, fitted.k)
            check_weights(list(fitted.weights.values()), len(fitted.weights))
        except (
            KeyError,
            IndexError,
            TypeError,
            ValueError,
            AttributeError,
            InvalidInputError,
        ) as error:
            raise FormatError(
                f"a saved fusion can't be read: {type(error).__name__}: {error}; fit it again"
            ) from error
        return fitted
