"""Setting queries aside, so that every choice is made on what training has not seen."""

from __future__ import annotations

import warnings

import numpy as np

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.finetune.data import MINIMUM_QUERIES, TrainingData, same_text

__all__ = ["check_leak", "divide", "hold_out"]


def hold_out(
    data: TrainingData, share: float = 0.25, *, seed: int = 0
) -> tuple[TrainingData, TrainingData]:
    """Divide the queries in two that share neither a wording nor a relevant passage.

    Queries that hang together by either go to the same side, so the held-out part flatters nobody.

    Parameters
    ----------
    data : TrainingData
    share : float
        Of the queries that are held out, in (0, 1); as nearly as the groups allow.
    seed : int

    Returns
    -------
    (train, held_out) : TrainingData

    Raises
    ------
    InvalidInputError
        Too few queries, or all hang together.
    """
    if not 0 < share < 1:
        raise InvalidInputError(f"share={share!r} of held-out queries must lie between 0 and 1")
    data.check_enough()
    groups = _groups(data)
    wanted = max(MINIMUM_QUERIES // 2, round(share * len(data)))
    held: list[str] = []
    for place in np.random.default_rng(seed).permutation(len(groups)):
        if len(held) + len(groups[place]) <= wanted:
            held += groups[place]
    taken = set(held)
    rest = [query for query in data.qrels if query not in taken]
    if len(held) < MINIMUM_QUERIES // 2 or len(rest) < MINIMUM_QUERIES // 2:
        raise InvalidInputError(
            f"{len(data)} queries in {len(groups)} groups that share no passage can't be divided at "
            f"share={share}; give more queries, or a held-out part of your own"
        )
    return data.only(rest), data.only(query for query in data.qrels if query in taken)


def check_leak(train: TrainingData, held_out: TrainingData) -> None:
    """Refuse a held-out part that training has seen.

    A query of the same wording on both sides is a leak. A passage that is relevant on both is not (public
    splits have many), but it flatters: a warning says how many.

    Raises
    ------
    InvalidInputError
    """
    wordings = {same_text(train.queries[query]): query for query in train.qrels}
    for query in held_out.qrels:
        other = wordings.get(same_text(held_out.queries[query]))
        if other is not None:
            raise InvalidInputError(
                f"the split leaks: held-out query {query!r} has the wording of training query "
                f"{other!r} ({held_out.queries[query][:80]!r}); remove one, or let hold_out divide"
            )
    seen = {same_text(train.corpus[passage]) for _, passage in train.pairs()}
    shared = [
        query
        for query in held_out.qrels
        if any(same_text(held_out.corpus[passage]) in seen for passage in held_out.relevant(query))
    ]
    if shared:
        warnings.warn(
            f"{len(shared)} of {len(held_out)} held-out queries are answered by passages that training "
            "queries are answered by too; figures on them flatter",
            UserWarning,
            stacklevel=2,
        )


def divide(
    data: TrainingData, held_out: TrainingData | float | None, seed: int
) -> tuple[TrainingData, TrainingData | None]:
    """The queries to train on and those to choose on: a share set aside, a part that was given, or none.

    Raises
    ------
    InvalidInputError
    """
    data.check_enough()
    if held_out is None:
        return data, None
    if not isinstance(held_out, TrainingData):
        return hold_out(data, held_out, seed=seed)
    held_out.check_enough()
    check_leak(data, held_out)
    return data, held_out


def _groups(data: TrainingData) -> list[list[str]]:
    """Queries joined by a common wording or a common relevant passage (union-find)."""
    parent: dict[str, str] = {query: query for query in data.qrels}

    def root(query: str) -> str:
        while parent[query] != query:
            parent[query] = parent[parent[query]]
            query = parent[query]
        return query

    first: dict[str, str] = {}
    for query in data.qrels:
        keys = ["q " + same_text(data.queries[query])]
        keys += ["p " + same_text(data.corpus[passage]) for passage in data.relevant(query)]
        for key in keys:
            parent[root(query)] = root(first.setdefault(key, query))
    groups: dict[str, list[str]] = {}
    for query in data.qrels:
        groups.setdefault(root(query), []).append(query)
    return list(groups.values())
