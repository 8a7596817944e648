"""Everything the server knows: the catalog, the open indexes, the models, the faults asked for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.pinecone_local.api.schema import shape
from llamaindex_vecx.pinecone_local.data.catalog import Catalog
from llamaindex_vecx.pinecone_local.data.index import Index
from llamaindex_vecx.pinecone_local.data.models import Models
from llamaindex_vecx.pinecone_local.errors import ApiError, already_exists, forbidden, not_found
from llamaindex_vecx.pinecone_local.faults import Faults

__all__ = ["Service"]

_THREADS = 8


class Service:
    """Indexes by name. Safe for threads.

    Parameters
    ----------
    folder : Path or None
        Where all is kept; None: in memory.
    kind : "flat" or "hnsw"
        Of the vector indexes.
    api_key : str or None
        Which key a request must bring; None: any or none.
    models : Models
    faults : Faults
    collection : Path or None
        Of a collection that the plain ``POST /search`` asks, opened for reading only.

    Attributes
    ----------
    collection : Collection or None
    pool : ThreadPoolExecutor
        Runs the handlers, which wait for the disk and for each other.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        kind: str,
        api_key: str | None,
        models: Models,
        faults: Faults,
        collection: Path | None,
    ) -> None:
        self.api_key = api_key
        self.models = models
        self.faults = faults
        self.collection: Collection | None = (
            None if collection is None else Collection.open(collection, read_only=True)
        )
        self._catalog = Catalog(folder)
        self._kind = kind
        self.pool: ThreadPoolExecutor = ThreadPoolExecutor(
            _THREADS, thread_name_prefix="pinecone-local"
        )
        self._lock = threading.RLock()
        self._open: dict[str, Index] = {}

    def names(self) -> list[str]:
        """The names of all indexes."""
        return [model["name"] for model in self._catalog.indexes()]

    def described(self) -> list[dict[str, Any]]:
        """The models of all indexes."""
        return self._catalog.indexes()

    def model(self, name: str) -> dict[str, Any]:
        """An index's model.

        Raises
        ------
        ApiError
            404.
        """
        found = self._catalog.index(name)
        if found is None:
            raise not_found(f"Resource {name} not found")
        return found

    def create(self, model: dict[str, Any]) -> None:
        """Add an index.

        Raises
        ------
        ApiError
            409: the name is taken.
        """
        with self._lock:
            if self._catalog.index(model["name"]) is not None:
                raise already_exists("Resource already exists")
            self._catalog.put_index(model["name"], model)

    def change(self, model: dict[str, Any]) -> None:
        """Store an index's changed model."""
        with self._lock:
            self.model(model["name"])
            self._catalog.put_index(model["name"], model)

    def delete(self, name: str) -> None:
        """Remove an index with all its data.

        Raises
        ------
        ApiError
            404, or 403 while its deletion protection is enabled.
        """
        with self._lock:
            if self.model(name)["deletion_protection"] == "enabled":
                raise forbidden(
                    "Deletion protection is enabled for this index. Disable deletion protection before "
                    "retrying."
                )
            self.index(name).erase()
            del self._open[name]

    def index(self, name: str) -> Index:
        """An index's data.

        Raises
        ------
        ApiError
            404.
        """
        with self._lock:
            if name not in self._open:
                model = self.model(name)
                self._open[name] = Index(name, shape(model), self._catalog, self._kind, self.faults)
            return self._open[name]

    def only_index(self) -> Index:
        """The index that is meant by a request that names none.

        Raises
        ------
        ApiError
            There isn't exactly one.
        """
        names = self.names()
        if len(names) != 1:
            raise ApiError(
                404,
                "NOT_FOUND",
                f"this host serves {len(names)} indexes and the request names none; use the 'host' "
                "that describe_index returns",
            )
        return self.index(names[0])

    def close(self) -> None:
        """Let requests end, then close all collections and the catalog."""
        self.pool.shutdown()
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()
            self._catalog.close()
            if self.collection is not None:
                self.collection.close()
