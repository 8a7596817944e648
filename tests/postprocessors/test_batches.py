"""Batches by length, and the cache: no model needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.postprocessors import ScoreCache
from llamaindex_vecx.postprocessors.batches import padded, plan_batches


@given(
    lengths=st.lists(st.integers(1, 600), max_size=60),
    budget=st.integers(1, 3000),
    multiple=st.sampled_from([1, 8, 16]),
)
def test_every_place_once_within_the_budget(lengths, budget, multiple):
    batches = plan_batches(lengths, budget, multiple)
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(padded(lengths[place], multiple) for place in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
    flat = [lengths[place] for batch in batches for place in batch]
    assert flat == sorted(flat, reverse=True)


def test_batches_are_as_full_as_the_budget_allows():
    assert plan_batches([10, 30, 20, 30], 60) == [[1, 3], [2, 0]]
    assert plan_batches([100], 60) == [[0]]
    assert plan_batches([], 60) == []


def test_a_cache_forgets_what_was_not_used():
    cache = ScoreCache(max_entries=2)
    cache.put("m", "q", ["a", "b"], [1.0, 2.0])
    assert cache.get("m", "q", ["a"]) == [1.0]
    cache.put("m", "q", ["c"], [3.0])
    assert cache.get("m", "q", ["a", "b", "c"]) == [1.0, None, 3.0]
    assert cache.get("other", "q", ["a"]) == [None]
    assert cache.get("m", "qa", [""]) == [None]
    assert len(cache) == 2
    cache.clear()
    assert cache.get("m", "q", ["a"]) == [None]
    with pytest.raises(InvalidInputError, match="max_entries=0"):
        ScoreCache(0)
