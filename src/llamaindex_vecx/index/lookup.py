"""Sums over components of which one bit is known, six at a time by look-up in a table.

The look-up of 64 bytes at once is AVX-512 VBMI's ``vpermb``: :data:`LOOKS_UP` says whether this CPU has it.
Most of the rest is generic IR, as in :mod:`llamaindex_vecx.index.simd`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from llamaindex_vecx.index.emit import at, broadcast, load, shuffle, splat
from llamaindex_vecx.index.simd import intrinsic
from llamaindex_vecx.jit import cpu_has

__all__ = [
    "LOOKS_UP",
    "MOST",
    "RECORD",
    "TABLES",
    "count_below",
    "fill_tables",
    "gather_signs",
    "look_up",
    "lowest",
    "transpose",
]

LOOKS_UP = cpu_has("avx512f", "avx512bw", "avx512vbmi")

RECORD = 256
"""Rows in one step of :func:`look_up`, a multiple of 64: a table is read once for all of them."""

TABLES = 64
"""Tables, of six components each, in one group."""

MOST = 5
"""What a component may count: a byte holds the sum of eight look-ups."""

_SIX, _EIGHT = 6, 8
_PARTS = RECORD // 64
_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_BYTES = ir.VectorType(_I8, 64)
_WORDS = ir.VectorType(_I64, 8)
_SUMS = ir.VectorType(_I16, 32)
_FLOATS = ir.VectorType(ir.FloatType(), 32)


def _times(builder: Any, value: Any, factor: int) -> Any:
    return builder.mul(value, ir.Constant(_I64, factor))


@intrinsic
def gather_signs(typingctx: Any, codes: Any, chunks: Any, out: Any) -> Any:
    """The highest bits of four-bit codes, six to a byte: a row's places in the tables.

    Parameters
    ----------
    codes : int64
        Address of the upper halves of codes, in the order of :func:`llamaindex_vecx.index.simd.dot_vnni`.
    chunks : int64
    out : int64
        Address of 64 bytes for every three chunks, written: of byte ``i`` of each of the three, two bits,
        the last chunk's lowest.

    Returns
    -------
    int64
        The sum of ``max(code, 15 − code)``.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        codes, chunks, out = args
        sums_of_eight = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_WORDS, [_BYTES] * 2),
            "llvm.x86.avx512.psad.bw.512",
        )
        larger = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_BYTES, [_BYTES] * 2), "llvm.umax.v64i8"
        )
        reduce = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_I64, [_WORDS]), "llvm.vector.reduce.add.v8i64"
        )
        total = cgutils.alloca_once_value(builder, splat(_WORDS, 0))
        places, sums = (cgutils.alloca_once(builder, _BYTES) for _ in range(2))
        groups = builder.udiv(builder.add(chunks, ir.Constant(_I64, 2)), ir.Constant(_I64, 3))
        with cgutils.for_range(builder, groups) as group:
            builder.store(splat(_BYTES, 0), places)
            builder.store(splat(_BYTES, 0), sums)
            first = _times(builder, group.index, 3)
            left = builder.sub(chunks, first)
            whole = builder.icmp_signed("<", left, ir.Constant(_I64, 3))
            with cgutils.for_range(
                builder, builder.select(whole, left, ir.Constant(_I64, 3))
            ) as loop:
                offset = _times(builder, builder.add(first, loop.index), 64)
                pairs = load(builder, codes, offset, _BYTES, 1)
                low = builder.and_(pairs, splat(_BYTES, 15))
                high = builder.lshr(pairs, splat(_BYTES, 4))
                bits = builder.or_(
                    builder.lshr(low, splat(_BYTES, 3)),
                    builder.and_(builder.lshr(high, splat(_BYTES, 2)), splat(_BYTES, 2)),
                )
                shifted = builder.shl(builder.load(places), splat(_BYTES, 2))
                builder.store(builder.or_(shifted, bits), places)
                most = [
                    builder.call(larger, [half, builder.xor(half, splat(_BYTES, 15))])
                    for half in (low, high)
                ]
                builder.store(builder.add(builder.load(sums), builder.add(*most)), sums)
            where = at(builder, out, _times(builder, group.index, 64), _BYTES)
            builder.store(builder.load(places), where, align=1)
            words = builder.call(sums_of_eight, [builder.load(sums), splat(_BYTES, 0)])
            builder.store(builder.add(builder.load(total), words), total)
        return builder.call(reduce, [builder.load(total)])

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def transpose(typingctx: Any, rows: Any, step: Any, out: Any) -> Any:
    """The bytes of 64 rows of 64 as those of 64 columns.

    Parameters
    ----------
    rows, step : int64
        Address of the first row, and bytes from one to the next.
    out : int64
        Address of the first column, written; :data:`RECORD` bytes on lies the next.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, step, out = args
        lines = [load(builder, rows, _times(builder, step, i), _BYTES, 1) for i in range(64)]
        for level in range(_SIX):
            apart = 1 << level
            for i in range(64):
                if i & apart == 0:
                    pair = lines[i], lines[i + apart]
                    lines[i], lines[i + apart] = _exchange(builder, *pair, apart)
        for i, line in enumerate(lines):
            builder.store(line, at(builder, out, i * RECORD, _BYTES), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


def _exchange(builder: Any, one: Any, two: Any, size: int) -> tuple[Any, Any]:
    """Every second run of ``size`` bytes of one vector for the run before it of the other."""
    if size < 8:  # within words
        kind = ir.VectorType(ir.IntType(16 * size), 32 // size)
        lower = splat(kind, (1 << 8 * size) - 1)
        upper = splat(kind, ((1 << 8 * size) - 1) << 8 * size)
        shift = splat(kind, 8 * size)
        one, two = (builder.bitcast(value, kind) for value in (one, two))
        first = builder.or_(builder.and_(one, lower), builder.shl(two, shift))
        second = builder.or_(builder.lshr(one, shift), builder.and_(two, upper))
    else:
        kind, size = _WORDS, size // 8
        one, two = (builder.bitcast(value, kind) for value in (one, two))
        order = [i if i & size == 0 else 8 + i - size for i in range(8)]
        first, second = (shuffle(builder, one, two, [i + by for i in order]) for by in (0, size))
    return builder.bitcast(first, _BYTES), builder.bitcast(second, _BYTES)


@intrinsic
def fill_tables(typingctx: Any, counts: Any, tables: Any, out: Any) -> Any:
    """Tables of the sums that six bits stand for.

    A word of eight bytes holds what three bits come to, a sum of multiples of constant words. Multiples
    may be negative, and bytes then borrow from each other; the sum's bytes aren't.

    Parameters
    ----------
    counts : int64
        Address of eight times as many bytes as there are tables: for each what the first bit adds where it is
        set, which may be below 0, then the second, …; then what the lower three come to where none is set,
        and the upper three.
    tables : int64
        How many.
    out : int64
        Address of 64 bytes a table, written.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        counts, tables, out = args
        where = [
            sum(1 << 8 * byte for byte in range(8) if byte >> bit & 1) for bit in range(_SIX // 2)
        ]
        eight = ir.VectorType(_I8, 8)
        with cgutils.for_range(builder, tables) as loop:
            adds = [
                builder.sext(load(builder, builder.add(counts, loop.index),
                                   builder.mul(tables, ir.Constant(_I64, bit)), _I8, 1), _I64)
                for bit in range(_SIX + 2)
            ]  # fmt: skip
            low, high = (_times(builder, add, 0x0101010101010101) for add in adds[_SIX:])
            for bit, word in enumerate(where):
                low = builder.add(low, _times(builder, adds[bit], word))
                high = builder.add(high, _times(builder, adds[bit + _SIX // 2], word))
            every = builder.bitcast(broadcast(builder, low, 8), _BYTES)
            bytes_ = builder.bitcast(high, eight)
            order = [place // 8 for place in range(64)]
            sums = builder.add(every, shuffle(builder, bytes_, bytes_, order))
            builder.store(sums, at(builder, out, _times(builder, loop.index, 64), _BYTES), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def look_up(
    typingctx: Any,
    rows: Any,
    tables: Any,
    count: Any,
    most: Any,
    weight: Any,
    limit: Any,
    distances: Any,
    near: Any,
) -> Any:
    """Distances of :data:`RECORD` rows to a query, by the signs of their components.

    ``norm + weight · factor · (most − 2 · sum of the look-ups)``. Row ``64 h + 2 i + p`` stands at
    ``64 h + 32 p + i`` in factors, norms and all that is written.

    Parameters
    ----------
    rows : int64
        Address of ``count`` × RECORD bytes, the rows' places in the tables; then of as many float32 factors
        and float32 norms.
    tables : int64
        Address of ``count`` tables.
    count : int64
        A multiple of eight.
    most, weight, limit : float32
    distances : int64
        Address of RECORD float32, written.
    near : int64
        Address of RECORD / 64 uint64, written: a bit for each row nearer than ``limit``.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, tables, count, most, weight, limit, distances, near = args
        permute = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(_BYTES, [_BYTES] * 2),
            "llvm.x86.avx512.permvar.qi.512",
        )
        totals = [cgutils.alloca_once(builder, _SUMS) for _ in range(2 * _PARTS)]
        for total in totals:
            builder.store(splat(_SUMS, 0), total)
        with cgutils.for_range(builder, builder.lshr(count, ir.Constant(_I64, 3))) as loop:
            sums: list[Any] = [splat(_BYTES, 0)] * _PARTS
            place = builder.add(rows, _times(builder, loop.index, _EIGHT * RECORD))
            table = builder.add(tables, _times(builder, loop.index, _EIGHT * 64))
            for number in range(_EIGHT):
                values = load(builder, table, number * 64, _BYTES, 1)
                for half in range(_PARTS):
                    index = load(builder, place, number * RECORD + half * 64, _BYTES, 1)
                    found = builder.call(permute, [values, index])
                    sums[half] = builder.add(sums[half], found)
            for half in range(_PARTS):
                pairs = builder.bitcast(sums[half], _SUMS)
                high = builder.lshr(pairs, splat(_SUMS, 8))
                for total, new in zip(totals[2 * half :], (pairs, high), strict=False):
                    builder.store(builder.add(builder.load(total), new), total)
        end = _times(builder, count, RECORD)
        tops, twice = (
            broadcast(builder, builder.fmul(weight, value), 32)
            for value in (most, ir.Constant(ir.FloatType(), -2.0))
        )
        limits = broadcast(builder, limit, 32)
        for quarter, total in enumerate(totals):
            whole = builder.load(total)
            if (
                quarter % 2 == 0
            ):  # so far both: 256 times those of the odd rows, and lost what went beyond
                odd = builder.shl(builder.load(totals[quarter + 1]), splat(_SUMS, 8))
                whole = builder.sub(whole, odd)
            whole = builder.sitofp(builder.zext(whole, ir.VectorType(_I32, 32)), _FLOATS)
            dots = builder.fadd(tops, builder.fmul(whole, twice))
            factors, norms = (
                load(builder, rows, builder.add(end, ir.Constant(_I64, 128 * quarter + at)),
                      _FLOATS, 4)
                for at in (0, 4 * RECORD)
            )  # fmt: skip
            distance = builder.fadd(norms, builder.fmul(dots, factors))
            builder.store(distance, at(builder, distances, 128 * quarter, _FLOATS), align=4)
            below = builder.bitcast(builder.fcmp_ordered("<", distance, limits), _I32)
            builder.store(below, at(builder, near, 4 * quarter, _I32), align=4)
        return context.get_dummy_value()

    floats = [types.float32] * 3
    return types.void(*[types.int64] * 3, *floats, types.int64, types.int64), codegen


@intrinsic
def count_below(typingctx: Any, values: Any, count: Any, limit: Any) -> Any:
    """How many of so many float32 at an address lie below a limit: an int64.

    Parameters
    ----------
    values, count : int64
        ``count`` is a multiple of 64.
    limit : float32
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, count, limit = args
        ones = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_I64, [_I64]), "llvm.ctpop.i64"
        )
        kind = ir.VectorType(ir.FloatType(), 64)
        limits = broadcast(builder, limit, 64)
        total = cgutils.alloca_once_value(builder, ir.Constant(_I64, 0))
        with cgutils.for_range(builder, builder.lshr(count, ir.Constant(_I64, 6))) as loop:
            some = load(builder, values, _times(builder, loop.index, 256), kind, 4)
            below = builder.bitcast(builder.fcmp_ordered("<", some, limits), _I64)
            new = builder.add(builder.load(total), builder.call(ones, [below]))
            builder.store(new, total)
        return builder.load(total)

    return types.int64(types.int64, types.int64, types.float32), codegen


@intrinsic
def lowest(typingctx: Any, bits: Any) -> Any:
    """Which bit of a uint64, not 0, is the lowest that is set: an int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen
