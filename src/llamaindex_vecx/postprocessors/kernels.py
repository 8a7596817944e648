"""What stands between the products of an int8 forward pass: scales, GELU, norms and softmax, a pass each.

Rows are tokens. A product of int8 rows and weights is int32; ``scale[i] * weight_scale[j]`` times it is the
float that it stands for. bfloat16 is handed over by its bits, as int16: the upper half of a float32's.
"""

# mypy: disable-error-code="arg-type, assignment, no-any-return, return-value"
# Kernels: the integers are numba's, of fixed width, which mypy can't know.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamaindex_vecx.jit import inline, kernel

__all__ = ["add_norm", "gelu_rows", "merge_heads", "quantize_rows", "softmax_rows", "split_heads"]

_LOG2_E = np.float32(1.4426950408889634)
_NORMAL = tuple(
    np.float32(c)
    for c in (
        0.3988837884402159,
        -0.06633704479532448,
        0.00983317703172511,
        -0.0011226758289889678,
        9.787085286844265e-05,
        -6.365197101434423e-06,
        2.9588566105986265e-07,
        -9.193569054907736e-09,
        1.6972611955328812e-10,
        -1.4000246091290576e-12,
    )
)
"""The normal distribution's (P(v) - 1/2) / v by powers of v², |v| <= 4.5; GELU is off by 2e-5 at most."""
_EXP2 = tuple(
    np.float32(c)
    for c in (
        1.0,
        0.6931471805599453,
        0.2402265069591007,
        0.05550410866482158,
        0.009618129107628477,
        0.0013333558146428443,
    )
)
_WIDEST = np.float32(4.5)


@inline
def _quantize(row: NDArray[np.float32], out: NDArray[np.int8]) -> np.float32:
    """A row in steps of its own: its scale, so that the largest value is 127 of them."""
    bits = row.view(np.int32)
    top = np.int32(0)
    for j in range(bits.shape[0]):  # positive floats are ordered as their bits are
        top = max(top, bits[j] & np.int32(0x7FFFFFFF))
    largest = _float(top)
    if largest == np.float32(0.0):
        out[:] = 0
        return np.float32(0.0)
    steps = np.float32(127.0) / largest
    for j in range(row.shape[0]):
        out[j] = np.int8(np.rint(row[j] * steps))
    return largest / np.float32(127.0)


@inline
def _float(bits: np.int32) -> np.float32:
    return np.int32(bits).view(np.float32)


@inline
def _bfloat16(value: np.float32) -> np.int16:
    """Its bits, rounded to the nearest even."""
    bits = np.float32(value).view(np.int32)
    return np.int16(
        (bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))) >> np.int32(16)
    )


@kernel
def quantize_rows(
    x: NDArray[np.float32],
    first: int,
    last: int,
    smooth: NDArray[np.float32],
    out: NDArray[np.int8],
    scale: NDArray[np.float32],
) -> None:
    """Rows ``first`` to ``last`` of ``x * smooth`` as int8."""
    row = np.empty(x.shape[1], np.float32)
    for i in range(first, last):
        for j in range(x.shape[1]):
            row[j] = x[i, j] * smooth[j]
        scale[i] = _quantize(row, out[i])


@kernel
def split_heads(
    product: NDArray[np.int32],
    first: int,
    last: int,
    scale: NDArray[np.float32],
    weight_scale: NDArray[np.float32],
    bias: NDArray[np.float32],
    out: NDArray[np.int16],
) -> None:
    """From (rows, parts x heads x size) to bfloat16 (parts, pairs, heads, tokens, size)."""
    parts, _, heads, tokens, size = out.shape
    for i in range(first, last):
        pair, token = i // tokens, i % tokens
        by = scale[i]
        for part in range(parts):
            for head in range(heads):
                start = (part * heads + head) * size
                target = out[part, pair, head, token]
                for j in range(size):
                    value = np.float32(product[i, start + j]) * by * weight_scale[start + j]
                    target[j] = _bfloat16(value + bias[start + j])


