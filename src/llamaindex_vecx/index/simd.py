"""The few instructions that numba's Python can't say: LLVM IR behind ``@intrinsic``.

Addresses are int64, as :func:`llamaindex_vecx.addresses.address` gives them. ``dot_vnni`` needs AVX-512
VNNI and ``dot_avx2`` AVX2; on a CPU without them LLVM aborts the process, so they are never called there:
:data:`dot` and :data:`dot4` are chosen once, at import, and the compile cache is keyed on the CPU's
features. Their portable twins are generic IR, which LLVM lowers for any CPU. All of it is integer
arithmetic, so they agree to the bit.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, extending, types

from llamaindex_vecx.index.emit import at, broadcast, load, shuffle, splat
from llamaindex_vecx.jit import cpu_has

__all__ = [
    "LANES",
    "ROWS",
    "dot",
    "dot4",
    "dot4_avx2",
    "dot4_portable",
    "dot4_vnni",
    "dot_avx2",
    "dot_portable",
    "dot_vnni",
    "exact_dot",
    "exact_squares",
    "insert_key",
    "prefetch",
]

intrinsic: Any = extending.intrinsic

LANES = 8
"""int64 keys in one step of :func:`insert_key`: key buffers are padded to a multiple of it."""

ROWS = 4
"""Rows in one step of :data:`dot4`: lists of slots are padded to a multiple of it."""

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_WIDE = 16  # floats that are measured at a time
_CONTRACT = ("contract",)  # a product may be added without being rounded
_MEASURE = types.float32(*[types.int64] * 4, types.float32, types.int64)
_CHUNK = ir.VectorType(_I8, 64)
_KEYS = ir.VectorType(_I64, LANES)
_Step = Callable[..., Any]
_Codegen = Callable[[Any, Any, Any, Any], Any]


def _dots(builder: Any, rows: list[Any], args: list[Any], step: _Step, lanes: int) -> Any:
    """Dot products of several rows of codes and one of signed bytes, all eight bits or the upper four.

    A vector, of four rows or of one.
    """
    products = cgutils.alloca_once(builder, ir.VectorType(_I32, len(rows)))
    lower = args[-1]
    whole = builder.icmp_signed("!=", lower, ir.Constant(_I64, 0))
    with builder.if_else(whole) as (then, otherwise):
        with then:
            _sums(builder, rows, args, step, lanes, products, (ir.Constant(_I64, 0), lower))
        with otherwise:
            _sums(builder, rows, args, step, lanes, products, (ir.Constant(_I64, 0),))
    return builder.load(products)


def _sums(
    builder: Any,
    rows: list[Any],
    args: list[Any],
    step: _Step,
    lanes: int,
    products: Any,
    halves: tuple[Any, ...],
) -> None:
    """One pass over rows, 64 bytes of each half of their codes at a time.

    Rows side by side keep as many independent sums going, and read the query once for all.
    """
    query, chunks, _ = args
    zero = splat(ir.VectorType(_I32, lanes), 0)
    totals = [[cgutils.alloca_once_value(builder, zero) for _ in halves] for _ in rows]
    for total in itertools.chain(*totals):
        builder.store(zero, total)
    with cgutils.for_range(builder, chunks) as loop:
        offset = builder.shl(loop.index, ir.Constant(_I64, 6))
        twice = builder.shl(loop.index, ir.Constant(_I64, 7))
        first = load(builder, query, twice, _CHUNK, 1)
        second = load(builder, query, builder.add(twice, ir.Constant(_I64, 64)), _CHUNK, 1)
        for row, sums in zip(rows, totals, strict=True):
            for half, total in zip(halves, sums, strict=True):
                pairs = load(builder, builder.add(row, half), offset, _CHUNK, 1)
                below = builder.and_(pairs, splat(ir.VectorType(_I8, 64), 15))
                above = builder.lshr(pairs, splat(ir.VectorType(_I8, 64), 4))
                new = step(builder, builder.load(total), (below, first), (above, second))
                builder.store(new, total)
    found = []
    for sums in totals:
        upper, *lower = [builder.load(total) for total in sums]
        if lower:
            upper = builder.add(builder.shl(upper, splat(ir.VectorType(_I32, lanes), 4)), lower[0])
        found.append(upper)
    builder.store(_added_up(builder, found), products)


def _added_up(builder: Any, vectors: list[Any]) -> Any:
    """The sum over the lanes of each of four vectors or of one, in a vector.

    Of four vectors, lanes are added within each 128 bits first, the one exchange that costs little, so
    that these hold one lane of each.
    """
    count = len(vectors)
    while len(vectors) > 1:
        lanes = vectors[0].type.count
        even = [
            place + lane
            for block in range(0, lanes, 4)
            for place in (block, block + lanes)
            for lane in (0, 2)
        ]
        vectors = [
            _folded(builder, first, second, even, 1)
            for first, second in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    (vector,) = vectors
    while vector.type.count > count:
        half = vector.type.count // 2
        vector = _folded(builder, vector, vector, range(half), half)
    return vector


def _folded(builder: Any, first: Any, second: Any, lanes: Sequence[int], shift: int) -> Any:
    """Some lanes of two vectors, and those that lie ``shift`` behind them, added."""
    behind = [lane + shift for lane in lanes]
    return builder.add(
        shuffle(builder, first, second, lanes), shuffle(builder, first, second, behind)
    )


def _step_vnni(builder: Any, total: Any, *pairs: tuple[Any, Any]) -> Any:
    kind = ir.VectorType(_I32, 16)
    multiply = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), "llvm.x86.avx512.vpdpbusd.512"
    )
    for codes, query in pairs:
        total = builder.call(
            multiply, [total, builder.bitcast(codes, kind), builder.bitcast(query, kind)]
        )
    return total


def _step_avx2(builder: Any, total: Any, *pairs: tuple[Any, Any]) -> Any:
    """Pairs of products are at most 2 · 15 · 128, so the four of them that are added fit 16 bits."""
    bytes_, shorts = ir.VectorType(_I8, 32), ir.VectorType(_I16, 16)
    multiply = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(shorts, [bytes_, bytes_]), "llvm.x86.avx2.pmadd.ub.sw"
    )
    widen = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VectorType(_I32, 8), [shorts, shorts]),
        "llvm.x86.avx2.pmadd.wd",
    )
    products = [
        builder.call(
            multiply,
            [shuffle(builder, codes, codes, where), shuffle(builder, query, query, where)],
        )
        for codes, query in pairs
        for where in (range(32), range(32, 64))
    ]
    both = functools.reduce(builder.add, products)
    return builder.add(total, builder.call(widen, [both, splat(ir.VectorType(_I16, 16), 1)]))


def _step_portable(builder: Any, total: Any, *pairs: tuple[Any, Any]) -> Any:
    narrow = ir.VectorType(_I16, 64)  # 2 · 15 · 128 fits
    products = [
        builder.mul(builder.zext(codes, narrow), builder.sext(query, narrow))
        for codes, query in pairs
    ]
    both = builder.add(*products)
    for half in (range(32), range(32, 64)):
        part = builder.sext(shuffle(builder, both, both, half), ir.VectorType(_I32, 32))
        total = builder.add(total, part)
    return total


def _one_row(step: _Step, lanes: int) -> _Codegen:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        products = _dots(builder, [args[0]], args[1:], step, lanes)
        return builder.extract_element(products, ir.Constant(_I32, 0))

    return codegen


def _four_rows(step: _Step, lanes: int) -> _Codegen:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base, stride, slots, *query, out = args
        kind = ir.VectorType(_I32, ROWS)
        where = load(builder, slots, ir.Constant(_I64, 0), kind, 4)
        rows = []
        for row in range(ROWS):
            slot = builder.sext(builder.extract_element(where, ir.Constant(_I32, row)), _I64)
            rows.append(builder.add(base, builder.mul(slot, stride)))
        products = _dots(builder, rows, query, step, lanes)
        builder.store(products, at(builder, out, ir.Constant(_I64, 0), kind), align=4)
        return context.get_dummy_value()

    return codegen


@intrinsic
def dot_vnni(typingctx: Any, codes: Any, query: Any, chunks: Any, lower: Any) -> Any:
    """Dot product of 8-bit codes and signed bytes, by AVX-512 VNNI.

    Parameters
    ----------
    codes : int64
        Address of ``64 * chunks`` bytes, the upper four bits of the codes, two codes in a byte. The lower
        halves of 64 bytes belong to the first 64 bytes of the query, their upper halves to the next 64,
        and so on.
    query : int64
        Address of ``128 * chunks`` signed bytes.
    chunks : int64
    lower : int64
        How far behind ``codes`` their lower four bits begin, in the same order; or 0, for the dot product
        of the upper four alone, numbers from 0 to 15.

    Returns
    -------
    int32
    """
    return types.int32(*[types.int64] * 4), _one_row(_step_vnni, 16)


@intrinsic
def dot_avx2(typingctx: Any, codes: Any, query: Any, chunks: Any, lower: Any) -> Any:
    """Like :func:`dot_vnni`, by AVX2."""
    return types.int32(*[types.int64] * 4), _one_row(_step_avx2, 8)


@intrinsic
def dot_portable(typingctx: Any, codes: Any, query: Any, chunks: Any, lower: Any) -> Any:
    """Like :func:`dot_vnni`, on any CPU."""
    return types.int32(*[types.int64] * 4), _one_row(_step_portable, 32)


@intrinsic
def dot4_vnni(
    typingctx: Any,
    base: Any,
    stride: Any,
    slots: Any,
    query: Any,
    chunks: Any,
    lower: Any,
    out: Any,
) -> Any:
    """Dot products of four rows of 8-bit codes and one of signed bytes, by AVX-512 VNNI.

    Parameters
    ----------
    base, stride : int64
        Row ``i`` begins at ``base + stride * i``.
    slots : int64
        Address of the four rows' numbers, int32.
    query : int64
        Address of ``128 * chunks`` signed bytes.
    chunks, lower : int64
        See :func:`dot_vnni`.
    out : int64
        Address of the four products, int32.
    """
    return types.void(*[types.int64] * 7), _four_rows(_step_vnni, 16)


@intrinsic
def dot4_avx2(
    typingctx: Any,
    base: Any,
    stride: Any,
    slots: Any,
    query: Any,
    chunks: Any,
    lower: Any,
    out: Any,
) -> Any:
    """Like :func:`dot4_vnni`, by AVX2."""
    return types.void(*[types.int64] * 7), _four_rows(_step_avx2, 8)


@intrinsic
def dot4_portable(
    typingctx: Any,
    base: Any,
    stride: Any,
    slots: Any,
    query: Any,
    chunks: Any,
    lower: Any,
    out: Any,
) -> Any:
    """Like :func:`dot4_vnni`, on any CPU."""
    return types.void(*[types.int64] * 7), _four_rows(_step_portable, 32)


def _fastest() -> tuple[Any, Any]:
    if cpu_has("avx512f", "avx512vnni"):
        return dot_vnni, dot4_vnni
    return (dot_avx2, dot4_avx2) if cpu_has("avx2") else (dot_portable, dot4_portable)


dot, dot4 = _fastest()
"""The dot product of this CPU, and the same of four rows at a time."""


def _measuring(squares: bool) -> _Codegen:
    """A codegen that decodes and adds up in one go: products, or the squares of differences."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        upper, lower, residual, chunks, step, query = args
        floats = ir.VectorType(ir.FloatType(), _WIDE)
        steps = broadcast(builder, step, _WIDE)
        sums = [cgutils.alloca_once(builder, floats) for _ in range(2)]
        for total in sums:
            builder.store(ir.Constant(floats, [0.0] * _WIDE), total)
        with cgutils.for_range(builder, builder.shl(chunks, ir.Constant(_I64, 2))) as loop:
            place = builder.shl(loop.index, ir.Constant(_I64, 4))  # of a byte with two components
            first = builder.add(place, builder.and_(place, ir.Constant(_I64, -64)))
            halves = [_words(builder, base, place, _I8) for base in (upper, lower)]
            for second, total in enumerate(sums):  # which is 64 behind the first
                where = builder.add(first, ir.Constant(_I64, 64 * second))
                number = _component(builder, halves, residual, where, second)
                value = builder.fmul(builder.sitofp(number, floats), steps)
                other = load(builder, query, builder.shl(where, ir.Constant(_I64, 2)), floats, 4)
                if squares:
                    value = other = builder.fsub(other, value)
                product = builder.fmul(value, other, flags=_CONTRACT)
                builder.store(builder.fadd(builder.load(total), product, flags=_CONTRACT), total)
        reduce = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.FloatType(), [ir.FloatType(), floats]),
            f"llvm.vector.reduce.fadd.v{_WIDE}f32",
        )
        both = builder.fadd(*(builder.load(total) for total in sums))
        return builder.call(reduce, [ir.Constant(ir.FloatType(), 0.0), both], fastmath=("reassoc",))

    return codegen


def _words(builder: Any, base: Any, offset: Any, kind: ir.Type, *, signed: bool = False) -> Any:
    """Integers of a kind, as 32 bits."""
    align = kind.width // 8
    loaded = load(builder, base, offset, ir.VectorType(kind, _WIDE), align)
    wide = ir.VectorType(_I32, _WIDE)
    return builder.sext(loaded, wide) if signed else builder.zext(loaded, wide)


def _component(builder: Any, halves: list[Any], residual: Any, where: Any, second: int) -> Any:
    """Code and residual as one integer; of a byte of either half, the first or the second four bits."""
    four = splat(ir.VectorType(_I32, _WIDE), 15 << (4 * second))
    above, below = (builder.and_(half, four) for half in halves)
    above = builder.shl(above, splat(ir.VectorType(_I32, _WIDE), 20 - 4 * second))
    below = builder.shl(below, splat(ir.VectorType(_I32, _WIDE), 16 - 4 * second))
    rest = _words(builder, residual, builder.shl(where, ir.Constant(_I64, 1)), _I16, signed=True)
    code = builder.sub(builder.or_(above, below), splat(ir.VectorType(_I32, _WIDE), 128 << 16))
    return builder.add(code, rest)


@intrinsic
def exact_dot(
    typingctx: Any, upper: Any, lower: Any, residual: Any, chunks: Any, step: Any, query: Any
) -> Any:
    """Dot product, float32, of a query and what codes of eight bits and residuals of sixteen stand for.

    Parameters
    ----------
    upper, lower : int64
        Addresses of the codes' halves, ``64 * chunks`` bytes each, in the order of :func:`dot_vnni`; a
        code is shifted by 128.
    residual : int64
        Address of ``128 * chunks`` int16, in the order of the components.
    chunks : int64
    step : float32
        What 1 in a residual stands for.
    query : int64
        Address of ``128 * chunks`` float32.
    """
    return _MEASURE, _measuring(squares=False)


