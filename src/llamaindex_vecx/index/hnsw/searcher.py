"""A search from checked arguments to the answer: by a walk, by a scan, again where that must be."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.index.base import Allowed, Rows, Scores
from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.index.checks import count_allowed, mask_of
from llamaindex_vecx.index.exact import NOT_FINITE
from llamaindex_vecx.index.hnsw.answer import answer
from llamaindex_vecx.index.hnsw.filtered import (
    Chosen,
    Filter,
    allowance,
    leaves_enough,
    prefers_scan,
    wanted,
)
from llamaindex_vecx.index.hnsw.layout import COARSE, DIMENSION, Graph
from llamaindex_vecx.index.hnsw.places import places_of
from llamaindex_vecx.index.hnsw.reach import ROOM, reach_of
from llamaindex_vecx.index.hnsw.scan import BLURRED, scan_codes
from llamaindex_vecx.index.hnsw.scratch import Pool
from llamaindex_vecx.index.hnsw.signs import find_likely
from llamaindex_vecx.index.hnsw.store import Store, View
from llamaindex_vecx.index.hnsw.trust import Trust
from llamaindex_vecx.index.lookup import RECORD
from llamaindex_vecx.metrics import check_vectors

__all__ = ["Searcher"]

_WIDER = 4  # times as many candidates for a query whose candidates look alike
_SPARE = 20  # candidates of a scan that are measured exactly, beyond 2k
_FEW = 6  # one removed node among so many is passed over
_POOL = 2048  # candidates that a filtered search remembers, at least
_NO_MASK = np.zeros(0, np.uint8)

_FIRST = 8  # queries of a filtered batch that show whether the graph leads to allowed nodes
_ROOM = 4  # times as many slots as are wanted may look likely
_TOGETHER = 64  # queries whose likely slots are kept at a time


class How(Enum):
    """How a search is done."""

    WALK = auto()
    BY_CODES = auto()
    BY_SIGNS = auto()


WALK, BY_CODES, BY_SIGNS = How  # a member asked of its class takes as long as a call


def spared(rank: int, removed: int, size: int) -> int:
    """How many of the first candidates are removed, with two standard deviations; 0 where many are."""
    if removed == 0 or removed * _FEW > size:
        return 0
    mean = rank * removed / size
    return math.ceil(mean + 2 * math.sqrt(mean))


class Task(NamedTuple):
    """A search."""

    queries: NDArray[np.float32]
    k: int
    ef: int
    filter: Filter | None
    view: View
    total: int  # rows that may be found
    how: How
    otherwise: How  # where a walk finds too little
    threads: int
    wider: int = 1  # times as many slots that a scan by signs leaves

    @property
    def need(self) -> int:
        """Rows that must be found."""
        return min(self.k, self.total)

    @property
    def budget(self) -> int:
        """Distances after which a walk gives up, for a scan takes less."""
        by_signs = self.otherwise is BY_SIGNS
        return allowance(self.total, len(self.queries), by_signs=by_signs)


class Answers(NamedTuple):
    """Where kernels write."""

    rows: Rows
    scores: Scores
    counts: NDArray[np.int64]

    def part(self, start: int, stop: int) -> Answers:
        """Those of some queries."""
        return Answers(self.rows[start:stop], self.scores[start:stop], self.counts[start:stop])


def room_for(task: Task) -> Answers:
    """Unwritten answers."""
    n, k = len(task.queries), task.k
    return Answers(np.empty((n, k), np.int64), np.empty((n, k), np.float32), np.empty(n, np.int64))


_Work = Callable[[int, int], bool]


class Searcher:
    """What searches need besides the graph: memory to work in, and the last filter."""

    def __init__(self, metric: int, dim: int, pool: Pool) -> None:
        self.dim = dim
        self._metric = metric
        self._pool = pool
        self._chosen = Chosen()
        self._trust = Trust(dim)
        self._known: tuple[Callable[[], object], NDArray[np.int64]] = int, np.zeros(0, np.int64)

    def search(
        self,
        store: Store,
        queries: NDArray[np.float32],
        k: int,
        ef: int,
        allowed: Allowed | None,
        threads: int,
    ) -> tuple[Rows, Scores]:
        """The nearest rows (q, k) and their scores, padded."""
        view, count = store.view, store.alive
        if ef < k:
            ef = k
        if ef > view.size:
            ef = max(view.size, 1)
        if allowed is None:
            # Then `ef_search` means what it says, however small the index.
            how = BY_CODES if count <= ef else WALK
            if how is WALK and len(queries) == 1 and count == view.met:
                found = self._one(view, queries, k, ef)
                if found is not None:
                    return found
            return self._search(Task(queries, k, ef, None, view, count, how, BY_CODES, threads))
        count = min(count, count_allowed(allowed))
        chosen = self._chosen.of(allowed, view.table, view.size, view.returned)
        scan = BY_CODES
        if chosen.worth_signs(count, len(queries), k) and self._trust.given(store, self._scan_rows):
            scan = BY_SIGNS
        task = Task(queries, k, ef, chosen, view, count, scan, scan, threads)
        if not prefers_scan(count, view.met, ef, task.budget):
            task = task._replace(how=WALK)
        return self._search(task)

    def scan(self, store: Store, queries: NDArray[np.float32], k: int) -> Rows:
        """:meth:`search` by a scan of everything."""
        view, count, how = store.view, store.alive, BY_CODES
        return self._search(Task(queries, k, k, None, view, count, how, how, 1))[0]

    def without(
        self, store: Store, query: NDArray[np.float32], k: int, ef: int, slot: int
    ) -> list[int]:
        """Rows by a walk of exactly ``ef`` candidates that never sees a slot; -1 hides none."""
        view, count = store.view, store.alive
        task = Task(query[None], k, ef, None, view, count, WALK, BY_CODES, 1)
        answers = room_for(task)
        self._walk(task, answers, hidden=slot)(0, 1)
        found: list[int] = answers.rows[0].tolist()
        return found

    def _scan_rows(
        self,
        view: View,
        rows: NDArray[np.int64],
        queries: NDArray[np.float32],
        k: int,
        by_signs: bool,
    ) -> Rows:
        """The nearest of some rows, by a scan."""
        chosen = Filter(rows, view.table, view.size)
        how = BY_SIGNS if by_signs else BY_CODES
        task = Task(queries, k, k, chosen, view, len(rows), how, BY_CODES, 1)
        answers = room_for(task)
        (self._by_signs if by_signs else self._by_codes)(task, answers)(0, len(queries))
        return answers.rows

    def _one(
        self, view: View, query: NDArray[np.float32], k: int, ef: int
    ) -> tuple[Rows, Scores] | None:
        """The nearest of all rows by a walk: :meth:`_search` of one query, without what that takes in Python.

        None where it can't be left at that.
        """
        rows, scores = np.empty((1, k), np.int64), np.empty((1, k), np.float32)
        graph, need = view.graph, k if k < view.size else view.size
        scratch = self._pool.take(len(graph.blocks)).fit(ROOM * ef, k, 0)
        rank, widening = reach_of(graph.state.item(DIMENSION), ef, k)
        enough: bool = answer(
            self._metric, graph.state.item(COARSE) == 0, query, 0, 1, k, ef, rank, widening,
            0, False, 0, False, _NO_MASK, self._places(graph), scratch.walk, rows, scores,
            scratch.count, need,
        )  # fmt: skip
        self._pool.give(scratch)
        return (rows, scores) if enough else None

    def _search(self, task: Task) -> tuple[Rows, Scores]:
        """The nearest rows, by a scan or by a traversal, completed where that must be."""
        n, answers = len(task.queries), room_for(task)
        rows, scores, counts = answers
        if task.how is WALK:
            work = self._walk(task, answers)
        else:
            work = (self._by_codes if task.how is BY_CODES else self._by_signs)(task, answers)
        short: list[int] = []  # where a part of the queries that isn't through begins

        def part(start: int, stop: int) -> None:
            if not work(start, stop):
                short.append(start)

        through = 0 if task.filter is None else self._try(task, part, answers)
        if through:
            each_range(
                lambda start, stop: part(through + start, through + stop), n - through, task.threads
            )
        else:
            each_range(part, n, task.threads)
        if not short:
            return rows, scores
        if counts.min() == NOT_FINITE:
            check_vectors(task.queries, argument="queries")
        blurred = counts == BLURRED
        few = (counts < task.need) & ~blurred
        wider = min(_WIDER * task.ef, task.view.size)
        if task.how is BY_SIGNS:
            again = [(few, task.ef, BY_CODES)]
            if task.wider == 1 and leaves_enough(task.total, task.k, _WIDER):
                task = task._replace(wider=_WIDER)
                again.append((blurred, task.ef, BY_SIGNS))
            else:
                again.append((blurred, task.ef, BY_CODES))
        elif task.how is BY_CODES:
            again = [(blurred, wider, BY_CODES)]
        else:
            same = BY_CODES if wider >= task.total else WALK
            again = [(blurred, wider, same), (few, task.ef, task.otherwise)]
        for some, ef, how in again:
            if some.any():
                rows[some], scores[some] = self._search(
                    task._replace(queries=task.queries[some], ef=ef, how=how)
                )
        return rows, scores

    def _try(self, task: Task, part: Callable[[int, int], None], answers: Answers) -> int:
        """How many queries are through after the first few of many, walked; all where those gave up."""
        n = len(task.queries)
        if task.how is not WALK or task.filter is None or n < 16 * _FIRST:
            return 0
        part(0, _FIRST)
        if 2 * int((answers.counts[:_FIRST] < task.need).sum()) <= _FIRST:
            return _FIRST
        check_vectors(task.queries, argument="queries")
        answers.counts[_FIRST:] = 0
        return n

    def _walk(self, task: Task, answers: Answers, hidden: int = -1) -> _Work:
        queries, k, ef, chosen, view, count = task[:6]
        graph = view.graph
        restricted = chosen is not None
        removed = max(0, view.met - count)
        filtered = restricted or removed > 0
        # With a filter each walk that becomes long is given up for a scan, so all are equally long there.
        dimension = 0 if restricted else graph.state.item(DIMENSION)
        rank, widening = reach_of(dimension, ef, k)
        spare = 0 if restricted or hidden >= 0 else spared(rank, removed, view.met)
        mask = _NO_MASK if chosen is None else mask_of(chosen.allowed)
        room = max(_POOL, 4 * ef) if filtered else 0
        fine = graph.state.item(COARSE) == 0
        places = self._places(graph)
        budget = task.budget if filtered else 0
        need = 0 if hidden >= 0 else count if count < k else k

        def work(start: int, stop: int) -> bool:
            scratch = self._pool.take(len(graph.blocks)).fit(ROOM * ef + spare, k, room)
            if hidden >= 0:
                scratch.hide(hidden)
            enough: bool = answer(
                self._metric, fine, queries, start, stop, k, ef, rank, widening, budget, filtered,
                spare, restricted, mask, places, scratch.walk, *answers, need,
            )  # fmt: skip
            self._pool.give(scratch)
            return enough

        return work

    def _places(self, graph: Graph) -> NDArray[np.int64]:
        """Where the arrays of a graph lie; a new one has a new ``state``. Keeps no graph alive."""
        state, places = self._known
        if state() is not graph.state:
            places = places_of(graph)
            self._known = weakref.ref(graph.state), places
        return places

    def _by_codes(self, task: Task, answers: Answers) -> _Work:
        view, chosen = task.view, task.filter
        if chosen is None:
            slots = np.flatnonzero(view.graph.rows[: view.size] >= 0).astype(np.int32)
        else:
            slots = chosen.slots
        some, many = slots[None], np.array([len(slots)], np.int64)
        cuts = np.full(len(task.queries), np.inf, np.float32)

        def work(start: int, stop: int) -> bool:
            return self._scan(task, task.queries, start, stop, some, many, cuts, answers)

        return work

    def _by_signs(self, task: Task, answers: Answers) -> _Work:
        assert task.filter is not None
        slots = task.filter.slots
        signs = task.filter.signs(self._metric, self.dim, task.view.graph.blocks)
        size = task.wider * wanted(task.k)

        def work(start: int, stop: int) -> bool:
            n = min(stop - start, _TOGETHER)
            likely = np.empty((n, _ROOM * size + RECORD), np.int32)
            many, cuts = np.empty(n, np.int64), np.empty(n, np.float32)
            enough = True
            for low in range(start, stop, n):
                high = min(low + n, stop)
                queries, part = task.queries[low:high], answers.part(low, high)
                find_likely(
                    self._metric, queries, 0, high - low, slots, signs, size, likely, many, cuts
                )
                enough &= self._scan(task, queries, 0, high - low, likely, many, cuts, part)
            return enough

        return work

    def _scan(
        self,
        task: Task,
        queries: NDArray[np.float32],
        start: int,
        stop: int,
        some: NDArray[np.int32],
        many: NDArray[np.int64],
        cuts: NDArray[np.float32],
        answers: Answers,
    ) -> bool:
        """Answer from slots for each query, or from one list for all."""
        graph, k = task.view.graph, task.k
        fine = graph.state.item(COARSE) == 0
        width = min(max(task.ef, 2 * k + _SPARE), max(some.shape[1], 1))
        scratch = self._pool.take(len(graph.blocks)).fit(task.ef, k, 0)
        enough: bool = scan_codes(
            self._metric, fine, queries, start, stop, k, width, some, many, cuts, False, _NO_MASK,
            graph.blocks, graph.residuals, scratch.best, *answers, task.need,
        )  # fmt: skip
        self._pool.give(scratch)
        return enough
