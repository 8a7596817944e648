"""The few instructions that numba's Python can't say: LLVM IR behind ``@intrinsic``.

Addresses are int64, as :func:`address` gives them. ``dot_vnni`` needs AVX-512 VNNI; on a CPU without it
LLVM aborts the process, so it is never called there: :data:`dot` is chosen once, at import, and the
compile cache is keyed on the CPU's features. ``dot_portable`` is its twin in generic IR, which LLVM
lowers for any CPU. Both are integer arithmetic, so they agree to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, extending, types

from llamaindex_vecx.jit import cpu_has

__all__ = [
    "LANES",
    "address",
    "dot",
    "dot_portable",
    "dot_vnni",
    "fetch_add",
    "insert_key",
    "prefetch",
    "release",
    "try_acquire",
]

intrinsic: Any = extending.intrinsic

LANES = 8
"""int64 keys in one step of :func:`insert_key`: key buffers are padded to a multiple of it."""

_I1, _I8, _I32, _I64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
_CHUNK = ir.VectorType(_I8, 64)
_KEYS = ir.VectorType(_I64, LANES)


def _splat(element: ir.Type, count: int, value: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(element, count), [value] * count)


def _pointer(builder: Any, base: Any, offset: Any, kind: ir.Type) -> Any:
    return builder.inttoptr(builder.add(base, offset), kind.as_pointer())


def _load(builder: Any, base: Any, offset: Any, kind: ir.Type, align: int) -> Any:
    return builder.load(_pointer(builder, base, offset, kind), typ=kind, align=align)


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Address of the first byte of an array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, _I64)

    return types.int64(array), codegen


def _dot(builder: Any, args: Any, step: Callable[[Any, Any, Any], Any], lanes: int) -> Any:
    """Sum over ``chunks`` blocks of 64 bytes of ``step(accumulator, u8 block, s8 block)``."""
    codes, query, chunks = args
    kind = ir.VectorType(_I32, lanes)
    total = cgutils.alloca_once_value(builder, _splat(_I32, lanes, 0))
    with cgutils.for_range(builder, chunks) as loop:
        offset = builder.shl(loop.index, ir.Constant(_I64, 6))
        left = _load(builder, codes, offset, _CHUNK, 1)
        right = _load(builder, query, offset, _CHUNK, 1)
        builder.store(step(builder.load(total), left, right), total)
    reduce = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_I32, [kind]), f"llvm.vector.reduce.add.v{lanes}i32"
    )
    return builder.call(reduce, [builder.load(total)])


@intrinsic
def dot_vnni(typingctx: Any, codes: Any, query: Any, chunks: Any) -> Any:
    """Dot product of unsigned bytes at ``codes`` and signed bytes at ``query``, by AVX-512 VNNI.

    Parameters
    ----------
    codes, query : int64
        Addresses of ``64 * chunks`` bytes each.
    chunks : int64

    Returns
    -------
    int32
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.VectorType(_I32, 16)
        multiply = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [kind, kind, kind]),
            "llvm.x86.avx512.vpdpbusd.512",
        )

        def step(total: Any, left: Any, right: Any) -> Any:
            operands = [total, builder.bitcast(left, kind), builder.bitcast(right, kind)]
            return builder.call(multiply, operands)

        return _dot(builder, args, step, 16)

    return types.int32(types.int64, types.int64, types.int64), codegen


@intrinsic
def dot_portable(typingctx: Any, codes: Any, query: Any, chunks: Any) -> Any:
    """Like :func:`dot_vnni`, on any CPU."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.VectorType(_I32, 64)

        def step(total: Any, left: Any, right: Any) -> Any:
            product = builder.mul(builder.zext(left, wide), builder.sext(right, wide))
            return builder.add(total, product)

        return _dot(builder, args, step, 64)

    return types.int32(types.int64, types.int64, types.int64), codegen


dot = dot_vnni if cpu_has("avx512f", "avx512vnni") else dot_portable
"""The dot product of this CPU."""


@intrinsic
def insert_key(typingctx: Any, keys: Any, length: Any, key: Any) -> Any:
    """Insert ``key`` into the ascending buffer at ``keys``; its last key falls out.

    ``new[i] = max(old[i - 1], min(old[i], key))`` in steps of eight from the end, until a step begins
    at or below ``key``. No branch depends on where inside a step the key goes.

    Parameters
    ----------
    keys : int64
        Address of ``length`` int64 keys; the eight bytes before it hold the smallest int64.
    length : int64
        A multiple of :data:`LANES`.
    key : int64

    Returns
    -------
    int64
        The key's position.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base, length, key = args
        low, high = (
            cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(_KEYS, [_KEYS, _KEYS]), f"llvm.{name}.v{LANES}i64"
            )
            for name in ("smin", "smax")
        )
        splat = ir.Constant(_KEYS, ir.Undefined)
        for lane in range(LANES):
            splat = builder.insert_element(splat, key, ir.Constant(_I32, lane))
        step = cgutils.alloca_once_value(builder, length)

        body = builder.append_basic_block("insert.step")
        done = builder.append_basic_block("insert.done")
        builder.branch(body)
        builder.position_at_end(body)
        start = builder.sub(builder.load(step), ir.Constant(_I64, LANES))
        builder.store(start, step)
        offset = builder.shl(start, ir.Constant(_I64, 3))
        here = _load(builder, base, offset, _KEYS, 8)
        before = _load(builder, base, builder.sub(offset, ir.Constant(_I64, 8)), _KEYS, 8)
        moved = builder.call(high, [before, builder.call(low, [here, splat])])
        builder.store(moved, _pointer(builder, base, offset, _KEYS), align=8)
        first = builder.extract_element(before, ir.Constant(_I32, 0))
        builder.cbranch(builder.icmp_signed("<=", first, key), done, body)

        builder.position_at_end(done)
        smaller = builder.bitcast(builder.icmp_signed("<", here, splat), ir.IntType(LANES))
        count = builder.ctpop(smaller)
        return builder.add(start, builder.zext(count, _I64))

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def prefetch(typingctx: Any, where: Any) -> Any:
    """Ask for the cache line at an address, soon to be read."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _I8.as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, _I32, _I32, _I32]),
            "llvm.prefetch.p0",
        )
        hints = [ir.Constant(_I32, value) for value in (0, 3, 1)]  # read, keep in all levels, data
        builder.call(function, [builder.inttoptr(args[0], pointer), *hints])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


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
