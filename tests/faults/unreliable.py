"""A proxy in front of the local Pinecone that does to requests what networks and services do."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

__all__ = ["Unreliable"]

FAULTS = (
    "throttle",
    "unavailable",
    "reset before",
    "reset after",
    "too late",
    "half lost",
    "half told",
)


class Unreliable:
    """Forwards to a server; of the writes, a share meets one of :data:`FAULTS`.

    - throttle: 429 with ``Retry-After``, nothing is done
    - unavailable: 503, nothing is done
    - reset before, reset after: the connection is reset, and the write done or not
    - too late: the write is done and answered after the client has given up
    - half lost: half of the batch is stored and the answer is 500
    - half told: half of the batch is stored and the answer is how many

    Parameters
    ----------
    behind : str
        URL of the server.
    share : float
        Of the writes that meet a fault.
    patience : float
        Seconds after which the client gives up.

    Attributes
    ----------
    script : list of str
        Faults of the next writes, in order, instead of drawn ones; "" is none.
    met : Counter
        How often each fault happened.
    """

    def __init__(self, behind: str, share: float, patience: float, seed: int = 0) -> None:
        self.behind, self.share, self.patience = behind, share, patience
        self.met: Counter[str] = Counter()
        self.script: list[str] = []
        self._random, self._lock = random.Random(seed), threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.handle(self)

            do_POST = do_DELETE = do_PATCH = do_GET  # noqa: N815

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *arguments: Any) -> None:
                """A client that has gone away is the point of this."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Unreliable:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _draw(self) -> str | None:
        with self._lock:
            if self.script:
                return self.script.pop(0)
            if self._random.random() >= self.share:
                return None
            fault = self._random.choice(FAULTS)
            self.met[fault] += 1
            return fault

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        fault = self._draw() if request.path.endswith("/upsert") else None
        if fault == "throttle":
            return _answer(
                request, 429, b'{"code": 8, "message": "slow down"}', {"Retry-After": "0.2"}
            )
        if fault == "unavailable":
            return _answer(request, 503, b'{"code": 14, "message": "unavailable"}')
        if fault == "reset before":
            return _reset(request)
        if fault in ("half lost", "half told"):
            body = _half(body)
        status, answer, headers = self._forward(request, body)
        if fault == "reset after":
            return _reset(request)
        if fault == "half lost":
            return _answer(request, 500, b'{"code": 13, "message": "internal"}')
        if fault == "too late":
            time.sleep(self.patience + 0.5)
        return _answer(
            request, status, answer.replace(self.behind.encode(), self.url.encode()), headers
        )

    def _forward(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        names = ("Api-Key", "X-Pinecone-Api-Version", "Content-Type")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        sent = Request(self.behind + request.path, body or None, headers, method=request.command)
        try:
            with urlopen(sent) as response:
                return response.status, response.read(), dict(response.headers)
        except HTTPError as error:
            return error.code, error.read(), dict(error.headers)


def _half(body: bytes) -> bytes:
    """The request without the second half of its vectors or documents."""
    request = json.loads(body)
    for name in ("vectors", "documents"):
        if name in request:
            request[name] = request[name][: max(1, len(request[name]) // 2)]
    return json.dumps(request).encode()


def _answer(
    request: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        if name.lower() not in (
            "content-length",
            "transfer-encoding",
            "connection",
            "date",
            "server",
        ):
            request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _reset(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()
