"""Measuring a run that is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import LabelledQueries, named
from llamaindex_vecx.evaluation.measures import Measure, get_measure
from llamaindex_vecx.evaluation.results import Evaluation, QueryResult
from llamaindex_vecx.evaluation.runs import Run, as_ranking

__all__ = ["DEFAULT_MEASURES", "evaluate_run", "measures_of", "result_of"]

DEFAULT_MEASURES = ("ndcg@10", "recall@10", "precision@10", "hit_rate@10", "mrr@10", "map@10")


def evaluate_run(
    run: Run,
    labelled: LabelledQueries | Mapping[str, Mapping[str, float]],
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    name: str = "run",
) -> Evaluation:
    """Measure a run that is there already.

    A query that is judged and not in the run counts as one for which nothing was found, as with
    ``trec_eval -c``; a query in the run that is not judged counts nothing. Queries without a relevant id
    are left out, and named in the result.

    Parameters
    ----------
    run : mapping of query id to scores by id, or to ids best first
        Scores are ordered as trec_eval orders them, see :func:`~llamaindex_vecx.evaluation.order_scores`.
    labelled : LabelledQueries, or qrels
    measures : sequence of str
        See :func:`~llamaindex_vecx.evaluation.get_measure`.

    Raises
    ------
    InvalidInputError
        The run is empty, or has none of the judged queries.
    """
    if not isinstance(labelled, LabelledQueries):
        labelled = LabelledQueries.of("qrels", {}, labelled)
    wanted = measures_of(measures)
    if not any(run.values()):
        raise InvalidInputError(f"{name!r} is an empty run: nothing was found for any query")
    if not set(run) & set(labelled.qrels):
        raise InvalidInputError(
            f"no query of {name!r} is judged: the run has {named(run, 3)}, judged are "
            f"{named(labelled.qrels, 3)}; are they of the same data?"
        )
    results = []
    for query, grades in labelled.qrels.items():
        found = run.get(query, ())
        ranking = as_ranking(query, found)
        scores = (
            found
            if isinstance(found, Mapping)
            else {id_: 1 / r for r, id_ in enumerate(ranking, 1)}
        )
        hits = [(id_, float(scores[id_])) for id_ in ranking]
        results.append(result_of(query, labelled, hits, grades, wanted))
    return Evaluation(
        name, labelled.name, list(measures), results, unjudged=list(labelled.unjudged)
    )


def measures_of(names: Sequence[str]) -> list[Measure]:
    """By name, each once.

    Raises
    ------
    InvalidInputError
        None is named, or one is unknown.
    """
    if not names:
        raise InvalidInputError("measures is empty; name at least one, such as 'ndcg@10'")
    return [get_measure(name) for name in dict.fromkeys(names)]


def result_of(
    query: str,
    labelled: LabelledQueries,
    hits: list[tuple[str, float]],
    grades: Mapping[str, float],
    measures: Sequence[Measure],
    **more: Any,
) -> QueryResult:
    """The values of one query.

    Parameters
    ----------
    hits : list of (id, score)
        Best first, each id once.
    **more
        Further fields of the result.
    """
    ranking = [id_ for id_, _ in hits]
    first = next((rank for rank, id_ in enumerate(ranking, 1) if grades.get(id_, 0) > 0), None)
    values = {measure.name: measure.of(ranking, grades) for measure in measures}
    return QueryResult(query, labelled.queries.get(query, ""), values, hits, first, **more)
