"""The plugin's fixtures, also where the package is not installed, and the SDK's client against them."""

from __future__ import annotations

from typing import Any

import pytest

from llamaindex_vecx.pinecone_local import PineconeLocal
from llamaindex_vecx.pinecone_local.pytest_plugin import (  # noqa: F401
    pinecone_local,
    pinecone_local_server,
)

SERVERLESS = {"serverless": {"cloud": "aws", "region": "us-east-1"}}


@pytest.fixture
def client(pinecone_local: PineconeLocal) -> Any:  # noqa: F811
    pinecone = pytest.importorskip("pinecone", reason="pip install 'llamaindex-vecx[pinecone]'")
    return pinecone.Pinecone(api_key="local", host=pinecone_local.url)


@pytest.fixture
def index(client: Any) -> Any:
    """A dense index of three dimensions under cosine, empty."""
    client.create_index(name="three", dimension=3, metric="cosine", spec=SERVERLESS)
    return client.index(host=client.describe_index("three").host)
