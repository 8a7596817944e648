"""What is tried: indexes to build, side by side, and the values that each is searched with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llamaindex_vecx.checks import check_count
from llamaindex_vecx.errors import InvalidInputError

__all__ = ["PRESETS", "Build", "Group", "Plan", "classic", "sweep"]

_FAISS_GRAPH = re.compile(r"HNSW(\d+|\{M\})")
_FAISS_LISTS = re.compile(r"IVF\d+")


@dataclass(frozen=True, eq=False)
class Build:
    """One index to build, and the values to search it with.

    Attributes
    ----------
    engine : {"hnsw", "faiss"}
        Ours, or a FAISS index by its factory string.
    params : mapping
        ``M`` and ``ef_construction``, or ``factory`` and ``efConstruction``.
    tunes : str or None
        Name of what a search is given: ``ef_search``, ``efSearch``, ``nprobe``; None: nothing.
    values : tuple of int
        Of that.
    """

    engine: str
    params: Mapping[str, Any]
    tunes: str | None
    values: tuple[int, ...]

    @property
    def key(self) -> str:
        """``hnsw M=16 ef_construction=200``."""
        if self.engine == "faiss":
            rest = [f"{k}={v}" for k, v in self.params.items() if k != "factory"]
            return " ".join(["faiss", str(self.params["factory"]), *rest])
        return " ".join([self.engine, *(f"{k}={v}" for k, v in self.params.items())])

    def searches(self) -> list[dict[str, int]]:
        """What a search is given, one after the other."""
        return [{self.tunes: value} for value in self.values] if self.tunes else [{}]

    def key_of(self, search: Mapping[str, int]) -> str:
        """The key of a configuration: the index, and what it is searched with."""
        return " ".join([self.key, *(f"{k}={v}" for k, v in search.items())])


Group = tuple[Build, ...]
"""Indexes that are measured in turn, so that what else the machine does falls on all of them."""


@dataclass(frozen=True)
class Plan:
    """Groups of builds.

    Attributes
    ----------
    k : int
        Neighbours that a search asks for.
    """

    name: str
    groups: tuple[Group, ...]
    k: int = 10

    def keys(self) -> list[str]:
        """Every configuration."""
        return [
            build.key_of(search)
            for group in self.groups
            for build in group
            for search in build.searches()
        ]

    def __len__(self) -> int:
        return len(self.keys())

    def __repr__(self) -> str:
        builds = sum(map(len, self.groups))
        return f"Plan({self.name!r}, {builds} indexes, {len(self)} configurations, k={self.k})"


def sweep(
    *,
    M: Sequence[int] = (8, 16, 32),
    ef_construction: Sequence[int] = (100, 200, 400),
    ef_search: Sequence[int] = (16, 32, 64, 128, 256),
    vary: Mapping[str, Sequence[Any]] | None = None,
    faiss: Sequence[str] = (),
    nprobe: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
    k: int = 10,
    name: str = "sweep",
) -> Plan:
    """Every M with every ef_construction, each searched with every ef_search.

    Parameters
    ----------
    M, ef_construction, ef_search : sequence of int
    vary : mapping of name to values, optional
        Of further parameters of :class:`~llamaindex_vecx.index.HNSW`.
    faiss : sequence of str, optional
        Factory strings to measure beside ours. In a graph's, ``{M}`` stands for every M, with every
        ef_construction: ``"HNSW{M}"``, ``"HNSW{M},SQ8"``. Others are built once and searched with every
        ``nprobe`` (``"IVF256,Flat"``, ``"IVF256,PQ48"``) or as they are (``"PQ48"``).
    nprobe : sequence of int
    k : int

    Raises
    ------
    InvalidInputError
        A list is empty or holds something else than whole numbers from 1.
    """
    check_count(k, "k")
    for label, values in (
        ("M", M), ("ef_construction", ef_construction), ("ef_search", ef_search), ("nprobe", nprobe),
    ):  # fmt: skip
        if not values:
            raise InvalidInputError(f"{label} is empty; give at least one value")
        for value in values:
            check_count(value, label)
    variants: list[dict[str, Any]] = [{}]
    for label, values in (vary or {}).items():
        variants = [{**variant, label: value} for variant in variants for value in values]
    graphs = [factory for factory in faiss if "{M}" in factory]
    groups: list[Group] = []
    for links in dict.fromkeys(M):
        for candidates in dict.fromkeys(ef_construction):
            params = {"M": links, "ef_construction": candidates}
            ours = [
                Build("hnsw", {**params, **variant}, "ef_search", tuple(ef_search))
                for variant in variants
            ]
            theirs = [
                Build(
                    "faiss",
                    {"factory": factory.replace("{M}", str(links)), "efConstruction": candidates},
                    "efSearch",
                    tuple(ef_search),
                )
                for factory in graphs
            ]
            groups.append((*ours, *theirs))
    for factory in dict.fromkeys(faiss):
        if factory not in graphs:
            tunes, values = _tuned(factory, ef_search, nprobe)
            groups.append((Build("faiss", {"factory": factory}, tunes, values),))
    return Plan(name, tuple(groups), k)


def classic() -> Plan:
    """The tables of the classic lesson: ours and FAISS's HNSW side by side, k = 1.

    M from 8 to 64 at ef_construction 160; ef_construction from 40 to 320 at M 32; each searched with
    ef_search from 16 to 128.
    """
    pairs = [(M, 160) for M in (8, 16, 32, 64)] + [(32, ef) for ef in (40, 80, 320)]
    groups = [
        sweep(M=[M], ef_construction=[ef], ef_search=(16, 32, 64, 128), faiss=["HNSW{M}"]).groups[0]
        for M, ef in pairs
    ]
    return Plan("classic", tuple(groups), k=1)


def _quick() -> Plan:
    return sweep(M=(8, 16), ef_construction=(100,), ef_search=(16, 64, 256), name="quick")


PRESETS = {"classic": classic, "quick": _quick, "sweep": sweep}
"""By name."""


def _tuned(
    factory: str, ef_search: Sequence[int], nprobe: Sequence[int]
) -> tuple[str | None, tuple[int, ...]]:
    lists = _FAISS_LISTS.search(factory)
    if lists:
        most = int(lists[0][3:])
        return "nprobe", tuple(sorted({min(value, most) for value in nprobe}))
    if _FAISS_GRAPH.search(factory):
        return "efSearch", tuple(ef_search)
    return None, ()
