"""One index: its namespaces, opened when they are first asked for, and the order of its writes.

An open collection costs a thread and some files, and an index may have a namespace for every tenant. So in a
folder only the last ones used are open.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from llamaindex_vecx.collection import Collection
from llamaindex_vecx.pinecone_local.data.catalog import Catalog
from llamaindex_vecx.pinecone_local.data.namespace import Namespace
from llamaindex_vecx.pinecone_local.data.shape import Shape
from llamaindex_vecx.pinecone_local.errors import already_exists, not_found
from llamaindex_vecx.pinecone_local.faults import Faults

__all__ = ["Index"]

_MOST_OPEN = 32


class Index:
    """The data of one index.

    Parameters
    ----------
    name : str
    shape : Shape
    catalog : Catalog
    kind : "flat" or "hnsw"
        Of the collections' vector index.
    faults : Faults
        Says how long a write waits until reads see it.
    """

    def __init__(
        self, name: str, shape: Shape, catalog: Catalog, kind: str, faults: Faults
    ) -> None:
        self.name = name
        self.shape = shape
        self._catalog = catalog
        self._kind = kind
        self._lock = threading.RLock()
        self._writing = threading.RLock()  # taken before the other one
        self._open: OrderedDict[str, Namespace] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._faults = faults
        self._waiting: deque[tuple[float, int, Callable[[], None]]] = deque()
        self._erased = False
        self._committed = 0
        self._reconciled = 0

    # -- namespaces ------------------------------------------------------------------------------

    def namespace(self, name: str) -> Namespace | None:
        """A namespace that is there, or None."""
        with self._lock:
            if self._erased:
                raise not_found(f"Resource {self.name} not found")
            if name not in self._open:
                found = self._catalog.namespaces(self.name).get(name)
                if found is None:
                    return None
                self._open[name] = self._opened(found[0], new=False)
                self._close_unused()
            self._open.move_to_end(name)
            return self._open[name]

    def need(self, name: str) -> Namespace:
        """A namespace that is there.

        Raises
        ------
        ApiError
            404.
        """
        found = self.namespace(name)
        if found is None:
            raise not_found("Namespace not found")
        return found

    def make(self, name: str) -> Namespace:
        """A namespace, added where it is missing: a write makes its namespace."""
        with self._lock:
            found = self.namespace(name)
            if found is None:
                folder = self._catalog.put_namespace(self.name, name, {})
                found = self._open[name] = self._opened(folder, new=True)
                self._close_unused()
            return found

    def add(self, name: str, model: dict[str, Any]) -> None:
        """Add a namespace with a model.

        Raises
        ------
        ApiError
            409: it is there.
        """
        with self._lock:
            if self.namespace(name) is not None:
                raise already_exists(f"Namespace '{name}' already exists")
            folder = self._catalog.put_namespace(self.name, name, model)
            self._open[name] = self._opened(folder, new=True)

    def drop(self, name: str) -> None:
        """Remove a namespace with all it holds; nothing where it isn't there."""
        with self._lock:
            found = self._catalog.namespaces(self.name).get(name)
            if found is None:
                return
            self._catalog.drop_namespace(self.name, name)
            held = self._open.pop(name, None)
            self._sizes.pop(name, None)
            if held is not None:
                held.discard()
        self._catalog.remove(found[0])

    def models(self) -> dict[str, dict[str, Any]]:
        """The models of all namespaces by name, in order."""
        return {name: model for name, (_, model) in self._catalog.namespaces(self.name).items()}

    def sizes(self) -> dict[str, int]:
        """How many items each namespace holds."""
        with self._lock:
            return {name: self._size(name) for name in self.models()}

    def _size(self, name: str) -> int:
        if name not in self._open and name in self._sizes:
            return self._sizes[name]
        held = self.namespace(name)
        return 0 if held is None else len(held)

    def _close_unused(self) -> None:
        """Close the namespaces unused for longest, unless a write is under way that may need them.

        A read that loses its namespace to this is done again; see the caller of a handler.
        """
        if not self._catalog.durable or len(self._open) <= _MOST_OPEN:
            return
        if not self._writing.acquire(blocking=False):
            return
        try:
            while len(self._open) > _MOST_OPEN:
                name, held = self._open.popitem(last=False)
                self._sizes[name] = len(held)
                held.close()
        finally:
            self._writing.release()

    def _opened(self, folder: str, *, new: bool) -> Namespace:
        collection = Collection.open(
            self._catalog.path(folder),
            index=self._kind if new else None,
            dim=self.shape.dimension or 1,
            metric=self.shape.stored_metric,
        )
        return Namespace(collection, self.shape)

    # -- writes ----------------------------------------------------------------------------------

    @property
    def committed(self) -> int:
        """Number of the last write that was acknowledged (LSN)."""
        return self._committed

    @property
    def reconciled(self) -> int:
        """Number of the last write that reads can see."""
        return self._reconciled

    def write(self, apply: Callable[[], None]) -> int:
        """Carry out a checked write, at once or when reads may see it. Returns its number."""
        with self._writing:
            self._committed += 1
            due = time.monotonic() + self._faults.consistency
            self._waiting.append((due, self._committed, apply))
            number = self._committed
            self.settle()
            with self._lock:
                self._close_unused()
            return number

    def settle(self, *, all_of_them: bool = False) -> None:
        """Carry out the writes whose time has come, in order. Every request begins with it."""
        if not self._waiting:
            return
        with self._writing:
            now = time.monotonic()
            while self._waiting and (all_of_them or self._waiting[0][0] <= now):
                _, number, apply = self._waiting.popleft()
                apply()
                self._reconciled = number

    def close(self) -> None:
        """Carry out what waits, and close every collection."""
        with self._writing, self._lock:
            self.settle(all_of_them=True)
            for held in self._open.values():
                held.close()
            self._open.clear()

    def erase(self) -> None:
        """Remove the index with all it holds. Who still asks it gets a 404."""
        with self._writing, self._lock:
            self._erased = True
            self._waiting.clear()
            folders = self._catalog.drop_index(self.name)
            for held in self._open.values():
                held.discard()
            self._open.clear()
        for folder in folders:
            self._catalog.remove(folder)
