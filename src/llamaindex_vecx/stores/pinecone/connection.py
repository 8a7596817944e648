"""The SDK's clients of one store: made once, closed once, and never shown with their key."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any
from weakref import WeakKeyDictionary

from llamaindex_vecx.errors import ClosedError, InvalidInputError, MissingIndexError
from llamaindex_vecx.stores.pinecone.port import AsyncPort, SyncPort
from llamaindex_vecx.stores.pinecone.remote import asked
from llamaindex_vecx.stores.pinecone.sdk import IndexInfo, describe, sdk

__all__ = ["Connection"]

_KEY = "PINECONE_API_KEY"


class Connection:
    """One index, as the SDK's sync client and one async client a running event loop.

    Parameters
    ----------
    api_key : str, optional
        Default ``PINECONE_API_KEY``.
    host : str, optional
        Of the control plane; default that of ``PINECONE_CONTROLLER_HOST``, or Pinecone's.
    timeout : float
        Seconds of one request.

    Raises
    ------
    InvalidInputError
        There is no key.
    MissingExtraError
    """

    def __init__(self, api_key: str | None, host: str | None, timeout: float) -> None:
        self._key = api_key or os.environ.get(_KEY, "")
        if not self._key:
            raise InvalidInputError(
                f"api_key is missing; pass it, or set {_KEY} (a local server takes any)"
            )
        self.host: str | None = host
        self.timeout: float = timeout
        settings: dict[str, Any] = {"api_key": self._key, "timeout": timeout}
        if host is not None:
            settings.update(host=host, **_without_tls(host))
        self.client: Any = asked(lambda: sdk().Pinecone(source_tag="llamaindex_vecx", **settings))
        self._lock = threading.Lock()
        self._sync: Any = None
        self._async: WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = WeakKeyDictionary()
        self._closed = False
        self._info: IndexInfo | None = None

    @classmethod
    def of_index(
        cls, index: Any, api_key: str | None, host: str | None, timeout: float
    ) -> tuple[Connection, str]:
        """A connection to the index of one of the SDK's own clients, and the index's name.

        Raises
        ------
        InvalidInputError
            It is no ``pinecone.Index``.
        MissingIndexError
            The control plane knows no index at its host.
        """
        there = getattr(index, "host", None)
        if not isinstance(there, str) or not isinstance(index, sdk().Index):
            raise InvalidInputError(
                f"pinecone_index must be a pinecone.Index, not {type(index).__name__}; "
                "pass index_name=… to connect by name"
            )
        connection = cls(api_key or index._config.api_key, host, timeout)
        for model in asked(lambda: list(connection.client.indexes.list())):
            if (model.host or "").rstrip("/") == there.rstrip("/"):
                return connection, str(model.name)
        connection.close()
        raise MissingIndexError(
            f"no index of this project is served at {there}; is host=… the right control plane?"
        )

    @property
    def info(self) -> IndexInfo:
        """What the index is, once it is open."""
        assert self._info is not None, "open() comes first"
        return self._info

    def open(self, name: str) -> IndexInfo:
        """Find the index of that name; nothing is asked a second time.

        Raises
        ------
        MissingIndexError, AccessDeniedError, RemoteError, UnsupportedError
        """
        if self._info is not None:
            return self._info
        try:
            self._info = describe(self.client, name)
        except MissingIndexError as error:
            known = asked(lambda: [model.name for model in self.client.indexes.list()])
            listed = ", ".join(sorted(known)[:20]) or "none"
            raise MissingIndexError(
                f"there is no index {name!r}; this project has: {listed}. "
                "PineconeVectorStore.create_if_missing(…) makes one",
                404,
            ) from error
        return self._info

    @property
    def key_is_from_environment(self) -> bool:
        """Whether another process with this environment would find the same key."""
        return self._key == os.environ.get(_KEY)

    def copy(self) -> Connection:
        """Another connection with the same key to the same place."""
        return Connection(self._key, self.host, self.timeout)

    def sync_port(self) -> SyncPort:
        """The port over the sync client.

        Raises
        ------
        ClosedError
        """
        with self._lock:
            self._check()
            if self._sync is None:
                self._sync = sdk().Index(**self._settings())
            return SyncPort(self._sync)

    def async_port(self) -> AsyncPort:
        """The port over the running loop's async client.

        Raises
        ------
        ClosedError
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            self._check()
            index = self._async.get(loop)
            if index is None:
                index = self._async[loop] = sdk().AsyncIndex(**self._settings())
            return AsyncPort(index)

    def _settings(self) -> dict[str, Any]:
        return {
            "host": self.info.host,
            "api_key": self._key,
            "timeout": self.timeout,
            "source_tag": "llamaindex_vecx",
            **_without_tls(self.info.host),
        }

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("the PineconeVectorStore was closed; open it again")

    def close(self) -> None:
        """Let go of all connections; those of a running event loop when it next turns."""
        with self._lock:
            self._closed = True
            sync, self._sync = self._sync, None
            others = list(self._async.items())
            self._async.clear()
        if sync is not None:
            sync.close()
        self.client.close()
        for loop, index in others:
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(index.close(), loop)

    async def aclose(self) -> None:
        """As :meth:`close`, and this loop's connections are gone when it returns."""
        with self._lock:
            index = self._async.pop(asyncio.get_running_loop(), None)
        if index is not None:
            await index.close()
        self.close()

    def __repr__(self) -> str:
        name = None if self._info is None else self._info.name
        return f"Connection(host={self.host!r}, index={name!r})"


def _without_tls(host: str) -> dict[str, bool]:
    """Reading all certificates takes 30 ms, for a plain local server in vain."""
    return {"ssl_verify": False} if host.startswith("http://") else {}
