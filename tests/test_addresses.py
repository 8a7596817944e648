"""Arrays and addresses inside kernels, against numpy's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError
from numpy.typing import NDArray

from llamaindex_vecx.addresses import address, array_at, bits_of_float32, float32_of_bits, seen_as
from llamaindex_vecx.jit import kernel


@kernel
def _sum_at(where: int, count: int) -> float:
    return array_at(where, count, np.float32).sum()


@kernel
def _write_at(where: int, rows: int, columns: int) -> None:
    table = array_at(where, (rows, columns), np.int64)
    for i in range(rows):
        for j in range(columns):
            table[i, j] = 100 * i + j


@kernel
def _last_word(blocks: NDArray[np.uint8], row: int) -> int:
    words = seen_as(blocks, np.int32)
    return words[row, words.shape[1] - 1]


@kernel
def _narrow(words: NDArray[np.int64]) -> int:
    return seen_as(words, np.uint8).shape[0]


@kernel
def _there_and_back(value: float) -> tuple[int, float]:
    bits = bits_of_float32(np.float32(value))
    return bits, float32_of_bits(bits)


@kernel
def _address(array: NDArray[np.float32]) -> int:
    return address(array)


def test_an_array_read_and_written_by_its_address() -> None:
    numbers = np.arange(7, dtype=np.float32)
    assert _address(numbers) == numbers.ctypes.data
    assert _sum_at(numbers.ctypes.data, 7) == 21.0
    table = np.zeros((3, 5), np.int64)
    _write_at(table.ctypes.data, 3, 5)
    assert (table == 100 * np.arange(3)[:, None] + np.arange(5)).all()


def test_bytes_seen_as_other_numbers() -> None:
    blocks = np.arange(2 * 64, dtype=np.uint8).reshape(2, 64)
    assert _last_word(blocks, 1) == blocks.view(np.int32)[1, -1]
    assert _narrow(np.zeros(4, np.int64)) == 32


def test_an_array_with_gaps_is_refused() -> None:
    with pytest.raises(TypingError, match="seen_as needs a C-contiguous array"):
        _last_word(np.zeros((4, 64), np.uint8)[:, ::2], 0)


@given(st.floats(width=32))
def test_bits_of_a_float32(value: float) -> None:
    bits, again = _there_and_back(value)
    assert bits == np.float32(value).view(np.int32)
    assert np.float32(again).tobytes() == np.float32(value).tobytes()
