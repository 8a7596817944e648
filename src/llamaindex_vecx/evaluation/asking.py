"""Asking a retriever every labelled query, and measuring what it finds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore
from llama_index.core.utils import get_tqdm_iterable

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.evaluation.coverage import missing_ids
from llamaindex_vecx.evaluation.labelled import LabelledQueries
from llamaindex_vecx.evaluation.listening import listening
from llamaindex_vecx.evaluation.measuring import DEFAULT_MEASURES, measures_of, result_of
from llamaindex_vecx.evaluation.results import Evaluation, QueryResult, costs_of
from llamaindex_vecx.groups import group_of
from llamaindex_vecx.stores.local import LocalVectorStore

__all__ = ["aevaluate", "evaluate"]


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
    tally = _Tally(labelled, measures, on_error, store)
    with contextlib.suppress(Exception):  # what is compiled or loaded once is no query's cost
        retriever.retrieve(tally.first)
    try:
        for query, text in get_tqdm_iterable(tally.queries, show_progress, "Asking"):
            with tally.asking(query) as nodes:
                nodes += retriever.retrieve(text)
    except KeyboardInterrupt:
        tally.interrupt()
    return tally.evaluation(name or type(retriever).__name__, price_per_million_tokens)


async def aevaluate(
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
    """:func:`evaluate` by ``aretrieve``: still one query after the other, or latencies would mean nothing."""
    tally = _Tally(labelled, measures, on_error, store)
    with contextlib.suppress(Exception):
        await retriever.aretrieve(tally.first)
    for query, text in get_tqdm_iterable(tally.queries, show_progress, "Asking"):
        with tally.asking(query) as nodes:
            nodes += await retriever.aretrieve(text)
    return tally.evaluation(name or type(retriever).__name__, price_per_million_tokens)


class _Tally:
    """What was found so far, what it cost, and what failed."""

    def __init__(
        self,
        labelled: LabelledQueries,
        measures: Sequence[str],
        on_error: str,
        store: LocalVectorStore | None,
    ) -> None:
        self._measures = measures_of(measures)
        if on_error not in ("raise", "keep"):
            raise InvalidInputError(f"on_error={on_error!r} must be 'raise' or 'keep'")
        if not labelled.queries:
            raise InvalidInputError(
                f"{labelled.name} has judgements alone, no questions to ask: give queries=FILE, or "
                "measure a run"
            )
        self._labelled = labelled
        self._raises = on_error == "raise"
        self._missing = [] if store is None else missing_ids(store.client, labelled)
        self._results: list[QueryResult] = []
        self._failed: dict[str, str] = {}
        self._cpu, self._tokens = 0.0, 0

    @property
    def queries(self) -> list[tuple[str, str]]:
        """Ids and texts."""
        return list(self._labelled.queries.items())

    @property
    def first(self) -> str:
        """The text of the first query."""
        return self.queries[0][1]

    @contextmanager
    def asking(self, query: str) -> Iterator[list[NodeWithScore]]:
        """Time a block that puts what is found into the list it is given."""
        nodes: list[NodeWithScore] = []
        with listening() as heard:
            start, cpu_start = time.perf_counter(), time.process_time()
            try:
                yield nodes
            except Exception as error:
                if self._raises:
                    raise
                self._failed[query] = f"{type(error).__name__}: {error}"
                return
            seconds = time.perf_counter() - start
            self._cpu += time.process_time() - cpu_start
        self._tokens += heard.count_tokens()
        labelled = self._labelled
        self._results.append(
            result_of(
                query,
                labelled,
                _hits(nodes, labelled.group_by),
                labelled.qrels[query],
                self._measures,
                seconds=seconds,
                stages=heard.seconds,
            )
        )

    def interrupt(self) -> None:
        """Mark what was not asked; to be called where a KeyboardInterrupt is handled."""
        if self._raises or not self._results:
            raise
        done = {result.query for result in self._results}
        for query, _ in self.queries:
            if query not in done:
                self._failed.setdefault(query, "not asked, since it was interrupted")

    def evaluation(self, name: str, price: float | None) -> Evaluation:
        """The result.

        Raises
        ------
        InvalidInputError
            Every query failed, or nothing was found for any.
        """
        if not self._results:
            query, reason = next(iter(self._failed.items()))
            raise InvalidInputError(f"all {len(self._failed)} queries failed; {query!r}: {reason}")
        if not any(result.found for result in self._results):
            raise InvalidInputError(
                f"{name!r} gave an empty run: nothing was found for any of {len(self._results)} queries"
            )
        seconds = [result.seconds or 0.0 for result in self._results]
        return Evaluation(
            name,
            self._labelled.name,
            [measure.name for measure in self._measures],
            self._results,
            costs_of(seconds, self._cpu, self._tokens, price),
            list(self._labelled.unjudged),
            self._missing,
            self._failed,
        )


def _hits(nodes: Sequence[NodeWithScore], group_by: str | None) -> list[tuple[str, float]]:
    hits: dict[str, float] = {}
    for hit in nodes:
        node = hit.node
        key = node.node_id
        if group_by is not None:
            group = group_of(group_by, node.metadata, getattr(node, "ref_doc_id", None), key)
            key = str(group[1] if isinstance(group, tuple) else group)
        hits.setdefault(key, float(hit.score) if hit.score is not None else 0.0)
    return list(hits.items())
