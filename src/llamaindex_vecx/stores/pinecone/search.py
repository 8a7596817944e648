"""Searches that still bring ``k`` matching nodes where Pinecone can't apply the whole filter.

Pinecone gets as much of a filter as it can take, and is asked for more than ``k``. Here the rest is sorted
out; where fewer than ``k`` remain, four times as many are asked for, up to Pinecone's 10,000. If that is not
enough, all records that pass Pinecone's part are read and ranked here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from llama_index.core.vector_stores.types import MetadataFilters

from llamaindex_vecx.stores.pinecone.api import Ask, DataAPI
from llamaindex_vecx.stores.pinecone.filters import NOTHING, Where, matching
from llamaindex_vecx.stores.pinecone.limits import MAX_FETCH, MAX_TOP_K
from llamaindex_vecx.stores.pinecone.port import Port
from llamaindex_vecx.stores.pinecone.records import Found
from llamaindex_vecx.stores.pinecone.scores import ranked_here

__all__ = ["Reader", "Restriction"]

_GROWTH = 4
_LEAST = 20
_MOST_BYTES_OF_IDS = 4_000


@dataclass(frozen=True)
class Restriction:
    """Which records a request is about.

    Attributes
    ----------
    where : dict
        As far as Pinecone can tell.
    filters : MetadataFilters or None
        What is left to check here.
    vector_ids : list of str or None
        These alone.
    doc_ids : frozenset of str or None
        Nodes of these documents alone.
    """

    where: Where
    filters: MetadataFilters | None = None
    vector_ids: list[str] | None = None
    doc_ids: frozenset[str] | None = None

    def passing(self, found: list[Found]) -> list[Found]:
        """Those that belong to it. Each has its node."""
        if self.vector_ids is not None:
            allowed = frozenset(self.vector_ids)
            found = [one for one in found if one.id in allowed]
        if self.doc_ids is not None:
            found = [one for one in found if one.node and one.node.ref_doc_id in self.doc_ids]
        return matching(found, self.filters)


@dataclass(frozen=True)
class Reader:
    """Reads one namespace.

    Attributes
    ----------
    nodes : coroutine function
        Gives each record that is found its node.
    width : int
        Requests at a time.
    """

    port: Port
    api: DataAPI
    nodes: Callable[[Port, list[Found]], Awaitable[None]]
    width: int

    async def search(
        self, ask: Ask, top_k: int, among: Restriction, *, values: bool = False
    ) -> list[Found]:
        """At most ``top_k`` records with their nodes, best first."""
        if among.where == NOTHING or among.vector_ids == []:
            return []
        if among.vector_ids is not None and ask.text is None:
            return await self._ranked(ask, top_k, await self.fetch(among.vector_ids), among)
        checked = among.filters is not None or among.vector_ids is not None
        wanted = min(max(2 * top_k, _LEAST), MAX_TOP_K) if checked else top_k
        seen: set[str] = set()
        kept: list[Found] = []
        while True:
            hits = await self._hits(ask, wanted, among.where, values)
            new = [hit for hit in hits if hit.id not in seen]
            kept += await self._passing(new, top_k - len(kept), among, seen, values)
            if len(kept) >= top_k or len(hits) < wanted or not checked:
                # an approximate search may bring a better one only when asked for more
                return sorted(kept, key=lambda one: -one.score)[:top_k]
            if wanted == MAX_TOP_K:
                break
            wanted = min(_GROWTH * wanted, MAX_TOP_K)
        if ask.text is not None:  # only the service can rank by its text index
            return kept[:top_k]
        return await self._ranked(ask, top_k, await self.scan(among.where), among)

    async def _hits(self, ask: Ask, top_k: int, where: Where, values: bool) -> list[Found]:
        small = top_k <= MAX_FETCH  # more might not fit into one answer
        return await self.api.search(
            self.port, ask, top_k, where, fields=small, values=values and small
        )

    async def _passing(
        self, hits: list[Found], wanted: int, among: Restriction, seen: set[str], values: bool
    ) -> list[Found]:
        """The first ``wanted`` that pass, read as far as that takes."""
        kept: list[Found] = []
        step = MAX_FETCH * self.width
        for start in range(0, len(hits), step):
            if len(kept) >= wanted:
                break
            part = await self._whole(hits[start : start + step], values)
            seen.update(hit.id for hit in hits[start : start + step])
            await self.nodes(self.port, part)
            kept += among.passing(part)
        return kept

    async def _whole(self, hits: list[Found], values: bool) -> list[Found]:
        """The hits with what a search left out; those deleted meanwhile are gone."""
        lacking = [hit.id for hit in hits if hit.fields is None]
        if not lacking:
            return hits
        there = {one.id: one for one in await self._fetched(lacking)}
        for hit in hits:
            whole = there.get(hit.id)
            if whole is not None:
                hit.fields, hit.values = whole.fields, whole.values if values else None
        return [hit for hit in hits if hit.fields is not None]

    async def _ranked(
        self, ask: Ask, top_k: int, found: list[Found], among: Restriction
    ) -> list[Found]:
        return ranked_here(among.passing(found), ask, self.api.info.metric)[:top_k]

    async def fetch(self, vector_ids: Sequence[str]) -> list[Found]:
        """Those records that are there, with their nodes, in the order asked."""
        found = {one.id: one for one in await self._fetched(vector_ids)}
        ordered = [found[id_] for id_ in dict.fromkeys(vector_ids) if id_ in found]
        await self.nodes(self.port, ordered)
        return ordered

    async def _fetched(self, vector_ids: Sequence[str]) -> list[Found]:
        answers = await self.port.gather(
            [
                partial(self.api.fetch, self.port, part)
                for part in _portions(dict.fromkeys(vector_ids))
            ],
            self.width,
        )
        return [one for answer in answers for one in answer]

    async def scan(self, where: Where) -> list[Found]:
        """Every record that passes, with its node, by id."""
        if where == NOTHING:
            return []
        found: list[Found] = []
        token: str | None = None
        while True:
            page, token = await self.api.page(self.port, where, token)
            found += page
            if not token:
                break
        await self.nodes(self.port, found)
        return sorted(found, key=lambda one: one.id)

    async def matching(self, among: Restriction) -> list[Found]:
        """Every record of the restriction, with its node: in the order of its ids, or by id."""
        if among.where == NOTHING:
            return []
        if among.vector_ids is not None:
            found = await self.fetch(among.vector_ids)
        else:
            found = await self.scan(among.where)
        return among.passing(found)


def _portions(vector_ids: Iterable[str]) -> list[list[str]]:
    """Ids of a fetch stand in its URL, which may not grow without end."""
    made: list[list[str]] = []
    room = 0
    for id_ in vector_ids:
        if not made or room < len(id_) or len(made[-1]) >= MAX_FETCH:
            made.append([])
            room = _MOST_BYTES_OF_IDS
        made[-1].append(id_)
        room -= len(id_) + len("&ids=")
    return made
