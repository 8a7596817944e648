"""Cutting a connection instead of answering, for clients that must survive it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["cut"]


class _Cut(Response):
    """Aborts the connection under uvicorn; elsewhere breaks the answer off."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _transport(send)
        if transport is not None:
            transport.abort()
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"1000")],
            }
        )


def cut(request: Request) -> Response:
    """A response that is none: the client sees a reset connection."""
    return _Cut()


def _transport(send: Any) -> Any:
    """The connection behind uvicorn's ``send``, which Starlette wraps in a closure.

    ASGI has no way to cut a connection, so this looks at what uvicorn hands over.
    """
    seen = set()
    waiting = [send]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        transport = getattr(getattr(item, "__self__", None), "transport", None)
        if transport is not None:
            return transport
        for cell in getattr(item, "__closure__", None) or ():
            if callable(cell.cell_contents):
                waiting.append(cell.cell_contents)
    return None
