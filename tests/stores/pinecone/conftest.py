from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from llamaindex_vecx import PineconeVectorStore
from llamaindex_vecx.pinecone_local.pytest_plugin import (  # noqa: F401 - also where the plugin is not installed
    pinecone_local,
    pinecone_local_server,
)

from ...conformance.library import library
from ...conformance.pinecone import encoder

KEY = "pcsk_secret-of-the-tests"
Opener = Callable[..., PineconeVectorStore]
_names = itertools.count()


@pytest.fixture(autouse=True)
def extras() -> None:
    for needed in ("pinecone", "starlette", "uvicorn"):
        pytest.importorskip(needed, reason="pip install 'llamaindex-vecx[pinecone,server]'")


@pytest.fixture
def name() -> str:
    """The name of an index that is nobody else's."""
    return f"index-{next(_names)}"


@pytest.fixture
def open_store(pinecone_local, name) -> Iterator[Opener]:  # noqa: F811
    """Opens, and makes, the test's index on the local server; closes whatever was opened."""
    stores: list[PineconeVectorStore] = []

    def open_(**settings) -> PineconeVectorStore:
        settings = {"host": pinecone_local.url, "api_key": KEY, "dimension": 4, **settings}
        store = PineconeVectorStore.create_if_missing(settings.pop("index_name", name), **settings)
        stores.append(store)
        return store

    yield open_
    for store in stores:
        store.close()


@pytest.fixture(params=["vectors", "documents"])
def api(request) -> str:
    return request.param


@pytest.fixture
def store(open_store, api) -> PineconeVectorStore:
    """An empty store with sparse vectors, once over each data API."""
    return open_store(api=api, sparse_encoder=encoder())


@pytest.fixture
def filled(store) -> PineconeVectorStore:
    store.add(library())
    return store
