"""The process that is killed. Preloaded by a fork server, so that a child starts in milliseconds."""

from __future__ import annotations

import random
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from llamaindex_vecx.collection import Collection, Record
from tests.collection.making import record, vector

Model = dict[str, Record]
Change = tuple[str, Any]

with Collection.open(None) as _warm:  # the kernels are loaded here once, not in every child
    _warm.add([record(_i) for _i in range(300)])
    _warm.wait()
    _warm.search(vector(1), 3)
    _warm.search_text("cat", 3)


def apply(change: Change, model: Model) -> Model:
    """What a change does to a dict."""
    name, value = change
    if name == "add":
        numbers, version = value
        return model | {f"id{i}": record(i, version=version) for i in numbers}
    if name == "delete":
        return {id_: item for id_, item in model.items() if id_ not in value}
    if name == "clear":
        return {}
    return model


def changes(rng: random.Random, upkeep: bool) -> Change:
    """The next thing to do."""
    if upkeep:
        names = ["upsert", "delete", "flush", "compact", "close", "flush", "compact", "close"]
    else:
        names = ["upsert"] * 8 + ["add"] * 4 + ["delete"] * 4 + ["flush", "close", "wait", "clear"]
    name = rng.choice(names)
    if name in ("add", "upsert"):
        size = rng.choice([1, 5, 50, 400])
        start = rng.randrange(1000) if name == "upsert" else rng.randrange(2000, 10**6)
        return "add", (range(start, start + size), rng.randrange(1, 10**6))
    if name == "delete":
        return "delete", {f"id{i}" for i in rng.sample(range(1400), rng.choice([1, 20, 300]))}
    return name, None


def perform(change: Change, collection: Collection) -> None:
    """Do it."""
    name, value = change
    if name == "add":
        numbers, version = value
        collection.add([record(i, version=version) for i in numbers])
    elif name == "delete":
        selected = collection.select(ids=sorted(value))
        assert selected is not None
        collection.delete(selected)
    else:
        getattr(collection, name)()


def run(path: Path, seed: int, upkeep: bool, pipe: Connection) -> None:
    """Change the collection until the end comes; say what begins, and what has been acknowledged."""
    rng = random.Random(seed)
    while True:
        pipe.send(("open", None))
        collection = Collection.open(path)
        pipe.send("done")
        while not collection.closed:
            change = changes(rng, upkeep)
            pipe.send(change)
            perform(change, collection)
            pipe.send("done")
