import ctypes
import sys

import numpy as np
import pytest

from llamaindex_vecx.index import memory


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.skipif(memory._trim() is None, reason="the C library keeps what it keeps")
def test_giving_back_what_the_heap_holds_free():
    size = 4000  # below what is mapped on its own, above what Python keeps in its own pools
    pieces = [np.ones(size, np.uint8) for _ in range(20_000)]
    kept = pieces[::500]  # so that the heap can't shrink from its end
    before = resident()
    del pieces
    memory.give_back()
    assert resident() < before - 0.5 * 20_000 * size
    assert all(piece.sum() == size for piece in kept)


def test_where_the_c_library_can_not(monkeypatch):
    memory._trim.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    memory.give_back()
    memory._trim.cache_clear()
