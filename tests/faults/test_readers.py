"""Eight readers beside a writer under load, for minutes: nothing missed, no error, bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from collections import Counter

import pytest

from llamaindex_vecx.collection import Collection
from tests.faults.looking import BATCHES, KINDS, SIZE, Board, Query, batch, look, there
from tests.faults.test_processes import in_a_fork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork"),
]

READERS = 8
SECONDS = float(os.environ.get("VECX_SECONDS") or 120)
DUE = {"flush": 3.1, "compact": 5.3, "fork": 9.7, "clear": 23.9}  # seconds apart
GROWTH = 16  # MiB for a reader after a third of the time; what comes then, all kept, would be 20


class Load:
    """The writer, which says on the board what it begins and what it has done."""

    def __init__(self, collection: Collection, board: Board, rng: random.Random) -> None:
        self.collection = collection
        self.board = board
        self.rng = rng
        self.done: Counter[str] = Counter()

    def change(self, number: int, name: str = "") -> None:
        step = self.board.acknowledged[number]
        if not there(step):
            name, step = "add", step + 3
        elif name == "delete":
            step += 1
        elif self.rng.random() < 0.7:
            name, step = "upsert", step + 2
        else:
            name, step = "delete", step + 1
        records = batch(number, step)
        self.board.begun[number] = step
        if name == "delete":
            self.collection.delete(self.collection.select(ids=[item.id for item in records]))
        else:
            self.collection.add(records)
        self.board.acknowledged[number] = step
        self.board.last.value = number
        self.done[name] += 1

    def clear(self) -> None:
        alive = [b for b in range(BATCHES) if there(self.board.acknowledged[b])]
        for number in alive:
            self.board.begun[number] += 1
        self.collection.clear()
        for number in alive:
            self.board.acknowledged[number] += 1
        self.done["clear"] += 1

    def flush(self) -> None:
        self.collection.flush()
        self.done["flush"] += 1

    def compact(self) -> None:
        """Right after a removal, so that there is something fresh to forget."""
        self.change(self.rng.randrange(BATCHES), "delete")
        self.collection.wait()
        self.collection.compact()
        self.done["compact"] += 1

    def fork(self) -> None:
        """A child may not write; what is there it may read."""
        assert in_a_fork(lambda: self.collection.add(batch(0, 1))).startswith("LockedError")
        number = next(b for b in range(BATCHES) if there(self.board.acknowledged[b]))

        def read() -> str:
            with Collection.open(self.collection.path, read_only=True) as reader:
                for kind in KINDS:
                    getattr(Query(reader, self.board, number), kind)(number * SIZE)
            return "read"

        assert in_a_fork(read) == "read"
        self.done["fork"] += 1


def test_readers_beside_a_writer_miss_nothing(tmp_path, capsys) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.child", "tests.faults.looking"])
    path = tmp_path / "kb"
    board = Board(context)
    readers = []
    with Collection.open(path) as collection:
        load = Load(collection, board, random.Random(3))
        for number in range(BATCHES):
            load.change(number)
        for seed in range(READERS):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=look, args=(path, board, seed, theirs), daemon=True)
            process.start()
            theirs.close()
            readers.append((process, ours))
        for _, pipe in readers:
            assert pipe.recv() == "ready"
        end = time.monotonic() + SECONDS
        due = {name: time.monotonic() + pause for name, pause in DUE.items()}
        try:
            while time.monotonic() < end and not board.ended.value:
                load.change(load.rng.randrange(BATCHES))
                for name, at in due.items():
                    if time.monotonic() > at:
                        due[name] = time.monotonic() + DUE[name]
                        getattr(load, name)()
                time.sleep(load.rng.uniform(0, 0.06))
        finally:
            board.ended.value = 1
        reports = [pipe.recv() for _, pipe in readers if pipe.poll(60)]
    with capsys.disabled():
        print(f"\nwriter: {dict(load.done)}")
        for asked, memory, failure in reports:
            third = len(memory) // 3
            print(
                f"{sum(asked.values())} queries {dict(asked)}; "
                f"MiB {memory[0]:.0f}, {memory[third]:.0f}, at most {max(memory):.0f}{failure}"
            )
    assert len(reports) == READERS
    assert all(load.done[name] for name in DUE if DUE[name] < SECONDS / 2)
    assert [failure for _, _, failure in reports if failure] == []
    for asked, memory, _ in reports:
        assert all(asked[kind] for kind in KINDS)
        assert max(memory) < memory[len(memory) // 3] + GROWTH
    for process, _ in readers:
        process.join(30)
        assert process.exitcode == 0
