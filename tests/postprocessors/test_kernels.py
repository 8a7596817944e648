"""Each kernel beside the same in float64 numpy."""

import math

import numpy as np
import pytest

from llamaindex_vecx.postprocessors.kernels import (
    add_norm,
    gelu_rows,
    merge_heads,
    quantize_rows,
    softmax_rows,
    split_heads,
)

RANDOM = np.random.default_rng(7)
ONES = np.ones(40, np.float32)


def floats(*shape, spread=1.0):
    return (RANDOM.standard_normal(shape) * spread).astype(np.float32)


def as_bfloat16(x):
    """Cut, not rounded: exact for what is bfloat16 already."""
    return (np.ascontiguousarray(x, np.float32).view(np.int32) >> 16).astype(np.int16)


def as_float(bits):
    return (bits.astype(np.int32) << 16).view(np.float32)


@pytest.fixture
def product():
    """Of 6 rows with 32 outputs: int32, its scales, its bias, and the floats that it stands for."""
    whole = RANDOM.integers(-40_000, 40_000, (6, 32)).astype(np.int32)
    scale, weight_scale = abs(floats(6)) / 100, abs(floats(32)) / 100
    bias = floats(32)
    return whole, scale, weight_scale, bias, whole * scale[:, None] * weight_scale + bias


def test_rows_are_rounded_to_steps_of_their_own():
    x = floats(5, 40) * np.float32([[1], [1000], [1e-3], [0], [1]])
    values, scale = np.empty((5, 40), np.int8), np.empty(5, np.float32)
    quantize_rows(x, 0, 5, ONES[:40], values, scale)
    assert scale == pytest.approx(abs(x).max(1) / 127)
    assert np.all(abs(values * scale[:, None] - x) <= scale[:, None] * 0.5001)
    assert not values[3].any(), "a row of zeros has no largest value to divide by"
    assert abs(values[[0, 1, 2, 4]]).max(1).tolist() == [127] * 4


def test_only_the_rows_asked_for_are_written():
    x = floats(4, 8)
    values, scale = np.full((4, 8), 99, np.int8), np.full(4, 99, np.float32)
    quantize_rows(x, 1, 3, ONES[:8], values, scale)
    assert (values[[0, 3]] == 99).all()
    assert scale[[0, 3]].tolist() == [99, 99]


def test_heads_are_split_and_merged(product):
    whole, scale, weight_scale, bias, wanted = product
    pairs, tokens, heads, size = 2, 3, 2, 8
    split = np.empty((2, pairs, heads, tokens, size), np.int16)
    split_heads(whole, 0, 6, scale, weight_scale, bias, split)
    shaped = wanted.reshape(pairs, tokens, 2, heads, size).transpose(2, 0, 3, 1, 4)
    assert as_float(split) == pytest.approx(shaped, rel=2**-8), "eight bits are kept"
    values, steps = np.empty((6, 16), np.int8), np.empty(6, np.float32)
    smooth = abs(floats(16))
    merge_heads(split[0], 0, 6, smooth, values, steps)
    merged = as_float(split[0]).transpose(0, 2, 1, 3).reshape(6, 16) * smooth
    assert np.all(abs(values * steps[:, None] - merged) <= steps[:, None] * 0.5001)


def test_softmax_of_masked_bfloat16():
    spread = np.float32([0.1, 1, 10, 100]).reshape(4, 1, 1)
    weights = as_bfloat16(floats(4, 3, 21) * spread).reshape(12, 21)
    mask = np.zeros((2, 21), np.float32)
    mask[1, 15:] = -30_000
    summed = as_float(weights).astype(np.float64) + np.repeat(mask, 6, axis=0)
    wanted = np.exp(summed - summed.max(1, keepdims=True))
    wanted /= wanted.sum(1, keepdims=True)
    softmax_rows(weights, 0, 12, mask)
    assert as_float(weights) == pytest.approx(wanted, rel=2**-8, abs=1e-30)
    assert as_float(weights)[6:, 15:].max() < 1e-30


def test_gelu_is_off_by_half_a_step(product):
    whole, scale, weight_scale, bias, x = product
    values, steps, smooth = np.empty((6, 32), np.int8), np.empty(6, np.float32), abs(floats(32))
    for stretch in (np.float32(0.1), np.float32(10)):
        gelu_rows(whole, 0, 6, scale * stretch, weight_scale, bias, smooth, values, steps)
        z = (x - bias) * stretch + bias
        wanted = z * 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2))) * smooth
        assert np.all(abs(values * steps[:, None] - wanted) <= steps[:, None] * 0.51 + 1e-4)


def test_a_product_is_added_and_normalised(product):
    whole, scale, weight_scale, bias, added = product
    hidden, gamma, beta = floats(6, 32), floats(32), floats(32)
    total = hidden + added
    spread = np.sqrt(total.var(1, keepdims=True) + 1e-5)
    wanted = (total - total.mean(1, keepdims=True)) / spread * gamma + beta
    add_norm(whole, 0, 6, scale, weight_scale, bias, gamma, beta, np.float32(1e-5), hidden)
    assert hidden == pytest.approx(wanted, abs=1e-4)
