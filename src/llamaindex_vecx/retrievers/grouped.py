"""Groups from any retriever: the best node of each, and a deeper look where there are too few."""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterable
from typing import TypeVar

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from llamaindex_vecx.groups import group_of

__all__ = ["aask_groups", "ask_groups", "best_of_groups", "depth_of", "key_of"]

R = TypeVar("R", bound=BaseRetriever)

_FACTOR = 4


def key_of(hit: NodeWithScore, group_by: str | None) -> Hashable:
    """What a hit counts as: its node's id, or its group."""
    node = hit.node
    if group_by is None:
        return node.node_id
    return group_of(group_by, node.metadata, node.ref_doc_id, node.node_id)


def best_of_groups(
    hits: Iterable[NodeWithScore], group_by: str | None
) -> dict[Hashable, NodeWithScore]:
    """The first hit of each group, or of each id, in the order given."""
    best: dict[Hashable, NodeWithScore] = {}
    for hit in hits:
        best.setdefault(key_of(hit, group_by), hit)
    return best


def ask_groups(source: BaseRetriever, bundle: QueryBundle, group_by: str) -> list[NodeWithScore]:
    """As many groups as the source's ``similarity_top_k`` says, each by its best node.

    A source that returns too few groups is asked again, four times as deep each time, until it returns
    fewer nodes than asked for. One whose depth can't be set is asked once.
    """
    wanted, asking = depth_of(source), source
    while True:
        hits = asking.retrieve(bundle)
        best = list(best_of_groups(hits, group_by).values())
        if wanted is None or len(best) >= wanted or len(hits) < (depth_of(asking) or 0):
            return best[:wanted]
        asking = _deeper(asking)


async def aask_groups(
    source: BaseRetriever, bundle: QueryBundle, group_by: str
) -> list[NodeWithScore]:
    """As :func:`ask_groups`, for a source with async of its own."""
    wanted, asking = depth_of(source), source
    while True:
        hits = await asking.aretrieve(bundle)
        best = list(best_of_groups(hits, group_by).values())
        if wanted is None or len(best) >= wanted or len(hits) < (depth_of(asking) or 0):
            return best[:wanted]
        asking = _deeper(asking)


def depth_of(source: BaseRetriever) -> int | None:
    """How many nodes a source returns, as our retrievers and LlamaIndex's say."""
    depth = getattr(source, "similarity_top_k", None)
    return depth if isinstance(depth, int) else None


def _deeper(source: R) -> R:
    """The same source, four times as deep; the user's own stays as it is."""
    deeper = copy.copy(source)
    deeper.similarity_top_k = _FACTOR * (depth_of(source) or 0)  # type: ignore[attr-defined]
    return deeper
