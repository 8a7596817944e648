"""What numba's Python can't say and a search needs: 64 answers in one word, and bits.

Generic LLVM IR, which any CPU runs; AVX-512 does 64 comparisons in eight instructions.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, extending, types

__all__ = [
    "BLOCK",
    "bits_of",
    "block_best",
    "block_best_masked",
    "flagged",
    "lowest_bit",
    "popcount",
    "reaching",
]

intrinsic: Any = extending.intrinsic

_I64, _DOUBLE = ir.IntType(64), ir.DoubleType()
_DOUBLES = ir.VectorType(_DOUBLE, 64)

BLOCK = 32
"""Scores in one step of :func:`block_best`."""

_BLOCK = ir.VectorType(_I64, BLOCK)
_BYTES = ir.VectorType(ir.IntType(8), BLOCK)
_FLAGS = ir.VectorType(ir.IntType(8), 64)


@intrinsic
def bits_of(typingctx: Any, value: Any) -> Any:
    """The bits of a float64 as an int64; those of floats that aren't negative stand in their order."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _I64)

    return types.int64(types.float64), codegen


@intrinsic
def popcount(typingctx: Any, word: Any) -> Any:
    """How many bits of a uint64 are set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@intrinsic
def lowest_bit(typingctx: Any, word: Any) -> Any:
    """Place of the lowest bit set in a uint64, which is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), codegen


@intrinsic
def reaching(typingctx: Any, scores: Any, start: Any, least: Any) -> Any:
    """Bit ``i`` says whether ``scores[start + i] >= least``, for 64 places from ``start``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, start, least = args
        data = context.make_array(signature.args[0])(context, builder, array).data
        vector = _block(builder, data, start, _DOUBLE, _DOUBLES)
        one = builder.insert_element(
            ir.Constant(_DOUBLES, ir.Undefined), least, ir.Constant(ir.IntType(32), 0)
        )
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), 64), [0] * 64)
        splat = builder.shuffle_vector(one, ir.Constant(_DOUBLES, ir.Undefined), zeros)
        return builder.bitcast(builder.fcmp_ordered(">=", vector, splat), _I64)

    return types.uint64(scores, types.int64, types.float64), codegen


@intrinsic
def flagged(typingctx: Any, mask: Any, start: Any) -> Any:
    """Bit ``i`` says whether the byte ``mask[start + i]`` is not 0, for 64 places from ``start``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        vector = _block(builder, data, args[1], ir.IntType(8), _FLAGS)
        none = ir.Constant(_FLAGS, [0] * 64)
        return builder.bitcast(builder.icmp_unsigned("!=", vector, none), _I64)

    return types.uint64(mask, types.int64), codegen


def _block(builder: Any, base: Any, start: Any, element: ir.Type, vector: ir.Type) -> Any:
    where = builder.gep(base, [start], source_etype=element)
    size = 8 if element == _DOUBLE else element.width // 8
    return builder.load(builder.bitcast(where, vector.as_pointer()), typ=vector, align=size)


def _largest(builder: Any, vector: Any) -> Any:
    # Doubles that are not negative stand in the order of their bits.
    reduce = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_I64, [_BLOCK]), f"llvm.vector.reduce.umax.v{BLOCK}i64"
    )
    return builder.bitcast(builder.call(reduce, [vector]), _DOUBLE)


@intrinsic
def block_best(typingctx: Any, scores: Any, start: Any) -> Any:
    """The largest of ``scores[start:start + BLOCK]``, none of which is negative."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        words = builder.bitcast(data, _I64.as_pointer())
        return _largest(builder, _block(builder, words, args[1], _I64, _BLOCK))

    return types.float64(scores, types.int64), codegen


@intrinsic
def block_best_masked(typingctx: Any, scores: Any, mask: Any, start: Any) -> Any:
    """As :func:`block_best`, of those whose byte in ``mask`` is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        flags = context.make_array(signature.args[1])(context, builder, args[1]).data
        words = builder.bitcast(data, _I64.as_pointer())
        vector = _block(builder, words, args[2], _I64, _BLOCK)
        bits = _block(builder, flags, args[2], ir.IntType(8), _BYTES)
        none = ir.Constant(_BYTES, [0] * BLOCK)
        nothing = ir.Constant(_BLOCK, [0] * BLOCK)
        kept = builder.select(builder.icmp_unsigned("!=", bits, none), vector, nothing)
        return _largest(builder, kept)

    return types.float64(scores, mask, types.int64), codegen
