"""What is done to a peer so that a case reaches the fault that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    VectorStoreQuery,
    VectorStoreQueryResult,
)
from pydantic import PrivateAttr

__all__ = ["by_name", "without_lists"]


def by_name(cls: type[BasePydanticVectorStore]) -> type[BasePydanticVectorStore]:
    """A store that knows positions only, giving back ids as an index over it looks them up."""

    class ByName(cls):  # type: ignore[misc, valid-type]
        _names: list[str] = PrivateAttr(default_factory=list)

        def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
            super().add(list(nodes), **kwargs)
            self._names += [node.node_id for node in nodes]
            return [node.node_id for node in nodes]

        def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
            result = super().query(query, **kwargs)
            result.ids = [self._names[int(place)] for place in result.ids or []]
            return result

    return ByName


def without_lists(cls: type[BasePydanticVectorStore]) -> type[BasePydanticVectorStore]:
    """A store that refuses lists as metadata, given the suite's books without them."""

    class WithoutLists(cls):  # type: ignore[misc, valid-type]
        def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
            plain = [
                {key: value for key, value in node.metadata.items() if not isinstance(value, list)}
                for node in nodes
            ]
            return super().add(
                [
                    node.model_copy(update={"metadata": metadata})
                    for node, metadata in zip(nodes, plain, strict=True)
                ],
                **kwargs,
            )

    return WithoutLists
