"""What a store asks of an index, whichever of the two data APIs it speaks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llamaindex_vecx.errors import RemoteError
from llamaindex_vecx.stores.pinecone.filters import Where
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import Found, Record
from llamaindex_vecx.stores.pinecone.sdk import IndexInfo

__all__ = ["Ask", "DataAPI", "HalfStoredError", "Positions"]


class HalfStoredError(RemoteError):
    """The service took some records of a request and does not say which."""


@dataclass(frozen=True)
class Ask:
    """What a search ranks by: exactly one of the three."""

    dense: list[float] | None = None
    sparse: tuple[list[int], list[float]] | None = None
    text: str | None = None


class Positions:
    """How far writes have got in the service's log, and reads, where it says so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.committed: int | None = None
        self.seen: int | None = None

    def note(self, response: Any) -> None:
        """Read the log positions off a response."""
        info = getattr(response, "response_info", None)
        headers = getattr(info, "raw_headers", None) or {}
        with self._lock:
            self.committed = _later(
                self.committed, headers, "x-pinecone-request-lsn", "x-pinecone-lsn-committed"
            )
            self.seen = _later(
                self.seen, headers, "x-pinecone-max-indexed-lsn", "x-pinecone-lsn-reconciled"
            )

    @property
    def behind(self) -> bool:
        """Whether reads are known not to see the last write yet."""
        return self.committed is not None and self.seen is not None and self.seen < self.committed


def _later(known: int | None, headers: dict[str, str], *names: str) -> int | None:
    values = [int(headers[name]) for name in names if headers.get(name, "").isdigit()]
    return max([*values, *([] if known is None else [known])], default=None)


class DataAPI(Protocol):
    """One namespace of one index. All may raise what :func:`.remote.retried` does.

    Attributes
    ----------
    info : IndexInfo
    namespace : str
    positions : Positions
    """

    info: IndexInfo
    namespace: str
    positions: Positions

    async def upsert(self, port: Port, records: Sequence[Record]) -> None:
        """Store all of these, in one request.

        Raises
        ------
        HalfStoredError
        """
        ...

    async def search(
        self, port: Port, ask: Ask, top_k: int, where: Where, *, fields: bool, values: bool
    ) -> list[Found]:
        """The best, best first; scores higher is better."""
        ...

    async def fetch(self, port: Port, ids: Sequence[str]) -> list[Found]:
        """Those of at most ``MAX_FETCH`` records that are there, whole, in any order."""
        ...

    async def page(
        self, port: Port, where: Where, token: str | None
    ) -> tuple[list[Found], str | None]:
        """Some of the records that match, whole, and the token of the next page."""
        ...

    async def ids(self, port: Port, token: str | None) -> tuple[list[str], str | None]:
        """Some ids of the namespace, and the token of the next page."""
        ...

    async def delete(self, port: Port, ids: Sequence[str]) -> None:
        """Delete at most 1,000 records; those that aren't there are ignored."""
        ...

    async def delete_where(self, port: Port, where: Where) -> None:
        """Delete all that match."""
        ...

    async def delete_all(self, port: Port) -> None:
        """Empty the namespace."""
        ...
