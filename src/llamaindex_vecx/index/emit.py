"""Words of LLVM IR that intrinsics are written in for numba: memory at addresses, and whole vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

__all__ = ["at", "broadcast", "load", "shuffle", "splat"]

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def at(builder: Any, base: Any, offset: Any, kind: ir.Type) -> Any:
    """A pointer to what lies ``offset`` bytes, an int or an int64, behind an address."""
    if isinstance(offset, int):
        offset = ir.Constant(_I64, offset)
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def load(builder: Any, base: Any, offset: Any, kind: ir.Type, align: int) -> Any:
    """What lies there."""
    return builder.load(at(builder, base, offset, kind), typ=kind, align=align)


def splat(kind: ir.VectorType, value: int) -> ir.Constant:
    """A constant vector of one number."""
    return ir.Constant(kind, [value] * kind.count)


def broadcast(builder: Any, value: Any, count: int) -> Any:
    """A vector of one value."""
    one = ir.Constant(ir.VectorType(value.type, count), ir.Undefined)
    one = builder.insert_element(one, value, ir.Constant(_I32, 0))
    return shuffle(builder, one, one, [0] * count)


def shuffle(builder: Any, first: Any, second: Any, lanes: Sequence[int]) -> Any:
    """Lanes of two vectors, the second's counted on from the first's."""
    places = ir.Constant(ir.VectorType(_I32, len(lanes)), list(lanes))
    return builder.shuffle_vector(first, second, places)