@intrinsic
def exact_squares(
    typingctx: Any, upper: Any, lower: Any, residual: Any, chunks: Any, step: Any, query: Any
) -> Any:
    """The squared Euclidean distance, of the same as :func:`exact_dot`."""
    return _MEASURE, _measuring(squares=True)


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
        all_of_it = broadcast(builder, key, LANES)
        step = cgutils.alloca_once_value(builder, length)

        body = builder.append_basic_block("insert.step")
        done = builder.append_basic_block("insert.done")
        builder.branch(body)
        builder.position_at_end(body)
        start = builder.sub(builder.load(step), ir.Constant(_I64, LANES))
        builder.store(start, step)
        offset = builder.shl(start, ir.Constant(_I64, 3))
        here = load(builder, base, offset, _KEYS, 8)
        before = load(builder, base, builder.sub(offset, ir.Constant(_I64, 8)), _KEYS, 8)
        moved = builder.call(high, [before, builder.call(low, [here, all_of_it])])
        builder.store(moved, at(builder, base, offset, _KEYS), align=8)
        first = builder.extract_element(before, ir.Constant(_I32, 0))
        builder.cbranch(builder.icmp_signed("<=", first, key), done, body)

        builder.position_at_end(done)
        smaller = builder.bitcast(builder.icmp_signed("<", here, all_of_it), ir.IntType(LANES))
        count = builder.ctpop(smaller)
        return builder.add(start, builder.zext(count, _I64))

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def prefetch(typingctx: Any, where: Any) -> Any:
    """Ask for the cache line at an address, soon to be read, as far as the second-level cache.

    The first level waits for only some two dozen lines at a time, a tenth of what a hop asks for, and
    the core stands still meanwhile: to the second level, a search takes 0.7 of the time.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _I8.as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, _I32, _I32, _I32]),
            "llvm.prefetch.p0",
        )
        hints = [ir.Constant(_I32, value) for value in (0, 2, 1)]  # read, second level, data
        builder.call(function, [builder.inttoptr(args[0], pointer), *hints])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
