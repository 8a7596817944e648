"""An engine of ``ann.py`` in a process of its own.

So what is resident there is the index alone, and what is compiled there is for the CPU of its environment.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Apart"]

_PERIOD = 0.001  # seconds between two looks at what is resident


class Apart:
    """An engine that is built, asked and measured in a process of its own.

    Parameters
    ----------
    kind : type
        Of :mod:`ann_engines`.
    environment : mapping
        Of the process, beside this one's.

    Attributes
    ----------
    spent : float
        CPU seconds of the build.
    peak : int
        Bytes resident at most during the build, beyond those before it.
    """

    def __init__(
        self,
        kind: type[Any],
        base: np.ndarray,
        queries: np.ndarray,
        metric: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name: str = kind.name
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        with tempfile.TemporaryDirectory() as folder, _environment(environment or {}):
            np.save(Path(folder) / "base.npy", base)
            np.save(Path(folder) / "queries.npy", queries)
            self._before = self._call(_load, kind, folder, metric)
        self.spent: float
        self.spent, most = self._call(_build)
        self.peak: int = most - sum(self._before.values())

    def _call(self, function: Any, *arguments: Any) -> Any:
        return self._pool.submit(function, *arguments).result()

    def search(self, ef: int, some: slice) -> tuple[float, np.ndarray]:
        """CPU seconds of one call for some of the queries, and its answer."""
        found: tuple[float, np.ndarray] = self._call(_search, ef, some)
        return found

    def one_by_one(self, ef: int, some: slice) -> float:
        """CPU seconds of a call for each of some queries."""
        return float(self._call(_one_by_one, ef, some))

    def resident(self) -> dict[str, int]:
        """Bytes since before the build: anonymous, and of files."""
        now = self._call(_resident)
        return {name: now[name] - self._before[name] for name in now}

    def most_of_files(self, ef: int) -> int:
        """Bytes of files that are resident at most during a call for all queries."""
        return int(self._call(_most_of_files, ef)) - self._before["file"]

    def occurrences(self, *words: str) -> list[int] | None:
        """How often words stand in the machine code of a search, of an engine that can show it."""
        found: list[int] | None = self._call(_occurrences, words)
        return found

    def close(self) -> None:
        self._pool.shutdown()


_kept: dict[str, Any] = {}
"""What the process has: its engine and the data."""


def _load(kind: type[Any], folder: str, metric: str) -> dict[str, int]:
    _kept["base"] = np.load(Path(folder) / "base.npy")
    _kept["queries"] = np.load(Path(folder) / "queries.npy")
    _kept["metric"] = metric
    warm, _kept["engine"] = kind(), kind()
    warm.build(_kept["base"][:500], metric)  # what compiling and loading takes is paid once
    for ef in (2, 20):
        warm.search(_kept["queries"][:2], ef)
    return _resident()


@contextlib.contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """Variables that a process started meanwhile has from its first import on."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _build() -> tuple[float, int]:
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # forget the most there ever was
    start = time.process_time()
    _kept["engine"].build(_kept["base"], _kept["metric"])
    return time.process_time() - start, _status()["VmHWM"]


def _search(ef: int, some: slice) -> tuple[float, np.ndarray]:
    start = time.thread_time()
    found = _kept["engine"].search(_kept["queries"][some], ef)
    return time.thread_time() - start, found


def _one_by_one(ef: int, some: slice) -> float:
    start = time.thread_time()
    for query in _kept["queries"][some]:
        _kept["engine"].search(query[None], ef)
    return time.thread_time() - start


def _occurrences(words: tuple[str, ...]) -> list[int] | None:
    if not hasattr(_kept["engine"], "machine_code"):
        return None
    code = _kept["engine"].machine_code()
    return [code.count(word) for word in words]


def _most_of_files(ef: int) -> int:
    seen = [_resident()["file"]]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(_PERIOD):
            seen.append(_resident()["file"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(5):
        _kept["engine"].search(_kept["queries"], ef)
    stop.set()
    watcher.join()
    return max(seen)


def _resident() -> dict[str, int]:
    now = _status()
    return {"anonymous": now["RssAnon"], "file": now["RssFile"] + now["RssShmem"]}


def _status() -> dict[str, int]:
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    sizes = (line.partition(":") for line in lines if line.endswith(" kB"))
    return {name: 1024 * int(rest.split()[0]) for name, _, rest in sizes}
