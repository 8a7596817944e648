"""One store in one process: does what it reads from its input as lines of JSON, answers on its output.

``python -m store_workers.worker STORE FOLDER DATA SIZE``
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from .corpus import FILTERS, Corpus, batches, read_corpus


def opener(name: str) -> Any:
    """What opens the store at a folder; imports all that it needs."""
    if name == "zvec":
        from .zvec import ZvecStore

        return ZvecStore
    from . import llama

    return getattr(llama, name)


class Worker:
    """The store, its corpus, and one method a command."""

    def __init__(self, name: str, folder: Path, corpus: Corpus) -> None:
        self._open = opener(name)
        self._folder = folder
        self._corpus = corpus
        self._store: Any = None

    def _warm_up(self) -> None:
        """Let everything be imported and compiled: the first use ever is not what is measured."""
        aside = self._folder / "aside"
        aside.mkdir(parents=True)
        store = self._open(aside)
        store.add(store.prepare(self._corpus, range(500)))
        store.settle()
        for kind in ("plain", "50 %"):
            self._store = store
            self.ask(kind, 0, 3, 0.0)
        store.close()
        store = self._open(aside)
        store.find(store.question(self._corpus.queries[0], None))
        store.close()
        shutil.rmtree(aside, ignore_errors=True)

    def _filters(self) -> bool:
        return self._open.__name__ != "faiss"

    def add(self) -> dict[str, Any]:
        """Add everything in batches; then whatever it takes to be on disk and at full speed."""
        self._warm_up()
        self._store = self._open(self._folder)
        seconds = 0.0
        for rows in batches(len(self._corpus)):
            prepared = self._store.prepare(self._corpus, rows)
            start = time.perf_counter()
            self._store.add(prepared)
            seconds += time.perf_counter() - start
            del prepared  # an app lets go of its nodes too: two batches at once are not the store's
        start = time.perf_counter()
        self._store.settle()
        return {"seconds": seconds, "settle": time.perf_counter() - start}

    def open(self) -> dict[str, Any]:
        """Open what is there and ask once; nothing but the imports came before."""
        vector = self._corpus.queries[0]
        start = time.perf_counter()
        self._store = self._open(self._folder)
        self._store.find(self._store.question(vector, None))
        return {"seconds": time.perf_counter() - start}

    def ask(self, kind: str, first: int, count: int, budget: float) -> dict[str, Any]:
        """Up to ``count`` questions from query ``first``; three at least, then while time is left."""
        if FILTERS[kind] is not None and not self._filters():
            return {"ms": [], "ids": []}
        store = self._store
        questions = [
            store.question(self._corpus.queries[first + place], FILTERS[kind])
            for place in range(count)
        ]
        took, ids = [], []
        until = time.perf_counter() + budget
        for question in questions:
            start = time.perf_counter()
            answer = store.find(question)
            took.append((time.perf_counter() - start) * 1000)
            ids.append(store.ids(answer))
            if len(took) >= 3 and time.perf_counter() > until:
                break
        return {"ms": took, "ids": ids}

    def close(self) -> dict[str, Any]:
        """Close the store and say how much memory the process took at most."""
        start = time.perf_counter()
        self._store.close()
        return {"seconds": time.perf_counter() - start, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    # Not getrusage: its figure starts with that of the process which forked this one.
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM")


def main() -> None:
    name, folder, data, size = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    worker = Worker(name, Path(folder), read_corpus(Path(data), int(size)))
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("do"))(**command)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
