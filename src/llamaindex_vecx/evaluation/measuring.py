"""Evaluating a run or a retriever on labelled queries."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.labelled import LabelledQueries, named
from llamaindex_vecx.evaluation.measures import Measure, get_measure
from llamaindex_vecx.evaluation.results import Costs, Evaluation, QueryResult, costs_of
from llamaindex_vecx.evaluation.runs import Run, as_ranking

if TYPE_CHECKING:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore

    from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["DEFAULT_MEASURES", "evaluate", "evaluate_run"]

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
    wanted = _measures(measures)
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
        results.append(_result(query, labelled, hits, grades, wanted))
    return Evaluation(
        name, labelled.name, list(measures), results, unjudged=list(labelled.unjudged)
    )


def evaluate(
    retriever: BaseRetriever,
    labelled: LabelledQueries,
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    name: str | None = None,
    store: LocalVectorStore | None = None,
    price_per_million_tokens: float | None = None,
    on_error: str = "raise",
    show_progress: bool = False,
) -> Evaluation:
    """Ask a retriever every labelled query, one after the other, and measure what it finds.

    The first query is asked once more beforehand, so that no latency holds what happens only once.

    Parameters
    ----------
    retriever : BaseRetriever
        Any of LlamaIndex's. Ask it for at least as many nodes as the largest cut-off of a measure. Its
        own order counts; nodes of one group (``labelled.group_by``) count once, where the first stands.
    labelled : LabelledQueries
    measures : sequence of str
        See :func:`~llamaindex_vecx.evaluation.get_measure`.
    name : str, optional
        Of the configuration; None is the retriever's class.
    store : LocalVectorStore, optional
        Where the nodes are. With it, relevant ids that it doesn't have are found out and named.
    price_per_million_tokens : float, optional
        Of the embedding model, in US dollars.
    on_error : {"raise", "keep"}
        A query that fails ends the evaluation, or is noted in ``failed`` and the others go on. With
        "keep", Ctrl-C ends it too, and what was asked until then is kept.
    show_progress : bool

    Raises
    ------
    InvalidInputError
        The queries have no texts, no relevant id is in the store, or every query failed.
    """
    from llama_index.core.utils import get_tqdm_iterable

    from llamaindex_vecx.evaluation.listening import listening

    wanted = _measures(measures)
    if on_error not in ("raise", "keep"):
        raise InvalidInputError(f"on_error={on_error!r} must be 'raise' or 'keep'")
    if not labelled.queries:
        raise InvalidInputError(
            f"{labelled.name} has judgements alone, no questions to ask: give queries=FILE, or measure "
            "a run"
        )
    missing = [] if store is None else missing_ids(store, labelled)
    results: list[QueryResult] = []
    failed: dict[str, str] = {}
    cpu, tokens = 0.0, 0
    asking = get_tqdm_iterable(list(labelled.queries.items()), show_progress, "Asking")
    with contextlib.suppress(Exception):  # what is compiled or loaded once is no query's cost
        retriever.retrieve(next(iter(labelled.queries.values())))
    for query, text in asking:
        with listening() as heard:
            begun, cpu_begun = time.perf_counter(), time.process_time()
            try:
                nodes = retriever.retrieve(text)
            except KeyboardInterrupt:
                if on_error == "raise" or not results:
                    raise
                done = {result.query for result in results}
                failed.update(
                    (left, "not asked, since it was interrupted")
                    for left in labelled.queries
                    if left not in done and left not in failed
                )
                break
            except Exception as error:
                if on_error == "raise":
                    raise
                failed[query] = f"{type(error).__name__}: {error}"
                continue
            seconds = time.perf_counter() - begun
            cpu += time.process_time() - cpu_begun
        tokens += heard.count_tokens()
        hits = _hits(nodes, labelled.group_by)
        grades = labelled.qrels[query]
        results.append(
            _result(query, labelled, hits, grades, wanted, seconds=seconds, stages=heard.seconds)
        )
    label = name or type(retriever).__name__
    if not results:
        query, reason = next(iter(failed.items()))
        raise InvalidInputError(f"all {len(failed)} queries failed; {query!r}: {reason}")
    if not any(result.found for result in results):
        raise InvalidInputError(
            f"{label!r} gave an empty run: nothing was found for any of {len(results)} queries"
        )
    costs: Costs = costs_of(
        [result.seconds or 0.0 for result in results], cpu, tokens, price_per_million_tokens
    )
    return Evaluation(
        label,
        labelled.name,
        list(measures),
        results,
        costs,
        list(labelled.unjudged),
        missing,
        failed,
    )


def missing_ids(store: LocalVectorStore, labelled: LabelledQueries) -> list[str]:
    """Relevant ids that are not in a store's collection.

    Raises
    ------
    InvalidInputError
        None is in it.
    """
    wanted = labelled.relevant_ids()
    there = _present(store, wanted, labelled.group_by)
    missing = [id_ for id_ in wanted if id_ not in there]
    if len(missing) == len(wanted):
        what = "nodes" if labelled.group_by is None else f"values of {labelled.group_by!r}"
        examples = _examples(store, labelled.group_by)
        raise InvalidInputError(
            f"none of the {len(wanted)} relevant ids of {labelled.name} is in the collection: "
            f"{named(wanted, 3)}; they are looked up as {what}, of which it has e.g. "
            f"{named(examples, 3) or 'none'}. Say what they name with group_by"
        )
    return missing


def _present(store: LocalVectorStore, ids: Iterable[str], group_by: str | None) -> set[str]:
    from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

    collection = store.client
    ids = list(ids)
    if group_by is None:
        rows = collection.rows_of(ids)
        return {id_ for id_, row in zip(ids, rows, strict=True) if row is not None}

    def has(value: str | int | float) -> bool:
        condition = MetadataFilter(key=group_by, value=value)
        return bool(collection.select(filters=MetadataFilters(filters=[condition])))

    return {id_ for id_ in ids if any(map(has, _spellings(id_)))}


def _spellings(id_: str) -> Iterator[str | int | float]:
    """The value as text, and as the number that it reads as: metadata may hold either."""
    yield id_
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            yield kind(id_)


def _examples(store: LocalVectorStore, group_by: str | None) -> list[str]:
    from llamaindex_vecx.groups import group_of

    collection = store.client
    if group_by is None:
        return collection.ids(limit=3)
    records = collection.records(list(collection.all_rows())[:3])
    return [
        str(group_of(group_by, record.metadata, record.ref_doc_id, record.id))
        for record in records
        if record is not None
    ]


def _measures(names: Sequence[str]) -> list[Measure]:
    if not names:
        raise InvalidInputError("measures is empty; name at least one, such as 'ndcg@10'")
    return [get_measure(name) for name in dict.fromkeys(names)]


def _hits(nodes: Sequence[NodeWithScore], group_by: str | None) -> list[tuple[str, float]]:
    from llamaindex_vecx.groups import group_of

    hits: dict[str, float] = {}
    for hit in nodes:
        node = hit.node
        key = node.node_id
        if group_by is not None:
            group = group_of(group_by, node.metadata, getattr(node, "ref_doc_id", None), key)
            key = str(group[1] if isinstance(group, tuple) else group)
        hits.setdefault(key, float(hit.score) if hit.score is not None else 0.0)
    return list(hits.items())


def _result(
    query: str,
    labelled: LabelledQueries,
    hits: list[tuple[str, float]],
    grades: Mapping[str, float],
    measures: Sequence[Measure],
    **more: Any,
) -> QueryResult:
    ranking = [id_ for id_, _ in hits]
    first = next((rank for rank, id_ in enumerate(ranking, 1) if grades.get(id_, 0) > 0), None)
    values = {measure.name: measure.of(ranking, grades) for measure in measures}
    return QueryResult(query, labelled.queries.get(query, ""), values, hits, first, **more)
