"""What a bulk add leaves behind in the heap goes back while it is taken over."""

from __future__ import annotations

from llamaindex_vecx.collection import Collection, upkeep

from .making import record


def test_a_bulk_add_gives_memory_back_and_a_small_one_does_not(monkeypatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(upkeep, "give_back", lambda: calls.append(1))
    with Collection.open(None) as collection:
        collection.add([record(i) for i in range(upkeep._BULK - 1)])
        collection.wait()
        assert not calls
        collection.add([record(upkeep._BULK)])
        collection.wait()
        assert len(calls) == 1
        collection.add([record(i) for i in range(100)])
        collection.wait()
        assert len(calls) == 1
