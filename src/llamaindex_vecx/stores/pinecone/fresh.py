"""Whether reads see the last writes yet: Pinecone shows them seconds later."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from llamaindex_vecx.errors import RemoteError
from llamaindex_vecx.stores.pinecone.api import Ask, DataAPI
from llamaindex_vecx.stores.pinecone.filters import Where
from llamaindex_vecx.stores.pinecone.limits import MAX_FETCH
from llamaindex_vecx.stores.pinecone.port import Port

__all__ = ["Journal"]

_KEPT = MAX_FETCH
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)


class Journal:
    """What a store has changed last, and what reads should therefore show."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._present: dict[str, bool] = {}
        self._gone: list[Where] = []

    def written(self, vector_ids: Iterable[str]) -> None:
        """These are there now."""
        with self._lock:
            self._gone.clear()  # what was deleted by a filter may just have come back
            self._note(vector_ids, True)

    def deleted(self, vector_ids: Iterable[str]) -> None:
        """These are gone now."""
        with self._lock:
            self._note(vector_ids, False)

    def gone(self, where: Where) -> None:
        """Nothing matches this now."""
        with self._lock:
            self._present.clear()
            self._gone = [*self._gone[-9:], where]

    def _note(self, vector_ids: Iterable[str], there: bool) -> None:
        for id_ in vector_ids:
            self._present.pop(id_, None)
            self._present[id_] = there
        for id_ in list(self._present)[:-_KEPT]:
            del self._present[id_]

    async def wait(self, port: Port, api: DataAPI, seconds: float) -> None:
        """Return when reads show what was changed.

        Raises
        ------
        RemoteError
            They don't after so many seconds.
        """
        until = time.monotonic() + seconds
        pauses = iter(_PAUSES)
        pause = _PAUSES[0]
        while not await self._shown(port, api):
            if time.monotonic() >= until:
                raise RemoteError(
                    f"reads don't show the last writes after {seconds:g} s; wait longer, "
                    "or see whether somebody else deletes them"
                )
            pause = next(pauses, pause)
            await port.sleep(min(pause, max(until - time.monotonic(), 0.0)))

    async def _shown(self, port: Port, api: DataAPI) -> bool:
        with self._lock:
            present, gone = dict(self._present), list(self._gone)
        if api.positions.committed is not None and api.info.dim is not None:
            # Searches, and they alone, say how far the index has got.
            ask = Ask(dense=[1.0] * api.info.dim)
            await api.search(port, ask, 1, {}, fields=False, values=False)
            if api.positions.behind:
                return False
        if present:
            there = {one.id for one in await api.fetch(port, list(present))}
            if any((id_ in there) is not expected for id_, expected in present.items()):
                return False
        for where in gone:
            if (await api.page(port, where, None))[0]:
                return False
        return True
