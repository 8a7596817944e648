"""A store with connections that are to be closed."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.vector_stores.types import BasePydanticVectorStore

from llamaindex_vecx.stores.pinecone.connection import Connection

__all__ = ["Connected"]

Self = TypeVar("Self", bound="Connected")


class Connected(BasePydanticVectorStore):
    """Closed once, by itself at the end of a ``with`` or ``async with``."""

    _connection: Connection = PrivateAttr()

    def close(self) -> None:
        """Let go of the connections. May be called again."""
        self._connection.close()

    async def aclose(self) -> None:
        """As :meth:`close`, and the running loop's connections are gone when it returns."""
        await self._connection.aclose()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
