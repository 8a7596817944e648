"""The ASGI application: which path is whose, who may call, and how an answer is written.

The control plane stands at the root, each index's data plane under ``/i/{name}``, which is part of the
host that a describe returns. A data call at the bare root goes to the only index there is.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from contextvars import copy_context
from typing import Any
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from llamaindex_vecx.errors import ClosedError
from llamaindex_vecx.observe import stage
from llamaindex_vecx.pinecone_local.api import plain
from llamaindex_vecx.pinecone_local.api.call import Answer, Call, Handler
from llamaindex_vecx.pinecone_local.api.control import ControlCall, ControlHandler
from llamaindex_vecx.pinecone_local.api.routes import control_routes, data_routes
from llamaindex_vecx.pinecone_local.body import parse
from llamaindex_vecx.pinecone_local.connection import cut
from llamaindex_vecx.pinecone_local.errors import ApiError, invalid, unauthenticated
from llamaindex_vecx.pinecone_local.service import Service

__all__ = ["make_app"]

_log = logging.getLogger(__name__)
_VERSION = re.compile(r"(\d{4})-(\d{2})(?:\.\w+)?")
_TYPED_SINCE = (2026, 7)
_SLASH = "\ue02f"  # of the private use area, for a slash that doesn't part a path
_MAX_BODY = 64 << 20
_TRIES = 5


def make_app(service: Service) -> ASGIApp:
    """The application over a service. Close the service after it."""
    door = _Door(service)
    data = [
        Route(path, door.data(handler), methods=[method]) for method, path, handler in data_routes()
    ]
    plane = [
        Route(path, door.control(handler), methods=[method])
        for method, path, handler in control_routes()
    ]
    own = (
        [Route("/search", door.collection, methods=["POST"])]
        if service.collection is not None
        else []
    )
    app = Starlette(
        routes=[Route("/", door.about), *own, Mount("/i/{index}", routes=data), *plane, *data],
        exception_handlers={HTTPException: door.refused},
    )
    return _keeping_slashes(app)


def _keeping_slashes(app: ASGIApp) -> ASGIApp:
    """Let ``%2F`` be part of a namespace: routes are matched after decoding, when it is a slash."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path") or b""
        if b"%2f" in raw.lower():
            marked = re.sub("%2f", quote(_SLASH), raw.decode("ascii", "replace"), flags=re.I)
            scope = {**scope, "path": unquote(marked)}
        await app(scope, receive, send)

    return wrapped


class _Door:
    """Wraps handlers: key, version, faults, thread, and the answer's bytes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def data(self, handler: Handler) -> Any:
        async def endpoint(request: Request) -> Response:
            return await self._answer(
                request, "data", lambda raw: self._call(request, handler, raw)
            )

        return endpoint

    def control(self, handler: ControlHandler) -> Any:
        async def endpoint(request: Request) -> Response:
            return await self._answer(
                request, "control", lambda raw: self._control(request, handler, raw)
            )

        return endpoint

    async def collection(self, request: Request) -> Response:
        """``POST /search`` over the collection that the server was given."""
        held = self._service.collection
        assert held is not None
        return await self._answer(
            request, "data", lambda raw: plain.search_collection(held, parse(raw))
        )

    async def about(self, request: Request) -> Response:
        """What answers at ``/``: the name, so that a browser and a health check see something."""
        return _json({"name": "pinecone-local", "indexes": self._service.names()}, 200)

    async def refused(self, request: Request, error: Any) -> Response:
        """A path or method that there is not."""
        code = "NOT_FOUND" if error.status_code == 404 else "UNIMPLEMENTED"
        body = ApiError(
            error.status_code, code, f"{request.method} {request.url.path}: {error.detail}"
        )
        return _json(body.body("control"), error.status_code, dict(error.headers or {}))

    async def _answer(self, request: Request, plane: str, work: Any) -> Response:
        with stage(
            "request", self._service, plane=plane, method=request.method, path=request.url.path
        ) as done:
            response = await self._answered(request, plane, work)
            done(status=response.status_code)
        return response

    async def _answered(self, request: Request, plane: str, work: Any) -> Response:
        faults = self._service.faults
        try:
            self._check_key(request)
            if plane == "control":
                return await self._done(work, await _read(request))
            if faults.latency > 0:
                await asyncio.sleep(faults.latency)
            faults.refuse()
            when = faults.cut()
            raw = await _read(request)
            if when == "before":
                return cut(request)
            response = await self._done(work, raw)
            return response if when is None else cut(request)
        except ApiError as error:
            return _json(error.body(plane), error.status, error.headers)
        except Exception as error:  # whatever it is, a client must be answered in the plane's form
            _log.exception("%s %s", request.method, request.url.path)
            return _json(ApiError(500, "INTERNAL", str(error)).body(plane), 500)

    async def _done(self, work: Any, raw: bytes) -> Response:
        context = copy_context()  # the span that the request is in, for what the work says
        return await asyncio.get_running_loop().run_in_executor(
            self._service.pool, context.run, _carried_out, work, raw
        )

    def _call(self, request: Request, handler: Handler, raw: bytes) -> Answer:
        path = {name: value.replace(_SLASH, "/") for name, value in request.path_params.items()}
        service = self._service
        index = service.index(path["index"]) if "index" in path else service.only_index()
        index.settle()
        query = {name: request.query_params.getlist(name) for name in request.query_params}
        call = Call(index, service.models, path, query, raw)
        answer = _with_what_is_open(handler, call)
        if answer.lsn is not None:
            answer.headers["x-pinecone-request-lsn"] = str(answer.lsn)
        else:
            answer.headers["x-pinecone-max-indexed-lsn"] = str(index.reconciled)
        return answer

    def _control(self, request: Request, handler: ControlHandler, raw: bytes) -> Answer:
        typed = _typed(request.headers.get("x-pinecone-api-version"))
        base = str(request.base_url).rstrip("/")
        return handler(
            ControlCall(
                self._service, request.path_params, raw, typed, lambda name: f"{base}/i/{name}"
            )
        )

    def _check_key(self, request: Request) -> None:
        wanted = self._service.api_key
        if wanted is None:
            return
        given = request.headers.get("api-key", "")
        if not given:
            raise unauthenticated("Missing API key: send it in the Api-Key header")
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            raise unauthenticated("Invalid API key")


def _with_what_is_open(handler: Handler, call: Call) -> Answer:
    """Answer again where another request removed or closed the namespace that this one was reading."""
    for _ in range(_TRIES):
        try:
            return handler(call)
        except ClosedError:
            continue
    return handler(call)


def _typed(version: str | None) -> bool:
    """Whether a version speaks schemas. What is no version is taken as one before."""
    match = _VERSION.fullmatch(version or "")
    return match is not None and (int(match[1]), int(match[2])) >= _TYPED_SINCE


async def _read(request: Request) -> bytes:
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > _MAX_BODY:
                raise invalid(f"the request body is larger than {_MAX_BODY} bytes")
            parts.append(part)
    except ClientDisconnect:
        raise invalid("the client went away") from None
    return b"".join(parts)


def _carried_out(work: Any, raw: bytes) -> Response:
    start = time.perf_counter()
    answer: Answer = work(raw)
    answer.headers["x-pinecone-request-latency-ms"] = f"{(time.perf_counter() - start) * 1e3:.0f}"
    return _json(answer.body, answer.status, answer.headers)


def _json(body: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    kind = None if body is None else "application/json"
    return Response(raw, status, headers, kind)
