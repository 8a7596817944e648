"""A fitted fusion among a collection's notes, where the next opening finds it."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from llamaindex_vecx.fusion.fitted import FittedFusion

__all__ = ["Notes", "forget_fusion", "load_fusion", "save_fusion"]


@runtime_checkable
class Notes(Protocol):
    """Something that keeps small JSON facts, as a :class:`~llamaindex_vecx.collection.Collection` does."""

    def note(self, key: str) -> Any:
        """What was stored, or None."""

    def set_note(self, key: str, value: Any) -> None:
        """Store it."""


def _key(group_by: str | None) -> str:
    return "fusion" if group_by is None else f"fusion:{group_by}"


def load_fusion(notes: Notes, group_by: str | None = None) -> FittedFusion | None:
    """The fusion that was saved for nodes, or for groups of this key; None where there is none.

    Raises
    ------
    FormatError
        It was written by a newer version.
    """
    body = notes.note(_key(group_by))
    return None if body is None else FittedFusion.from_dict(body)


def save_fusion(notes: Notes, fitted: FittedFusion, group_by: str | None = None) -> None:
    """Keep a fusion for nodes, or for groups of this key; it replaces the one before.

    Raises
    ------
    ReadOnlyError, DiskFullError
    """
    notes.set_note(_key(group_by), fitted.to_dict())


def forget_fusion(notes: Notes, group_by: str | None = None) -> None:
    """Go back to plain RRF."""
    notes.set_note(_key(group_by), None)
