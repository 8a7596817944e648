"""What happens beside the user's calls: views that catch up, and their snapshots.

A view is written down

- by ``flush``, if anything has changed since its last snapshot;
- by ``close``, and at the end of the interpreter, if more than 256 changes or a tenth of the rows have:
  fewer are caught up with in less time than the snapshot takes;
- in the background, after 20,000 changes that are also a quarter of the rows.

A process that only reads takes the writer's newer snapshot of the graph where it would have to link 2,048
rows or more itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaindex_vecx.collection import rows as sql
from llamaindex_vecx.collection.snapshots import Snapshots, warn
from llamaindex_vecx.collection.state import read_state
from llamaindex_vecx.collection.views import SLICE, View
from llamaindex_vecx.collection.worker import Worker
from llamaindex_vecx.errors import StorageError
from llamaindex_vecx.index.memory import give_back

if TYPE_CHECKING:
    from llamaindex_vecx.collection.engine import Engine
    from llamaindex_vecx.collection.graph import GraphView

__all__ = ["Upkeep"]

_OFTEN, _SHARE = 20_000, 0.25
_LITTLE, _TENTH = 256, 0.1
_WORTH = 2048
_BULK = 4096  # changes taken over that leave holes in the heap worth closing


class Upkeep:
    """The background of one engine.

    Parameters
    ----------
    engine : Engine
    folder : Path or None
        Where snapshots lie; None in memory.
    """

    def __init__(self, engine: Engine, folder: Path | None) -> None:
        self._engine = engine
        self._database = engine.database
        self._snapshots = None if folder is None else Snapshots(folder)
        self._saved: dict[str, int] = {}
        with self._database.reading() as connection:
            self._saved = sql.get_meta(connection, "saved").get("saved", {})
        if self._snapshots is not None and self._writes:
            self._snapshots.tidy()
        self.saving: threading.RLock = (
            threading.RLock()
        )  # before the engine's lock; ``clear`` takes it too
        self._tried: dict[str, int] = {}
        self._failed: dict[str, Exception] = {}
        self._tidied = 0
        self.worker: Worker = Worker(self._step, f"upkeep of {self._database.where}")

    @property
    def _writes(self) -> bool:
        return self._snapshots is not None and self._database.mode == "write"

    def wake(self) -> None:
        """Let the background go on; say what has stopped it, if anything did."""
        error = self.worker.wake()
        if error is not None:
            warn(
                f"the background work of {self._database.where} failed and is tried again "
                f"({type(error).__name__}: {error}); answers are right meanwhile, but slower"
            )

    def wait(self) -> None:
        """Block until every view has reached the last commit."""
        engine = self._engine
        while True:
            engine.sync()
            seq, views = engine.state.seq, engine.views
            if not views.graph.behind and all(view.reached >= seq for view in views):
                return
            error = self.worker.wait()
            if error is not None:
                raise error
            self._database.check_open()

    def _step(self) -> bool:
        """A little for each view, so that none waits for another, nor for another's failure."""
        seq, views = self._engine.state.seq, self._engine.views
        jobs: tuple[tuple[str, Callable[[], bool | None]], ...] = (
            ("graph", lambda: views.graph.step(seq)),
            ("graph", lambda: self._overtake(views.graph)),
            ("graph", views.graph.build),
            ("graph", views.graph.improve),
            ("metadata", lambda: views.metadata.step(seq, SLICE)),
            ("text", lambda: views.text.step(seq, SLICE // 4)),
        )
        more = False
        for name, work in jobs:
            if name not in self._failed:
                try:
                    more = bool(work()) or more
                except Exception as error:
                    self._failed[name] = error
        if self._failed and not more:  # the others are through: end the round
            failure = next(iter(self._failed.values()))
            self._failed = {}
            raise failure
        if self._writes:
            due = [view for view in views if self._is_due(view)]
            self._tried.update({view.name: view.reached for view in due})
            self.save(due)
        if abs(views.graph.done - self._tidied) >= _BULK:
            self._tidied = views.graph.done
            give_back()
        return more

    def _is_due(self, view: View) -> bool:
        changes = view.reached - max(view.saved, self._tried.get(view.name, 0))
        return changes >= _OFTEN and changes >= _SHARE * self._engine.state.count

    def restore(self, view: View) -> None:
        """Load a view's snapshot if the database knows of one."""
        if self._snapshots is None:
            return
        with self._database.snapshot() as connection:
            state, history = read_state(connection)
            saved = sql.get_meta(connection, "saved").get("saved", {})
        if view.name in saved:
            self._snapshots.restore(view, state, history)

    def _overtake(self, graph: GraphView) -> None:
        """In a process that only reads: the writer's snapshot, where it spares building as much."""
        if self._writes or self._snapshots is None or graph.lag < _WORTH:
            return
        with self._database.snapshot() as connection:
            state, history = read_state(connection)
            saved = sql.get_meta(connection, "saved").get("saved", {}).get(graph.name, 0)
        if saved - max(graph.done, self._tried.get(graph.name, 0)) < _WORTH:
            return
        self._tried[graph.name] = saved
        found = self._snapshots.newer(graph, state, history)
        if found is not None:
            graph.overtake(*found)

    def save(self, views: Iterable[View] | None = None) -> None:
        """Write snapshots of those views that have changed since their last one."""
        if self._snapshots is None:
            return
        with self.saving:
            current = self._engine.views
            saved = {
                view.name: view.saved
                for view in (current if views is None else views)
                if view in current
                and not view.blank
                and view.reached != view.saved
                and self._snapshots.save(view, self._stamp)
            }
            if saved:
                self._saved = {**self._saved, **saved}
                try:
                    self._engine.set_meta(saved=self._saved)
                except StorageError as error:
                    warn(f"the snapshots of {self._database.where} could not be noted: {error}")

    def _stamp(self, seq: int, row: int) -> dict[str, Any]:
        with self._database.snapshot() as connection:
            _, history = read_state(connection)
        return history.stamp(seq, row)

    def forget(self, name: str) -> dict[str, int]:
        """One view's snapshot is void. Returns what is left, for the caller to store."""
        self._saved = {view: seq for view, seq in self._saved.items() if view != name}
        return self._saved

    def cleared(self) -> None:
        """The snapshots there were are void."""
        self._saved = {}
        if self._snapshots is not None:
            self._snapshots.drop()

    def compact(self) -> None:
        """Rebuild what holds removed rows, number the rows anew where that pays, shrink the file."""
        engine = self._engine
        engine.views.graph.compact()
        if engine.sparse:
            engine.renumber()
        seq, views = engine.state.seq, engine.views
        for view in views:
            view.follow(seq)
        self.save()
        engine.forget_tombstones(
            min(view.seen if self._snapshots is None else view.saved for view in views)
        )
        self._database.vacuum()
        if self._database.file is not None:
            self._database.checkpoint()

    def close(self) -> None:
        """Stop the thread and write what is worth it."""
        self.worker.stop()
        if not self._writes or not self._database.is_in_place():
            return
        count = self._engine.state.count
        worth = []
        for view in self._engine.views:
            changes = view.reached - view.saved
            if changes > _LITTLE or changes > _TENTH * count:
                worth.append(view)
        with contextlib.suppress(StorageError):
            self.save(worth)
