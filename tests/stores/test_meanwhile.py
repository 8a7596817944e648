"""What another thread does between a search and the reading of what it found."""

from __future__ import annotations

import pytest

from llamaindex_vecx import HNSWVectorStore
from llamaindex_vecx.collection import Collection

from ..conformance.library import library, near, together, where


@pytest.mark.parametrize("times", [1, 2, 100])
def test_a_row_that_is_gone_when_it_is_read_is_left_out_with_its_score(monkeypatch, times):
    """Asked again, so that k nodes come; where rows keep going, fewer come, each with its own score."""
    store = HNSWVectorStore()
    store.add(library())
    expected = store.query(near(3, top_k=3))
    read = Collection.records
    calls = []

    def gone(self, rows, **options):
        calls.append(rows)
        records = read(self, rows, **options)
        return [None, *records[1:]] if len(calls) <= times else records

    monkeypatch.setattr(Collection, "records", gone)
    result = store.query(near(3, top_k=3))
    kept = slice(1, None) if times == 100 else slice(None)
    assert result.ids == expected.ids[kept]
    assert result.similarities == expected.similarities[kept]
    assert [node.node_id for node in result.nodes] == result.ids


def test_a_row_that_is_replaced_between_the_filter_and_the_search_is_found(monkeypatch):
    store = HNSWVectorStore()
    store.add(library())
    select, replaced = Collection.select, []

    def then_replace(self, **conditions):
        selected = select(self, **conditions)
        if not replaced:
            replaced.append(store.add(library()))
        return selected

    korean = together("and", where("lang", "==", "ko"))
    monkeypatch.setattr(Collection, "select", then_replace)
    assert sorted(store.query(near(3, filters=korean)).ids) == ["b3", "b4"]
