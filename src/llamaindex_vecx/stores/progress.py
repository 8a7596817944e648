"""Progress bars on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress

__all__ = ["training_bar"]

_WORDS = {"train": "training", "add": "adding"}


@contextmanager
def training_bar(shown: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A callable ``progress(step, done, total)`` that moves a bar for each step, where ``shown``.

    FAISS says nothing while it trains, so that bar only pulses.
    """
    with Progress(disable=not shown, transient=False) as bars:
        tasks = {}

        def progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(f"{_WORDS[step]} on {total:,}", total=None)
            bars.update(tasks[step], completed=done, total=total if done or step == "add" else None)

        yield progress
