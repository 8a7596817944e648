"""Requests without the SDK, for what the SDK would not send or hides."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple

from llamaindex_vecx.pinecone_local import PineconeLocal

DENSE = {
    "name": "raw",
    "dimension": 2,
    "metric": "cosine",
    "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}},
}


class Reply(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


def send(
    server: PineconeLocal,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """One request on a connection of its own."""
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, raw, headers or {})
        response = connection.getresponse()
        text = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, json.loads(text) if text else None, found)
    finally:
        connection.close()


def make_index(server: PineconeLocal, **changes: Any) -> str:
    """Create an index. Returns the path of its data plane."""
    model = {**DENSE, **changes}
    reply = send(server, "POST", "/indexes", {k: v for k, v in model.items() if v is not None})
    assert reply.status == 201, reply
    return f"/i/{model['name']}"
