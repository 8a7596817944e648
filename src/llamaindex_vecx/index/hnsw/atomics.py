"""Atomic operations on addresses, for threads that build one graph."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import extending, types

__all__ = ["fetch_add", "release", "try_acquire"]

intrinsic: Any = extending.intrinsic
_I32, _I64 = ir.IntType(32), ir.IntType(64)


@intrinsic
def try_acquire(typingctx: Any, where: Any) -> Any:
    """Set the int32 at an address from 0 to 1; says whether this call did."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], _I32.as_pointer())
        free, taken = ir.Constant(_I32, 0), ir.Constant(_I32, 1)
        result = builder.cmpxchg(pointer, free, taken, "acquire", "monotonic")
        return builder.extract_value(result, 1)

    return types.boolean(types.int64), codegen


@intrinsic
def release(typingctx: Any, where: Any) -> Any:
    """Set the int32 at an address back to 0, after everything before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], _I32.as_pointer())
        builder.store_atomic(ir.Constant(_I32, 0), pointer, "release", 4)
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def fetch_add(typingctx: Any, where: Any, amount: Any) -> Any:
    """Add to the int64 at an address; the value before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], _I64.as_pointer())
        return builder.atomic_rmw("add", pointer, args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen
