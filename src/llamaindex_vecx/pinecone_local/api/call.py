"""One request to an index, and what comes back: what every handler of the data plane takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llamaindex_vecx.pinecone_local.body import parse
from llamaindex_vecx.pinecone_local.data.index import Index
from llamaindex_vecx.pinecone_local.data.models import Models

__all__ = ["Answer", "Call", "Handler"]


@dataclass
class Call:
    """A request to the data plane.

    Attributes
    ----------
    index : Index
    models : Models
    path : mapping
        Parameters of the path, decoded.
    query : mapping
        Parameters behind the question mark, each a list.
    raw : bytes
        The body.
    """

    index: Index
    models: Models
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The body as a JSON object."""
        return parse(self.raw)

    def argument(self, name: str) -> str | None:
        """A query parameter, the last where it is given twice."""
        values = self.query.get(name)
        return values[-1] if values else None


@dataclass
class Answer:
    """A response: JSON (None for no body), a status, and which write it was."""

    body: dict[str, Any] | None
    status: int = 200
    lsn: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Answer]
