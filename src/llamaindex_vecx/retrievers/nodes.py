"""A retrieved node that remembers where it was found."""

from __future__ import annotations

from llama_index.core.bridge.pydantic import BaseModel, Field
from llama_index.core.schema import NodeWithScore

__all__ = ["FusedNode", "SourceHit"]


class SourceHit(BaseModel):
    """A node's place in one source's answer."""

    rank: int = Field(description="From 1.")
    score: float | None = Field(
        default=None, description="The source's own score, on its own scale."
    )
    node_id: str | None = Field(
        default=None,
        description="With group_by: by which node of the group, where it is another one.",
    )


class FusedNode(NodeWithScore):
    """A node with its fused score, and its rank and score in every source that found it.

    The hits are a field and not metadata, which would end up in prompts and embeddings.
    """

    sources: dict[str, SourceHit] = Field(
        default_factory=dict, description="By name of the source; absent where it found nothing."
    )

    @classmethod
    def class_name(cls) -> str:
        """The name that serialised nodes carry."""
        return "FusedNode"
