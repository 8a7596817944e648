"""The server: in this process on a thread of its own, or in the foreground for the command."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from llamaindex_vecx.errors import InvalidInputError, MissingExtraError, StorageError
from llamaindex_vecx.pinecone_local.data.models import Models
from llamaindex_vecx.pinecone_local.faults import Faults
from llamaindex_vecx.pinecone_local.service import Service

__all__ = ["PineconeLocal"]

HOST = "127.0.0.1"


class PineconeLocal:
    """A local server that speaks Pinecone's API over HTTP.

    Parameters
    ----------
    port : int
        0 takes a free one.
    directory : str, Path or None
        Where indexes are kept, created where it is missing. None: in memory.
    api_key : str, optional
        Which key requests must bring; others get a 401. None: any or none.
    index : "flat" or "hnsw"
        How vectors are searched: exactly, or by a graph, for large collections.
    embed_models, rerank_models : mapping, optional
        Names that requests use, to what SentenceTransformer or CrossEncoder loads.
    collection : str or Path, optional
        A collection of ours, e.g. of ``HNSWVectorStore(path)``, for the plain ``POST /search``.
    faults : Faults, optional
        Trouble to make from the beginning.

    Raises
    ------
    MissingExtraError
        Without the extra ``server``.
    StorageError
        The port is taken, or the directory can't be used.

    Examples
    --------
    >>> with PineconeLocal() as server:  # doctest: +SKIP
    ...     client = Pinecone(api_key="local", host=server.url)
    """

    def __init__(
        self,
        port: int = 0,
        directory: str | os.PathLike[str] | None = None,
        *,
        api_key: str | None = None,
        index: str = "flat",
        embed_models: Mapping[str, str] | None = None,
        rerank_models: Mapping[str, str] | None = None,
        collection: str | os.PathLike[str] | None = None,
        faults: Faults | None = None,
    ) -> None:
        try:
            import uvicorn

            from llamaindex_vecx.pinecone_local.app import make_app
        except ImportError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in ("starlette", "uvicorn"):
                raise
            raise MissingExtraError(missing, "server") from error
        if index not in ("flat", "hnsw"):
            raise InvalidInputError(f"index={index!r} must be 'flat' or 'hnsw'")
        self.faults: Faults = faults or Faults()
        self._socket = _bound(port)
        try:
            self._service = Service(
                None if directory is None else Path(directory),
                kind=index,
                api_key=api_key,
                models=Models(embed_models, rerank_models),
                faults=self.faults,
                collection=None if collection is None else Path(collection),
            )
        except BaseException:
            self._socket.close()
            raise
        config = uvicorn.Config(
            make_app(self._service),
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=1 << 18,  # a fetch names up to 1,000 ids in its path
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        """Where the control plane is: ``Pinecone(api_key=…, host=url)``."""
        return f"http://{HOST}:{self.port}"

    def host(self, index: str) -> str:
        """Where an index is: ``pc.Index(host=…)``."""
        return f"{self.url}/i/{index}"

    def start(self) -> PineconeLocal:
        """Serve on a thread, until :meth:`stop`."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._server.run, args=([self._socket],), name="pinecone-local", daemon=True
            )
            self._thread.start()
        return self

    def serve(self) -> None:
        """Serve here, until interrupted."""
        try:
            self._server.run([self._socket])
        finally:
            self._service.close()

    def clear(self) -> None:
        """Remove every index, and reset the faults."""
        self.faults.reset()
        for model in self._service.described():
            self._service.change({**model, "deletion_protection": "disabled"})
            self._service.delete(model["name"])

    def stop(self) -> None:
        """End the thread and close the files."""
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._thread = None
        self._socket.close()
        self._service.close()

    def __enter__(self) -> PineconeLocal:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<PineconeLocal {self.url}, indexes {', '.join(self._service.names()) or 'none'}>"


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
        found.listen(2048)
    except OSError as error:
        found.close()
        raise StorageError(
            f"port {port} on {HOST} can't be used: {error.strerror}; give another with --port"
        ) from error
    return found
