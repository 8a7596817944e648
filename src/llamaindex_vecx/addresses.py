"""Arrays from addresses and addresses from arrays, inside kernels, for which numba's Python has no words.

numba's own ``carray`` and ``view`` say the same, but each new pair of types compiles a function of its
own, a twentieth of all the time that the first use takes. These are a few instructions in place.

Nothing here keeps memory alive: whoever owns it must outlive the use.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, errors, extending, types
from numba.np import arrayobj

__all__ = ["address", "array_at", "bits_of_float32", "column_of", "float32_of_bits", "seen_as"]

intrinsic: Any = extending.intrinsic

_I64 = ir.IntType(64)


@intrinsic
def address(typingctx: Any, array: Any) -> Any:
    """Address of the first byte of an array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.ptrtoint(data, _I64)

    return types.int64(array), codegen


@intrinsic
def array_at(typingctx: Any, address: Any, shape: Any, dtype: Any) -> Any:
    """The C-contiguous array of a shape (an int, or a tuple of them) that lies at an address."""
    axes = getattr(shape, "count", 1)
    array = types.Array(dtype.dtype, axes, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sizes = cgutils.unpack_tuple(builder, args[1]) if axes > 1 else [args[1]]
        kinds = list(signature.args[1]) if axes > 1 else [signature.args[1]]
        lengths = [
            context.cast(builder, size, kind, types.intp)
            for size, kind in zip(sizes, kinds, strict=True)
        ]
        return _array(context, builder, array, args[0], lengths)

    return array(types.int64, shape, dtype), codegen


@intrinsic
def seen_as(typingctx: Any, array: Any, dtype: Any) -> Any:
    """The bytes of a C-contiguous array as numbers of another dtype; the last axis changes its length."""
    if array.layout != "C":
        raise errors.TypingError(f"seen_as needs a C-contiguous array, got {array}")
    result = types.Array(dtype.dtype, array.ndim, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, args[0])
        lengths = cgutils.unpack_tuple(builder, source.shape, array.ndim)
        old, new = (_size(context, kind.dtype) for kind in (array, result))
        lengths[-1] = builder.sdiv(builder.mul(lengths[-1], old), new)
        return _array(context, builder, result, builder.ptrtoint(source.data, _I64), lengths)

    return result(array, dtype), codegen


@intrinsic
def column_of(typingctx: Any, array: Any, place: Any) -> Any:
    """``array[:, place]`` of a C-contiguous array."""
    result = types.Array(array.dtype, 1, "A")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, args[0])
        length, _ = cgutils.unpack_tuple(builder, source.shape, 2)
        stride, step = cgutils.unpack_tuple(builder, source.strides, 2)
        offset = builder.mul(context.cast(builder, args[1], signature.args[1], types.intp), step)
        where = builder.add(builder.ptrtoint(source.data, _I64), offset)
        return _array(context, builder, result, where, [length], [stride])

    return result(array, place), codegen


def _size(context: Any, dtype: Any) -> ir.Constant:
    return ir.Constant(_I64, context.get_abi_sizeof(context.get_data_type(dtype)))


def _array(
    context: Any,
    builder: Any,
    kind: Any,
    where: Any,
    lengths: list[Any],
    strides: list[Any] | None = None,
) -> Any:
    """An array at an address, contiguous unless there are strides."""
    result = context.make_array(kind)(context, builder)
    size = _size(context, kind.dtype)
    if strides is None:
        strides = [size]
        for length in reversed(lengths[1:]):
            strides.insert(0, builder.mul(strides[0], length))
    pointer = builder.inttoptr(where, context.get_data_type(kind.dtype).as_pointer())
    arrayobj.populate_array(
        result, data=pointer, shape=lengths, strides=strides, itemsize=size, meminfo=None
    )
    return result._getvalue()


@intrinsic
def bits_of_float32(typingctx: Any, value: Any) -> Any:
    """The bits of a float32 as an int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@intrinsic
def float32_of_bits(typingctx: Any, bits: Any) -> Any:
    """The float32 that an int32's bits stand for."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen
