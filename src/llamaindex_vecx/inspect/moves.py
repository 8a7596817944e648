"""What a stage moved: the same passages in two lists."""

from __future__ import annotations

from dataclasses import dataclass

from llamaindex_vecx.inspect.stages import Run, Stage

__all__ = ["Move", "moves_between", "paths"]


@dataclass(frozen=True)
class Move:
    """A passage's rank before and after; None where a list does not have it."""

    id: str
    before: int | None
    after: int | None

    @property
    def up(self) -> int | None:
        """By how many places it rose, negative where it fell; None if it came or went."""
        if self.before is None or self.after is None:
            return None
        return self.before - self.after


def moves_between(before: Stage, after: Stage) -> list[Move]:
    """Every passage that either shows: those of ``after`` in its order, then those that it dropped."""
    old = {hit.id: hit.rank for hit in before.hits}
    new = {hit.id: hit.rank for hit in after.hits}
    shown = dict.fromkeys(hit.id for stage in (after, before) for hit in stage.shown)
    return [Move(id_, old.get(id_), new.get(id_)) for id_ in shown]


def paths(run: Run) -> dict[str, list[tuple[int, int]]]:
    """For each passage the lists that show it, left to right: number of the list, and rank there."""
    found: dict[str, list[tuple[int, int]]] = {}
    for column, stage in enumerate(run.stages):
        for hit in stage.shown:
            found.setdefault(hit.id, []).append((column, hit.rank))
    return found
