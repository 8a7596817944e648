"""What several sources found, as one list of nodes that remember where they were found."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from llama_index.core.schema import NodeWithScore

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import METHODS, fuse
from llamaindex_vecx.retrievers.grouped import best_of_groups
from llamaindex_vecx.retrievers.nodes import FusedNode, SourceHit

__all__ = ["as_runs", "fuse_answers", "pass_on"]

Places = dict[Hashable, tuple[int, NodeWithScore]]
"""Rank from 1 and hit of each key, best first."""


def fuse_answers(
    found: Mapping[str, Sequence[NodeWithScore]],
    *,
    method: str,
    k: float | None,
    weights: Mapping[str, float],
    group_by: str | None,
    top_k: int,
    depths: Mapping[str, int | None],
) -> list[NodeWithScore]:
    """The best ``top_k`` nodes (or groups) of all answers together.

    Raises
    ------
    InvalidInputError
        The method needs scores and an answer has none; the message names the source.
    """
    places = {name: _places(answer, group_by) for name, answer in found.items()}
    runs = [
        [(key, _score(name, hit, method)) for key, (_, hit) in ranked.items()]
        for name, ranked in places.items()
    ]
    fused = fuse(
        runs,
        method,
        weights=[weights[name] for name in places],
        k=k,
        depths=[depths[name] for name in places],
    )
    return [_result(key, score, places) for key, score in fused[:top_k]]


def pass_on(
    name: str, answer: Sequence[NodeWithScore], group_by: str | None, top_k: int
) -> list[NodeWithScore]:
    """The answer of a single source, in its order and with its scores: there is nothing to fuse."""
    places = {name: _places(answer, group_by)}
    results = [_result(key, 0.0, places) for key in list(places[name])[:top_k]]
    for result in results:
        result.score = result.sources[name].score
    return list(results)


def as_runs(
    found: Mapping[str, Sequence[NodeWithScore]], group_by: str | None
) -> dict[str, list[tuple[Hashable, float | None]]]:
    """Keys and scores of each answer, for a fit."""
    return {
        name: [(key, hit.score) for key, (_, hit) in _places(answer, group_by).items()]
        for name, answer in found.items()
    }


def _places(answer: Sequence[NodeWithScore], group_by: str | None) -> Places:
    """A key that comes twice counts where it comes first."""
    best = best_of_groups(answer, group_by)
    return {key: (rank, hit) for rank, (key, hit) in enumerate(best.items(), start=1)}


def _score(name: str, hit: NodeWithScore, method: str) -> float:
    if not METHODS[method].needs_scores:
        return 0.0
    if hit.score is None:
        raise InvalidInputError(
            f"method {method!r} needs scores and source {name!r} gives node {hit.node_id!r} none; "
            "take 'rrf', 'isr' or 'borda', which look at ranks only"
        )
    return float(hit.score)


def _result(key: Hashable, score: float, places: Mapping[str, Places]) -> FusedNode:
    hits = {name: ranked[key] for name, ranked in places.items() if key in ranked}
    _, best = min(hits.values(), key=lambda place: place[0])
    sources = {
        name: SourceHit(
            rank=rank,
            score=None if hit.score is None else float(hit.score),
            node_id=None if hit.node_id == best.node_id else hit.node_id,
        )
        for name, (rank, hit) in hits.items()
    }
    return FusedNode(node=best.node, score=score, sources=sources)
