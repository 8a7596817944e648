"""From the caller's rows to slots: one int32 table over all rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowTable"]


class RowTable:
    """Where each row lies.

    A table over rows instead of a dict: rows are dense by contract, a look-up of many is one numpy
    call, and pages that no row falls on are never touched. Readers take :attr:`table` once.
    """

    def __init__(self) -> None:
        self.table: NDArray[np.int32] = np.zeros(0, np.int32)  # slot + 1, 0 where there is none

    def find(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """Slots of rows, -1 where a row isn't there."""
        table = self.table
        if len(rows) == 0 or rows.max() < len(table):
            return table[rows] - np.int32(1)
        slots = np.full(len(rows), -1, np.int32)
        inside = rows < len(table)
        slots[inside] = table[rows[inside]] - np.int32(1)
        return slots

    def assign(self, rows: NDArray[np.int64], first_slot: int) -> None:
        """Give rows the slots from ``first_slot`` on."""
        self.place(rows, np.arange(first_slot, first_slot + len(rows)))

    def place(self, rows: NDArray[np.int64], slots: NDArray[np.int64]) -> None:
        """Give rows these slots."""
        if len(rows) == 0:
            return
        need = int(rows.max()) + 1
        if need > len(self.table):
            table = np.zeros(max(need, 2 * len(self.table)), np.int32)
            table[: len(self.table)] = self.table
            self.table = table
        self.table[rows] = slots + 1

    def clear(self, rows: NDArray[np.int64]) -> None:
        """Forget rows that are there."""
        self.table[rows] = 0
