"""Fixtures for tests against Pinecone without Pinecone; pytest finds them by itself.

``pinecone_local`` is a running server, empty at the beginning of each test; its attribute ``faults`` makes
trouble. One server serves a whole test session, since starting one costs half a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from llamaindex_vecx.pinecone_local.server import PineconeLocal

__all__ = ["pinecone_local", "pinecone_local_server"]


@pytest.fixture(scope="session")
def pinecone_local_server() -> Iterator[PineconeLocal]:
    """The server of the whole session, in memory. Most tests want ``pinecone_local``."""
    from llamaindex_vecx.pinecone_local.server import PineconeLocal

    with PineconeLocal() as server:
        yield server


@pytest.fixture
def pinecone_local(pinecone_local_server: PineconeLocal) -> Iterator[PineconeLocal]:
    """A server without indexes and without faults, at ``pinecone_local.url``."""
    pinecone_local_server.clear()
    yield pinecone_local_server
    pinecone_local_server.clear()