@kernel
def softmax_rows(
    weights: NDArray[np.int16], first: int, last: int, mask: NDArray[np.float32]
) -> None:
    """Softmax in place over bfloat16 (pairs x heads x queries, keys), with ``mask`` (pairs, keys) added."""
    keys = weights.shape[1]
    each = weights.shape[0] // mask.shape[0]
    row = np.empty(keys, np.float32)
    bits = row.view(np.int32)
    for i in range(first, last):
        pair = i // each
        for j in range(keys):
            bits[j] = np.int32(weights[i, j]) << np.int32(16)
        top = np.int32(-0x80000000)
        for j in range(keys):
            row[j] += mask[pair, j]
            top = max(top, _ordered(bits[j]))
        highest = _float(_ordered(top))
        total = np.float32(0.0)
        for j in range(keys):
            power = max((row[j] - highest) * _LOG2_E, np.float32(-126.0))
            whole = np.floor(power)
            rest = power - whole
            value = _EXP2[5]
            for c in range(4, -1, -1):
                value = value * rest + _EXP2[c]
            value *= _float((np.int32(whole) + np.int32(127)) << np.int32(23))
            row[j] = value
            total += value
        by = np.float32(1.0) / total
        for j in range(keys):
            weights[i, j] = _bfloat16(row[j] * by)


@inline
def _ordered(bits: np.int32) -> np.int32:
    """A float's bits as an integer that is ordered as floats are; its own inverse."""
    return bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF))


@kernel
def merge_heads(
    context: NDArray[np.int16],
    first: int,
    last: int,
    smooth: NDArray[np.float32],
    out: NDArray[np.int8],
    scale: NDArray[np.float32],
) -> None:
    """From bfloat16 (pairs, heads, tokens, size) to int8 (rows, heads x size), times ``smooth``."""
    _, heads, tokens, size = context.shape
    row = np.empty(heads * size, np.float32)
    bits = row.view(np.int32)
    for i in range(first, last):
        pair, token = i // tokens, i % tokens
        for head in range(heads):
            source = context[pair, head, token]
            for j in range(size):
                bits[head * size + j] = np.int32(source[j]) << np.int32(16)
        for j in range(row.shape[0]):
            row[j] *= smooth[j]
        scale[i] = _quantize(row, out[i])


@kernel
def gelu_rows(
    product: NDArray[np.int32],
    first: int,
    last: int,
    scale: NDArray[np.float32],
    weight_scale: NDArray[np.float32],
    bias: NDArray[np.float32],
    smooth: NDArray[np.float32],
    out: NDArray[np.int8],
    out_scale: NDArray[np.float32],
) -> None:
    """GELU of the product, times ``smooth``, as int8 again. Hendrycks & Gimpel 2016 (arXiv:1606.08415)."""
    row = np.empty(product.shape[1], np.float32)
    for i in range(first, last):
        by = scale[i]
        for j in range(product.shape[1]):
            value = np.float32(product[i, j]) * by * weight_scale[j] + bias[j]
            inside = min(max(value, -_WIDEST), _WIDEST)
            square = inside * inside
            share = _NORMAL[9]
            for c in range(8, -1, -1):
                share = share * square + _NORMAL[c]
            row[j] = value * (np.float32(0.5) + inside * share) * smooth[j]
        out_scale[i] = _quantize(row, out[i])


@kernel
def add_norm(
    product: NDArray[np.int32],
    first: int,
    last: int,
    scale: NDArray[np.float32],
    weight_scale: NDArray[np.float32],
    bias: NDArray[np.float32],
    gamma: NDArray[np.float32],
    beta: NDArray[np.float32],
    eps: np.float32,
    hidden: NDArray[np.float32],
) -> None:
    """Add the product to ``hidden`` and normalise each row, in place. Ba et al. 2016 (arXiv:1607.06450)."""
    width = hidden.shape[1]
    share = np.float32(1.0) / np.float32(width)
    for i in range(first, last):
        by = scale[i]
        row = hidden[i]
        total = np.float32(0.0)
        for j in range(width):
            row[j] += np.float32(product[i, j]) * by * weight_scale[j] + bias[j]
            total += row[j]
        mean = total * share
        squares = np.float32(0.0)
        for j in range(width):
            row[j] -= mean
            squares += row[j] * row[j]
        spread = np.float32(1.0) / np.sqrt(squares * share + eps)
        for j in range(width):
            row[j] = row[j] * spread * gamma[j] + beta[j]
