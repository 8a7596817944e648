"""From scores to an order: alone, or mixed with the stage before; and nodes that remember both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llama_index.core.schema import ImageNode, MetadataMode, NodeWithScore

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.fusion import METHODS, fuse
from llamaindex_vecx.retrievers.nodes import FusedNode, SourceHit

__all__ = ["AFTER", "BEFORE", "can_be_scored", "order", "remember"]

BEFORE = "before"
AFTER = "reranker"


def can_be_scored(hit: NodeWithScore) -> bool:
    """Whether a node has text to read: images and nodes without text have none."""
    node = hit.node
    if isinstance(node, ImageNode):
        return False
    return bool(node.get_content(metadata_mode=MetadataMode.NONE).strip())


def order(
    hits: Sequence[NodeWithScore],
    logits: Sequence[float],
    scores: Sequence[float],
    *,
    method: str,
    k: float | None,
    weight: float,
) -> list[tuple[int, float]]:
    """Places in ``hits`` with their final score, best first.

    Parameters
    ----------
    hits : sequence of NodeWithScore
        In the order of the stage before.
    logits, scores : sequence of float
        Of the reranker, before and after normalisation. Logits decide: a sigmoid makes equals of what is
        nearly so.
    method, k
        How both stages are mixed, see :func:`~llamaindex_vecx.fusion.fuse`.
    weight : float
        The reranker's share; 1 is its order alone.

    Raises
    ------
    InvalidInputError
        The method needs scores and the stage before gave a node none.
    """
    ranked = sorted(range(len(hits)), key=lambda place: -logits[place])
    if weight == 1.0:
        return [(place, scores[place]) for place in ranked]
    before = [(place, _score(hit, method)) for place, hit in enumerate(hits)]
    after = [(place, logits[place]) for place in ranked]
    return fuse([before, after], method, weights=[1.0 - weight, weight], k=k)


def _score(hit: NodeWithScore, method: str) -> float:
    if not METHODS[method].needs_scores:
        return 0.0
    if hit.score is None:
        raise InvalidInputError(
            f"method={method!r} mixes scores and the stage before gave node {hit.node_id!r} none; take "
            "'rrf', 'isr' or 'borda', which look at ranks only, or weight=None"
        )
    return float(hit.score)


def remember(hit: NodeWithScore, score: float, before: int, after: int, given: float) -> FusedNode:
    """A new node with the final score, and rank and score of both stages among its ``sources``.

    Parameters
    ----------
    hit : NodeWithScore
        Is left as it is; the sources it has already are kept.
    score : float
        The final one.
    before, after : int
        Ranks from 1.
    given : float
        The reranker's own score.
    """
    sources = dict(hit.sources) if isinstance(hit, FusedNode) else {}
    earlier = None if hit.score is None else float(hit.score)
    sources[_free(BEFORE, sources)] = SourceHit(rank=before, score=earlier)
    sources[_free(AFTER, sources)] = SourceHit(rank=after, score=given)
    return FusedNode(node=hit.node, score=score, sources=sources)


def _free(name: str, taken: Mapping[str, SourceHit]) -> str:
    """A second reranker's name has a 2, as query variants' have."""
    number = 1
    while (name if number == 1 else f"{name} #{number}") in taken:
        number += 1
    return name if number == 1 else f"{name} #{number}"
