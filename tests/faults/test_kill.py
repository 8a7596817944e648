"""A writer killed by SIGKILL: everything acknowledged is there whole, and nothing is half there."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from llama_index.core.vector_stores.types import FilterOperator

from llamaindex_vecx.collection import Collection, Record
from tests.collection.making import all_ids, ids, one
from tests.faults.child import Change, Model, apply, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")

KILLS = 24  # in each of two tests
MANY = 250
SEED = "VECX_SEED"  # to meet the changes of a slow run again; the moments of its kills are no one's to set


@pytest.fixture(scope="module")
def server():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.child"])
    return context


def killed(server, path: Path, seed: int, upkeep: bool) -> list[Change | str]:
    """Run a child, kill it at a random moment, return what it said."""
    receiver, sender = server.Pipe(duplex=False)
    process = server.Process(target=run, args=(path, seed, upkeep, sender), daemon=True)
    process.start()
    sender.close()
    said: list[Change | str] = []
    if seed % 4:  # else it may be hit while it opens
        said += [receiver.recv(), receiver.recv()]
        time.sleep(random.Random(seed).uniform(0, 0.5))
    else:
        time.sleep(random.Random(seed).uniform(0, 0.05))
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while True:
        try:
            said.append(receiver.recv())
        except EOFError:
            return said


def after(said: list[Change | str], model: Model) -> tuple[list[Model], str]:
    """The states that may be found, and the name of what was under way.

    They hold all acknowledged changes, and perhaps the one under way.
    """
    under_way = None
    for word in said:
        if word == "done":
            model, under_way = apply(under_way, model), None
        else:
            under_way = word
    if under_way is None:
        return [model], "nothing"
    name, value = under_way
    if name == "add" and any(f"id{i}" in model for i in value[0]):
        name = "upsert"
    return [model, apply(under_way, model)], name


def check(path: Path, allowed: list[Model], rng: random.Random) -> Model:
    with Collection.open(path) as collection:
        found = {
            item.id: item
            for item in collection.records(sorted(collection.all_rows()), vectors=True)
            if item is not None
        }
        (model,) = [m for m in allowed if same(found, m)][:1] or pytest.fail(
            f"{len(found)} records match none of {[len(m) for m in allowed]}"
        )
        assert len(collection) == len(model)
        for id_ in rng.sample(sorted(model), min(5, len(model))):
            expected = model[id_]
            rows, _ = collection.search(expected.vector, 1)
            assert ids(collection, rows) == [id_]
            rows, _ = collection.search_text(expected.text, 5)
            assert id_ in ids(collection, rows)
            version = expected.metadata["version"]
            selected = collection.select(filters=one("version", FilterOperator.EQ, version))
            assert set(ids(collection, selected)) == {
                other for other, item in model.items() if item.metadata["version"] == version
            }
        if model:
            query = next(iter(model.values())).vector
            rows, _ = collection.search(query, len(model) + 10)
            assert set(ids(collection, rows)) == set(model) == all_ids(collection)
        return model


def same(found: Model, model: Model) -> bool:
    return found.keys() == model.keys() and all(whole(found[id_], model[id_]) for id_ in model)


def whole(found: Record, expected: Record) -> bool:
    return np.array_equal(found.vector, expected.vector) and (
        (found.text, found.metadata, found.content, found.ref_doc_id)
        == (expected.text, expected.metadata, expected.content, expected.ref_doc_id)
    )


def kill_many(server, path: Path, seed: int, upkeep: bool, kills: int) -> Counter[str]:
    """Kill writer after writer and look what each has left. Returns what was under way how often."""
    rng = random.Random(seed)
    model: Model = {}
    under_way: Counter[str] = Counter()
    for kill in range(kills):
        said = killed(server, path, rng.randrange(10**9), upkeep)
        under_way["acknowledged"] += said.count("done")
        states, name = after(said, model)
        under_way[name] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a view that was being written is rebuilt
            try:
                model = check(path, states, rng)
            except (Exception, pytest.fail.Exception) as error:
                raise AssertionError(
                    f"{SEED}={seed}, kill {kill}, during {name}: {str(said[-4:])[:1000]}"
                ) from error
    return under_way


@pytest.mark.parametrize("upkeep", [False, True], ids=["writing", "upkeep"])
def test_a_killed_writer_loses_nothing_it_acknowledged(server, tmp_path, upkeep) -> None:
    under_way = kill_many(server, tmp_path / "kb", 1 if upkeep else 2, upkeep, KILLS)
    assert under_way["acknowledged"] > KILLS
    assert under_way["nothing"] < KILLS // 2


@pytest.mark.slow
@pytest.mark.parametrize("upkeep", [False, True], ids=["writing", "upkeep"])
def test_hundreds_of_killed_writers_lose_nothing(server, tmp_path, upkeep, capsys) -> None:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**9))
    under_way = kill_many(server, tmp_path / "kb", seed, upkeep, MANY)
    with capsys.disabled():
        print(f"\n{MANY} kills with {SEED}={seed}: {dict(under_way.most_common())}")
    kinds = ["open", "upsert", "delete", "flush", "compact", "close"]
    if not upkeep:
        kinds = ["open", "add", "upsert", "delete", "flush", "close", "clear"]
    assert [kind for kind in kinds if not under_way[kind]] == []
