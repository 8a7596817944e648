"""Which configuration to take."""

from __future__ import annotations

from collections.abc import Sequence

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.study.record import Row

__all__ = ["describe", "pareto", "recall_name", "recommend"]


def describe(row: Row) -> str:
    """``hnsw M=16 ef_construction=200 ef_search=64``."""
    return " ".join([row["index"], *(f"{name}={value}" for name, value in row["search"].items())])


def recall_name(rows: Sequence[Row]) -> str:
    """The recall to choose by: that of all neighbours that were asked for.

    Raises
    ------
    InvalidInputError
        There are no rows.
    """
    if not rows:
        raise InvalidInputError("the study has no measured configuration yet")
    return next(name for name in reversed(rows[0]) if name.startswith("recall@"))


def pareto(rows: Sequence[Row], recall: str | None = None) -> list[Row]:
    """Those of which no other is both faster and as exact, fastest first."""
    name = recall or recall_name(rows)
    best, front = -1.0, []
    for row in sorted(rows, key=lambda row: (row["ms"], -row[name])):
        if row[name] > best:
            best = row[name]
            front.append(row)
    return front


def recommend(
    rows: Sequence[Row],
    target: float,
    *,
    budget_ms: float | None = None,
    recall: str | None = None,
    engine: str | None = None,
) -> Row:
    """The cheapest configuration that reaches a recall, within a latency.

    Within a budget latency costs nothing, so memory decides, then the time to index. Without one the
    fastest is taken, then the smallest.

    Parameters
    ----------
    rows : sequence of Row
    target : float
        Least recall, in (0, 1].
    budget_ms : float, optional
        Most milliseconds a query, of the index alone and on one thread.
    recall : str, optional
        ``"recall@1"`` or ``"recall@10"``; by default that of all neighbours asked for.
    engine : {"hnsw", "faiss"}, optional
        Only these.

    Raises
    ------
    InvalidInputError
        No configuration reaches it; the message names the best that there is.
    """
    if not 0 < target <= 1:
        raise InvalidInputError(f"target={target!r} must lie in (0, 1]")
    if budget_ms is not None and not budget_ms > 0:
        raise InvalidInputError(f"budget_ms={budget_ms!r} must be above 0")
    some = [row for row in rows if engine in (None, row["engine"])]
    name = recall or recall_name(some)
    if some and name not in some[0]:
        raise InvalidInputError(f"recall={name!r} was not measured; there is {recall_name(some)}")
    exact = [row for row in some if row[name] >= target]
    if not exact:
        best = max(some, key=lambda row: (row[name], -row["ms"]))
        raise InvalidInputError(
            f"no setting of {len(some)} reaches {name} {target:g}: the best is {best[name]:.4f}, by "
            f"{describe(best)} in {best['ms']:.4f} ms; try larger ef_search, M or ef_construction"
        )
    if budget_ms is None:
        return min(exact, key=lambda row: (row["ms"], row["mb"], row["index_s"]))
    within = [row for row in exact if row["ms"] <= budget_ms]
    if not within:
        fastest = min(exact, key=lambda row: row["ms"])
        raise InvalidInputError(
            f"no setting reaches {name} {target:g} within {budget_ms:g} ms: the fastest that does takes "
            f"{fastest['ms']:.4f} ms, by {describe(fastest)}"
        )
    # Graphs of one M differ by the length of a few lists, so megabytes are compared as whole ones.
    return min(within, key=lambda row: (round(row["mb"]), row["index_s"], row["ms"]))
