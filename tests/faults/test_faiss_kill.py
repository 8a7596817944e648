"""A writer killed while its FAISS index trains or is rebuilt: nothing is lost, and it trains again."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from llamaindex_vecx.collection import Collection
from tests.faults.child import Model, perform
from tests.faults.test_kill import after, check

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")

KILLS = 8
SETTINGS = {
    "training": {"factory": "IVF8,Flat", "train_at": 300},
    "rebuild": {"factory": "HNSW16"},
}


def run(path: Path, seed: int, params: dict[str, object], pipe: Connection) -> None:
    """Add and delete until the end comes; say what begins, what is acknowledged, and when it builds."""
    from llamaindex_vecx.index.faiss import index

    build = index.build

    def told(*arguments: object) -> object:
        pipe.send("building")
        time.sleep(
            0.03
        )  # so that the end comes before, in the midst and after, and commits meanwhile
        built = build(*arguments)
        pipe.send("built")
        return built

    index.build = told
    rng = random.Random(seed)
    collection = Collection.open(path, index="faiss", index_params=params)
    while True:
        numbers = rng.sample(range(900), 120)
        for change in (
            ("add", (numbers, rng.randrange(1, 10**6))),
            ("delete", {f"id{i}" for i in rng.sample(range(900), 60)}),
        ):
            pipe.send(change)
            perform(change, collection)
            pipe.send("done")


@pytest.mark.parametrize("what", SETTINGS)
def test_a_writer_killed_while_it_builds_loses_nothing(what, tmp_path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.child"])
    path, rng, model = tmp_path / "kb", random.Random(3), Model()
    in_the_midst = 0
    for kill in range(KILLS):
        if what == "training":  # what has been trained is not trained again
            path, model = tmp_path / f"kb{kill}", Model()
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=run, args=(path, kill, SETTINGS[what], sender), daemon=True
        )
        process.start()
        sender.close()
        said: list[object] = []
        while not said or said[-1] != "building":
            assert receiver.poll(60), "it never builds"
            said.append(receiver.recv())
        time.sleep(rng.uniform(0, 0.06))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        while True:
            try:
                said.append(receiver.recv())
            except EOFError:
                break
        in_the_midst += said.count("building") > said.count("built")
        states, name = after([word for word in said if word not in ("building", "built")], model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model = check(path, states, rng)
            except (Exception, pytest.fail.Exception) as error:
                raise AssertionError(f"kill {kill}, during {name}") from error
    assert in_the_midst >= KILLS // 4
    with Collection.open(path) as collection:
        perform(("add", (range(400), 7)), collection)
        collection.wait()
        index = collection._engine().views.graph._index
        assert index.trained
        assert not index.due
        assert len(index._core) == len(index) == len(collection)
