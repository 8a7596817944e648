"""Readers beside a writer: what it publishes, and how each of its readers holds it to that."""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import psutil
from pyroaring import BitMap

from llamaindex_vecx.collection import Collection, Record
from tests.collection.making import one, record, vector

T = TypeVar("T")
BATCHES = 150
SIZE = 20
DIM = 64
VERSION = 10_000  # 1000 × this × step + number: no two records ever have the same vector

Steps = set[int]


class Board:
    """What the writer has begun and what it has acknowledged, in shared memory.

    Each batch of records counts its steps: odd ones are there, with this step as the version, even ones
    are not. An upsert is two steps, a removal one, an addition three, so a difference says what it was.
    """

    def __init__(self, context: Any) -> None:
        self.begun = context.RawArray("q", BATCHES)
        self.acknowledged = context.RawArray("q", BATCHES)
        self.last = context.RawValue("q", 0)  # the batch that changed last
        self.ended = context.RawValue("q", 0)


def there(step: int) -> bool:
    return step % 2 == 1


def batch(number: int, step: int) -> list[Record]:
    return [
        record(i, version=VERSION * step, dim=DIM, batch=number)
        for i in range(number * SIZE, (number + 1) * SIZE)
    ]


def possible(before: int, after: int) -> Steps | None:
    """The steps that a query may have seen between the two; None where there were several changes."""
    if after - before <= (2 if there(before) else 3):
        return {before, after}
    return None


class Query:
    """Questions about one batch, which was at ``before`` when the first was asked."""

    def __init__(self, collection: Collection, board: Board, number: int) -> None:
        self.collection = collection
        self.board = board
        self.number = number
        self.before = board.acknowledged[number]

    def end(self) -> Steps | None:
        return possible(self.before, self.board.begun[self.number])

    def undisturbed(self, ask: Callable[[], T]) -> T:
        """As a store asks: again where commits came in between, since a compaction gives rows new numbers."""
        for _ in range(20):
            before = self.collection.seq
            answer = ask()
            if self.collection.reached == before:
                break
        return answer

    def select(self) -> BitMap:
        rows = self.collection.select(filters=one("batch", "==", self.number))
        assert rows is not None
        return rows

    def by_filter(self, i: int) -> None:
        def ask() -> tuple[BitMap, list[Record | None]]:
            rows = self.select()
            return rows, self.collection.records(rows)

        rows, found = self.undisturbed(ask)
        steps = self.end()
        alive = [item for item in found if item is not None]
        versions = {item.metadata["version"] // VERSION for item in alive}
        context = (self.number, self.before, steps, len(rows), versions)
        assert len(rows) in (0, SIZE), context
        assert len(alive) in (0, SIZE), context
        assert len(versions) <= 1, context
        if steps is not None:
            assert len(rows) in {SIZE * there(step) for step in steps}, context
            assert versions <= steps, context
        if steps == {self.before}:
            assert len(alive) == SIZE * there(self.before), context

    def by_vector(self, i: int) -> None:
        query = vector(1000 * VERSION * self.before + i, DIM)
        found = self.undisturbed(
            lambda: self.collection.records(self.collection.search(query, 3, ef_search=200)[0])
        )
        if self.end() == {self.before}:
            names = [item and (item.id, item.metadata["version"] // VERSION) for item in found]
            context = (self.number, self.before, names)
            if there(self.before):
                assert names[:1] == [(f"id{i}", self.before)], context
            else:
                assert f"id{i}" not in {name and name[0] for name in names}, context

    def by_text(self, i: int) -> None:
        found = self.undisturbed(
            lambda: self.collection.records(self.collection.search_text(f"number{i}", 3)[0])
        )
        names = [item and item.id for item in found]
        context = (self.number, self.before, names)
        assert set(names) <= {f"id{i}", None}, context
        if self.end() == {self.before}:
            assert names == [f"id{i}"] * there(self.before), context

    def by_both(self, i: int) -> None:
        found, _ = self.undisturbed(
            lambda: self.collection.search(vector(i, DIM), SIZE + 5, allowed=self.select())
        )
        if self.end() == {self.before}:
            assert len(found) == SIZE * there(self.before), (self.number, self.before, len(found))

    def by_count(self, i: int) -> None:
        assert len(self.collection) % SIZE == 0


KINDS = ("by_filter", "by_vector", "by_text", "by_both", "by_count")


def ask(collection: Collection, board: Board, rng: random.Random) -> str:
    """One query, half of the time about what was acknowledged last."""
    number = board.last.value if rng.random() < 0.5 else rng.randrange(BATCHES)
    kind = rng.choice(KINDS)
    i = number * SIZE + rng.randrange(SIZE)
    getattr(Query(collection, board, number), kind)(i)
    return kind


def look(path: Path, board: Board, seed: int, pipe: Connection) -> None:
    """Ask until the end; report the queries, the memory by seconds, and what went wrong."""
    rng = random.Random(seed)
    asked: Counter[str] = Counter()
    memory: list[float] = []
    process = psutil.Process()
    failure = ""
    pipe.send("ready")
    try:
        with Collection.open(path, read_only=True) as collection:
            began = time.monotonic()
            while not board.ended.value:
                asked[ask(collection, board, rng)] += 1
                if time.monotonic() - began > len(memory):
                    memory.append(process.memory_info().rss / 2**20)
                time.sleep(rng.uniform(0, 0.02))
    except BaseException:
        failure = "\n" + traceback.format_exc()
        board.ended.value = 1
    pipe.send((asked, memory, failure))
