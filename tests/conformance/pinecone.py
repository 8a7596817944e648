"""``PineconeVectorStore`` against a local server over HTTP: one server a session, a namespace a test.

The async cases make every call of the suite through the SDK's async client, on a loop of their own.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from hashlib import blake2s
from pathlib import Path
from typing import Any

import pytest

from llamaindex_vecx import PineconeVectorStore
from llamaindex_vecx.text.sparse import BM25SparseEncoder

from .library import BOOKS

__all__ = ["ThroughAsync", "opener", "server_url"]

DIM = 4


@functools.cache
def server_url() -> str:
    """Where the session's server is; ``VECX_PINECONE_URL`` names one that runs already."""
    if running := os.environ.get("VECX_PINECONE_URL"):
        return running
    for needed in ("pinecone", "starlette", "uvicorn"):
        pytest.importorskip(needed, reason="pip install 'llamaindex-vecx[pinecone,server]'")
    from llamaindex_vecx.pinecone_local.server import PineconeLocal

    server = PineconeLocal().start()
    atexit.register(server.stop)
    return server.url


@functools.cache
def encoder() -> BM25SparseEncoder:
    return BM25SparseEncoder().fit([text for _, _, text, _ in BOOKS])


@functools.cache
def loop() -> asyncio.AbstractEventLoop:
    """A loop on a thread of its own."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="through-async", daemon=True).start()
    return made


class ThroughAsync(PineconeVectorStore):
    """Does everything through the async twins."""

    @staticmethod
    def _through(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop()).result()

    def add(self, nodes: Any, **kwargs: Any) -> Any:
        return self._through(self.async_add(nodes, **kwargs))

    def delete(self, ref_doc_id: Any, **kwargs: Any) -> None:
        self._through(self.adelete(ref_doc_id, **kwargs))

    def delete_nodes(self, node_ids: Any = None, filters: Any = None, **kwargs: Any) -> None:
        self._through(self.adelete_nodes(node_ids, filters, **kwargs))

    def clear(self) -> None:
        self._through(self.aclear())

    def get_nodes(self, node_ids: Any = None, filters: Any = None) -> Any:
        return self._through(self.aget_nodes(node_ids, filters))

    def query(self, query: Any, **kwargs: Any) -> Any:
        return self._through(self.aquery(query, **kwargs))

    def wait_until_fresh(self, timeout: float = 60.0) -> None:
        self._through(self.await_until_fresh(timeout))

    def close(self) -> None:
        self._through(self.aclose())


def opener(
    cls: type[PineconeVectorStore], api: str, *, sparse: bool
) -> Callable[..., PineconeVectorStore]:
    """Opens the namespace of a folder; its index is made by the first who asks."""

    def make(folder: Path, metric: str = "cosine") -> PineconeVectorStore:
        return cls.create_if_missing(
            f"{api}-{'sparse' if sparse else 'dense'}-{metric}",
            dimension=DIM,
            metric=metric,
            api=api,
            sparse_encoder=encoder() if sparse else None,
            host=server_url(),
            api_key="local",
            namespace=blake2s(str(folder).encode(), digest_size=8).hexdigest(),
        )

    return make
