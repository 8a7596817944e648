"""Hard negatives: passages that our own retrieval ranks high and that no judgement calls relevant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.utils import get_tqdm_iterable

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.finetune.data import TrainingData, same_text
from llamaindex_vecx.text import BM25, get_tokenizer

__all__ = ["Candidates", "mine_negatives", "retrieve_candidates"]

Candidates = dict[str, list[tuple[str, float]]]
"""By query id: (passage id, score) pairs, best first."""


def retrieve_candidates(
    data: TrainingData,
    retriever: BaseRetriever | None = None,
    *,
    depth: int = 50,
    show_progress: bool = False,
) -> Candidates:
    """What retrieval finds for each query of ``data``.

    Parameters
    ----------
    data : TrainingData
    retriever : BaseRetriever, optional
        Whose nodes' ids are ids of the corpus, e.g. a :class:`~llamaindex_vecx.HybridRetriever`. None is
        BM25 over the corpus.
    depth : int
        How many are kept.

    Raises
    ------
    InvalidInputError
        The retriever returns nodes that aren't in the corpus.
    """
    check_count(depth, "depth")
    if retriever is None:
        return _by_keywords(data, depth)
    found: Candidates = {}
    for query in get_tqdm_iterable(list(data.qrels), show_progress, "Retrieving candidates"):
        hits = retriever.retrieve(data.queries[query])[:depth]
        unknown = [hit.node_id for hit in hits if hit.node_id not in data.corpus]
        if unknown:
            raise InvalidInputError(
                f"the retriever returned node {unknown[0]!r}, which isn't in the corpus; its nodes' ids "
                "must be the corpus' ids"
            )
        found[query] = [(hit.node_id, hit.score or 0.0) for hit in hits]
    return found


def _by_keywords(data: TrainingData, depth: int) -> Candidates:
    ids, tokens = list(data.corpus), get_tokenizer("default")
    index = BM25()
    index.add(np.arange(len(ids)), [tokens(data.corpus[id_]) for id_ in ids])
    found: Candidates = {}
    for query in data.qrels:
        rows, scores = index.search(tokens(data.queries[query]), depth)
        hits = zip(rows.tolist(), scores.tolist(), strict=True)
        found[query] = [(ids[row], score) for row, score in hits if row >= 0]
    return found


def mine_negatives(
    data: TrainingData,
    candidates: Mapping[str, list[tuple[str, float]]],
    per_query: int = 1,
    *,
    skip: int = 0,
    within: int = 20,
    seed: int = 0,
) -> dict[str, list[str]]:
    """Passages for each query that look right and aren't.

    Drawn at random among the first candidates that are not judged relevant; where there are too few, from
    the whole corpus.

    Parameters
    ----------
    data : TrainingData
    candidates : mapping of query to hits
        As :func:`retrieve_candidates` returns.
    per_query : int
        How many.
    skip : int
        Candidates left out at the top, where unlabelled relevant passages stand.
    within : int
        Among how many, after those, is drawn.
    seed : int

    Returns
    -------
    dict of query to list of passage ids
        ``per_query`` of each, the highest ranked first.

    Raises
    ------
    InvalidInputError
        The corpus is too small.
    """
    check_count(per_query, "per_query")
    check_count(within, "within")
    draw = np.random.default_rng(seed)
    everything = list(data.corpus)
    negatives: dict[str, list[str]] = {}
    for query, grades in data.qrels.items():
        wrong = {id_ for id_, grade in grades.items() if grade > 0}
        texts = {same_text(data.corpus[id_]) for id_ in wrong}

        def is_negative(id_: str, wrong: set[str] = wrong, texts: set[str] = texts) -> bool:
            return id_ not in wrong and same_text(data.corpus[id_]) not in texts

        pool = [id_ for id_, _ in candidates.get(query, []) if is_negative(id_)]
        pool = pool[skip : skip + within]
        chosen = sorted(draw.permutation(len(pool))[:per_query].tolist())
        drawn = [pool[place] for place in chosen]
        if len(drawn) < per_query:
            others = (everything[place] for place in draw.permutation(len(everything)))
            for id_ in others:
                if id_ not in drawn and is_negative(id_):
                    drawn.append(id_)
                if len(drawn) == per_query:
                    break
        if len(drawn) < per_query:
            raise InvalidInputError(
                f"{per_query} negatives for query {query!r} are more than the corpus of "
                f"{len(everything)} passages has; add passages that answer nothing"
            )
        negatives[query] = drawn
    return negatives
