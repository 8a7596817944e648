"""Choosing a fusion on labelled queries, and saying honestly whether it helped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.measures import Measure, get_measure
from llamaindex_vecx.evaluation.significance import bootstrap_interval
from llamaindex_vecx.fusion.candidates import Candidate, candidates
from llamaindex_vecx.fusion.fitted import FittedFusion
from llamaindex_vecx.fusion.methods import DEFAULT_K, METHODS, are_complete
from llamaindex_vecx.fusion.sums import Part, Run

__all__ = ["MINIMUM_QUERIES", "Qrels", "check_qrels", "fit_fusion"]

Floats: TypeAlias = NDArray[np.float64]
Qrels: TypeAlias = Mapping[str, Mapping[str, float]]
"""Grades by id of the query and id of the node (or group); above 0 is relevant."""

MINIMUM_QUERIES = 10
"""With fewer any choice is a guess."""


def fit_fusion(
    runs: Mapping[str, Mapping[str, Run[str]]],
    qrels: Qrels,
    *,
    measure: str = "ndcg@10",
    methods: Sequence[str] | None = None,
    folds: int = 5,
    seed: int = 0,
    depths: Mapping[str, int | None] | None = None,
    baseline: str | None = None,
) -> FittedFusion:
    """Choose method, weights and k on labelled queries; measure the choice on queries it has not seen.

    Each query belongs to one of ``folds`` parts. What is chosen on all other parts is scored on this
    one; so every query is held out once, and the mean over all is what to expect of the choice on new
    queries. The final choice is made on all queries. Where the held-out mean is not above plain RRF's
    (or the ``baseline``'s), that is kept.

    Parameters
    ----------
    runs : mapping of source to (mapping of query to run)
        What each source found for each query: (id, score) pairs, best first.
    qrels : mapping of query to (mapping of id to grade)
        Each of its queries is used and must have a relevant id. An id that no source found counts as
        missed.
    measure : str
        What is to be raised, see :func:`~llamaindex_vecx.evaluation.get_measure`.
    methods : sequence of str, optional
        Of :data:`~llamaindex_vecx.fusion.METHODS`; None is all, or those that look at places only where
        a score is missing.
    folds : int
        At least 2.
    seed : int
        Of the division into folds.
    depths : mapping of source to int or None, optional
        How many hits were asked of each source; see :func:`~llamaindex_vecx.fusion.fuse`.
    baseline : str, optional
        The source that the choice must beat alone, such as the stage before a reranker; None is plain RRF
        of all.

    Raises
    ------
    InvalidInputError
        No source, too few queries, a query without a relevant id or without a run.
    """
    names = list(runs)
    queries = _check(runs, qrels, folds)
    if baseline is not None and baseline not in runs:
        raise InvalidInputError(
            f"baseline={baseline!r} must be one of {', '.join(map(repr, names))}"
        )
    wanted = get_measure(measure)
    tried = candidates(len(names), _usable(methods, runs, queries))
    plain = Candidate("rrf", DEFAULT_K, (1 / len(names),) * len(names))
    alone = [plain._replace(weights=tuple(map(float, row))) for row in np.eye(len(names))]
    alike = _alike([plain, *alone, *tried])
    asked = None if depths is None else [depths[name] for name in names]
    values = np.array(
        [
            _values([runs[name][query] for name in names], qrels[query], wanted, alike, asked)
            for query in queries
        ]
    )
    rrf, singles, values = np.split(values, [1, 1 + len(names)], axis=1)
    beaten, kept = rrf[:, 0], plain
    if baseline is not None:
        beaten, kept = singles[:, names.index(baseline)], alone[names.index(baseline)]
    held_out = _held_out(values, folds, seed)
    adopted = bool(held_out.mean() > beaten.mean())
    choice = tried[_best(values)] if adopted else kept
    return FittedFusion(
        method=choice.method,
        k=choice.k,
        weights=dict(zip(names, choice.weights, strict=True)),
        measure=measure,
        queries=len(queries),
        folds=folds,
        alone=dict(zip(names, singles.mean(axis=0).tolist(), strict=True)),
        rrf=float(rrf.mean()),
        held_out=float(held_out.mean()),
        interval=bootstrap_interval(held_out - beaten, seed=seed),
        adopted=adopted,
        baseline=baseline,
    )


def _check(runs: Mapping[str, Mapping[str, Run[str]]], qrels: Qrels, folds: int) -> list[str]:
    if not runs:
        raise InvalidInputError("runs is empty; give what at least one source found")
    if folds < 2:
        raise InvalidInputError(f"folds={folds!r} must be at least 2")
    check_qrels(qrels, least=max(MINIMUM_QUERIES, folds))
    for name, run in runs.items():
        missing = [query for query in qrels if query not in run]
        if missing:
            raise InvalidInputError(
                f"source {name!r} has no run for {len(missing)} queries, e.g. {missing[0]!r}"
            )
    return list(qrels)


def check_qrels(qrels: Qrels, *, least: int = MINIMUM_QUERIES) -> None:
    """Refuse too few labelled queries, and one without a relevant id.

    Raises
    ------
    InvalidInputError
    """
    if len(qrels) < least:
        raise InvalidInputError(
            f"{len(qrels)} labelled queries are too few to choose on; give at least {least}, "
            "better a hundred"
        )
    bare = [query for query, grades in qrels.items() if not any(g > 0 for g in grades.values())]
    if bare:
        raise InvalidInputError(
            f"{len(bare)} queries have no relevant id in qrels, e.g. {bare[0]!r}; leave them out"
        )


def _usable(
    methods: Sequence[str] | None, runs: Mapping[str, Mapping[str, Run[str]]], queries: list[str]
) -> list[str]:
    bare = next(
        (
            name
            for name, run in runs.items()
            if any(score is None for query in queries for _, score in run[query])
        ),
        None,
    )
    if methods is None:
        return [name for name, method in METHODS.items() if bare is None or not method.needs_scores]
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise InvalidInputError(f"methods={list(methods)} must be of {', '.join(METHODS)}")
    needing = [name for name in methods if METHODS[name].needs_scores]
    if bare is not None and needing:
        raise InvalidInputError(f"source {bare!r} gives no scores, which {needing[0]!r} needs")
    return list(dict.fromkeys(methods))


class _Alike(NamedTuple):
    """Candidates that differ in their weights alone, and ask the same sources."""

    method: str
    k: float
    support: tuple[int, ...]
    numbers: list[int]
    weights: Floats


def _alike(tried: Sequence[Candidate]) -> list[_Alike]:
    found: dict[tuple[str, float | None, tuple[int, ...]], list[int]] = {}
    for number, (method, k, weights) in enumerate(tried):
        support = tuple(place for place, weight in enumerate(weights) if weight)
        found.setdefault((method, k, support), []).append(number)
    return [
        _Alike(
            method,
            DEFAULT_K if k is None else k,
            support,
            numbers,
            np.array([tried[number].weights for number in numbers])[:, support],
        )
        for (method, k, support), numbers in found.items()
    ]


def _values(
    runs: Sequence[Run[str]],
    grades: Mapping[str, float],
    measure: Measure,
    tried: Sequence[_Alike],
    depths: Sequence[int | None] | None = None,
) -> Floats:
    """The measure of every candidate on one query, shape (candidates,)."""
    relevant = [id_ for id_, grade in grades.items() if grade > 0]
    gains = np.array([grades[id_] for id_ in relevant], dtype=np.float64)
    complete = are_complete(runs, depths)
    values = np.zeros(sum(len(alike.numbers) for alike in tried))
    for alike in tried:
        parts = METHODS[alike.method].parts(
            [runs[place] for place in alike.support],
            alike.k,
            [complete[place] for place in alike.support],
        )
        ranks = _ranks(parts, alike.weights, METHODS[alike.method].times_hits, relevant)
        values[alike.numbers] = measure.of_ranks(ranks, gains)
    return values


def _ranks(
    parts: Sequence[Part[str]], weights: Floats, times_hits: bool, relevant: Sequence[str]
) -> Floats:
    """Where :func:`~llamaindex_vecx.fusion.fuse` puts the relevant ids, shape (relevant, weightings)."""
    keys = dict.fromkeys(key for part in parts for key in part.given)
    number = {key: row for row, key in enumerate(keys)}
    scores = np.zeros((len(number), len(weights)))
    hits = np.zeros((len(number), 1))
    for part, weight in zip(parts, weights.T, strict=True):
        column = np.full(len(number), part.absent)
        held = [number[id_] for id_ in part.given]
        column[held] = list(part.given.values())
        hits[held] += 1
        scores += column[:, None] * weight  # no matrix product: it would break ties by rounding
    if times_hits:
        scores *= hits
    ranks = np.full((len(relevant), len(weights)), np.inf)
    for place, id_ in enumerate(relevant):
        row = number.get(id_)
        if row is not None:
            ranks[place] = 1 + (scores > scores[row]).sum(axis=0)
            ranks[place] += (scores[:row] == scores[row]).sum(axis=0)
    return ranks


def _held_out(values: Floats, folds: int, seed: int) -> Floats:
    """For each query the value of what is chosen on the other folds, shape (queries,)."""
    fold = np.random.default_rng(seed).permutation(len(values)) % folds
    held_out = np.empty(len(values))
    for number in range(folds):
        seen = fold != number
        held_out[~seen] = values[~seen, _best(values[seen])]
    return held_out


def _best(values: Floats) -> int:
    """The candidate with the highest mean; of equals the first, which is the most even."""
    means = values.mean(axis=0)
    return int(np.flatnonzero(means >= means.max() - 1e-12)[0])
