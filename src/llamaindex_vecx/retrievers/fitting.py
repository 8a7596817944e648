"""Labelled queries: what may be given as such, and a fit of several sources on them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import QueryBundle
from llama_index.core.utils import get_tqdm_iterable

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import FittedFusion, fit_fusion
from llamaindex_vecx.fusion.fit import check_qrels
from llamaindex_vecx.retrievers.fused import as_runs
from llamaindex_vecx.retrievers.gather import Asked, gather, without_failures
from llamaindex_vecx.retrievers.grouped import depth_of
from llamaindex_vecx.retrievers.sources import prepare

__all__ = ["Labels", "Queries", "fit_sources"]

Queries: TypeAlias = Mapping[str, str] | Sequence[str]
"""Questions by id, or just questions."""

Labels: TypeAlias = Mapping[str, Any] | Sequence[Any]
"""For each query its relevant ids with grades, or just its relevant ids."""


def _labelled(
    queries: Queries, qrels: Labels
) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
    """Questions by id and grades by id, of those queries that are judged.

    Raises
    ------
    InvalidInputError
        Sequences of different lengths, judgements of a query that isn't there, a blank question, a label
        that is neither ids nor grades.
    """
    if isinstance(queries, Mapping) != isinstance(qrels, Mapping):
        raise InvalidInputError(
            "queries and qrels must both be mappings by query id, or both be sequences in one order"
        )
    if not isinstance(queries, Mapping):
        if len(queries) != len(qrels):
            raise InvalidInputError(f"{len(queries)} queries and {len(qrels)} labels were given")
        queries = {str(place): question for place, question in enumerate(queries)}
        qrels = {str(place): labels for place, labels in enumerate(qrels)}
    assert isinstance(qrels, Mapping)
    strangers = [query for query in qrels if query not in queries]
    if strangers:
        raise InvalidInputError(
            f"qrels judge {len(strangers)} queries that aren't in queries, e.g. {strangers[0]!r}"
        )
    blank = [query for query in qrels if not str(queries[query]).strip()]
    if blank:
        raise InvalidInputError(f"query {blank[0]!r} has no text; leave it out")
    return (
        {query: queries[query] for query in qrels},
        {query: _grades(query, labels) for query, labels in qrels.items()},
    )


def _grades(query: str, labels: Any) -> dict[str, float]:
    if isinstance(labels, Mapping):
        return {id_: float(grade) for id_, grade in labels.items()}
    if isinstance(labels, str):
        return {labels: 1.0}
    try:
        return dict.fromkeys(labels, 1.0)
    except TypeError as error:
        raise InvalidInputError(
            f"the label of query {query!r} must be ids or grades by id, not {labels!r}"
        ) from error


def fit_sources(
    sources: Mapping[str, BaseRetriever],
    queries: Queries,
    qrels: Labels,
    *,
    group_by: str | None,
    show_progress: bool,
    **choice: Any,
) -> FittedFusion:
    """Ask every source every labelled query, and choose how to fuse what they found.

    Parameters
    ----------
    queries, qrels, group_by, show_progress
        As for :meth:`~llamaindex_vecx.HybridRetriever.fit`.
    **choice
        Of :func:`~llamaindex_vecx.fusion.fit_fusion`.

    Raises
    ------
    InvalidInputError, SourceError
    """
    questions, grades = _labelled(queries, qrels)
    check_qrels(grades)
    runs: dict[str, dict[str, list[tuple[Hashable, float | None]]]] = {}
    asking = get_tqdm_iterable(questions.items(), show_progress, "Asking labelled queries")
    for query, question in asking:
        bundles = prepare(sources, QueryBundle(question))
        asked = {name: Asked(source, bundles[name], group_by) for name, source in sources.items()}
        found = without_failures(asked, gather(asked), "raise")
        for name, run in as_runs(found, group_by).items():
            runs.setdefault(name, {})[query] = run
    _check_found(runs, grades)
    depths = {name: depth_of(source) for name, source in sources.items()}
    return fit_fusion(runs, grades, depths=depths, **choice)  # type: ignore[arg-type]


def _check_found(
    runs: Mapping[str, Mapping[str, Sequence[tuple[Hashable, float | None]]]],
    qrels: Mapping[str, Mapping[str, float]],
) -> None:
    """Refuse labels of another kind than what sources return, e.g. of documents where nodes are asked for.

    Raises
    ------
    InvalidInputError
        No source found any relevant id for any query.
    """
    found = None
    for run in runs.values():
        for query, hits in run.items():
            for key, _ in hits:
                if key in qrels[query]:
                    return
                found = key
    labelled = next((id_ for grades in qrels.values() for id_ in grades), None)
    raise InvalidInputError(
        "no source found any relevant id for any query; are the labels ids of nodes (with group_by, of "
        f"groups)? Labelled is e.g. {labelled!r}, found was e.g. {found!r}"
    )
