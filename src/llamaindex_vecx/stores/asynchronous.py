"""Async twins that are really async: each runs its sync method on an executor of the store's own.

LlamaIndex's base class calls the sync method on the event loop, and everything else waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llamaindex_vecx.stores.background import Background

__all__ = ["AsyncVectorStore"]


class AsyncVectorStore(BasePydanticVectorStore):
    """A store whose sync methods block and may be called from any thread.

    What a cancelled call leaves behind: :class:`~llamaindex_vecx.stores.background.Background`.
    """

    _background: Background = PrivateAttr(default_factory=Background)

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """``add`` without blocking the event loop."""
        return await self._background.run(lambda: self.add(nodes, **kwargs))

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """``delete`` without blocking the event loop."""
        await self._background.run(lambda: self.delete(ref_doc_id, **delete_kwargs))

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """``delete_nodes`` without blocking the event loop."""
        await self._background.run(lambda: self.delete_nodes(node_ids, filters, **delete_kwargs))

    async def aclear(self) -> None:
        """``clear`` without blocking the event loop."""
        await self._background.run(self.clear)

    async def aget_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
    ) -> list[BaseNode]:
        """``get_nodes`` without blocking the event loop."""
        return await self._background.run(lambda: self.get_nodes(node_ids, filters))

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """``query`` without blocking the event loop."""
        return await self._background.run(lambda: self.query(query, **kwargs))
