"""A layer of BERT in int8, for CPUs that multiply it in hardware (VNNI) and bfloat16 half as fast.

Weights are rounded once, a scale an output; activations as they come, a scale a token, so that what else is
in a batch changes no score. Both are symmetric (Krishnamoorthi 2018, arXiv:1806.08342, sections 2.2 and 3.1).
A few columns of activations are far larger than the rest, which would make steps coarse: they are divided
beforehand by what their weights are multiplied by (SmoothQuant, Xiao et al. 2022, arXiv:2211.10438, equation
4, with alpha 1/2). Products are int32; sums, norms and GELU are float32 and attention is bfloat16.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.jit import cpu_has
from llamaindex_vecx.postprocessors.attention import attend
from llamaindex_vecx.postprocessors.kernels import (
    add_norm,
    gelu_rows,
    merge_heads,
    quantize_rows,
    split_heads,
)

__all__ = ["Int8Layer", "Peaks", "cpu_multiplies_int8", "find_peaks"]

_LEAST = 1e-4
"""For columns that are empty."""
_BLOCK = 256
"""Tokens whose wide activations stay in the cache between two products."""


def cpu_multiplies_int8() -> bool:
    """Whether this CPU has VNNI; elsewhere int8 products are slow, or saturate."""
    return cpu_has("avx512vnni") or cpu_has("avxvnni")


@dataclass(frozen=True)
class Peaks:
    """The largest value of each column that a layer multiplies: float32 of shape (columns,).

    Attributes
    ----------
    states, context, attended, wide : torch.Tensor
        What query, key and value are made from; what attention gives; what the feed-forward part reads;
        and what is between its two products.
    """

    states: Any
    context: Any
    attended: Any
    wide: Any


def find_peaks(model: Any, features: dict[str, Any]) -> list[Peaks]:
    """The peaks of each layer of a classifier on these input features, by its own forward pass."""
    seen: dict[Any, Any] = {}

    def look(module: Any, inputs: Any) -> None:
        seen[module] = inputs[0].flatten(0, -2).abs().amax(0)

    layers = model.base_model.encoder.layer
    read = [
        (
            layer.attention.self.query,
            layer.attention.output.dense,
            layer.intermediate.dense,
            layer.output.dense,
        )
        for layer in layers
    ]
    hooks = [module.register_forward_pre_hook(look) for four in read for module in four]
    try:
        model(**features)
    finally:
        for hook in hooks:
            hook.remove()
    return [Peaks(*(seen[module] for module in four)) for four in read]


class _Rows:
    """Rows of int8, shape (rows, width), and a scale for each."""

    def __init__(self, rows: int, width: int) -> None:
        import torch

        self.values = torch.empty(rows, width, dtype=torch.int8)
        self.scale = torch.empty(rows)


def _each_row(work: Callable[[int, int], None], rows: int) -> None:
    import torch

    each_range(work, rows, torch.get_num_threads())


def _quantized(x: Any, smooth: Any) -> _Rows:
    made = _Rows(*x.shape)
    source, values, scale = x.numpy(), made.values.numpy(), made.scale.numpy()
    _each_row(lambda a, b: quantize_rows(source, a, b, smooth, values, scale), len(source))
    return made


class _Linear:
    """The product of int8 rows with weights that were rounded once, as int32.

    Attributes
    ----------
    smooth : ndarray of float32, shape (inputs,)
        What rows are multiplied by before they are rounded.
    scale, bias : ndarray of float32, shape (outputs,)
    """

    def __init__(self, weight: Any, bias: Any, peaks: Any) -> None:
        import torch

        weight = weight.detach().float()
        even = (weight.abs().amax(0).clamp_min(_LEAST) / peaks.clamp_min(_LEAST)).sqrt()
        self.smooth = even.numpy()
        weight = weight / even
        scale = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
        self._weight = (weight / scale[:, None]).round().to(torch.int8).t()
        self.scale = scale.numpy()
        self.bias = bias.detach().float().contiguous().numpy()

    def __call__(self, rows: _Rows) -> Any:
        import torch

        return torch._int_mm(rows.values, self._weight)


class _Norm:
    """Add a product to what it came from, and normalise; in place."""

    def __init__(self, module: Any) -> None:
        self._gamma = module.weight.detach().float().numpy()
        self._beta = module.bias.detach().float().numpy()
        self._eps = module.eps

    def __call__(self, linear: _Linear, rows: _Rows, hidden: Any) -> None:
        import numpy as np

        product, scale, target = linear(rows).numpy(), rows.scale.numpy(), hidden.numpy()
        weight_scale, bias, eps = linear.scale, linear.bias, np.float32(self._eps)
        _each_row(
            lambda a, b: add_norm(
                product, a, b, scale, weight_scale, bias, self._gamma, self._beta, eps, target
            ),
            len(target),
        )


class Int8Layer:
    """One layer; hidden states are float32.

    Parameters
    ----------
    layer : torch module
        Of BERT's build, in float32.
    heads : int
    peaks : Peaks
        Of usual input, as :func:`find_peaks` gives them. Larger values lose nothing but precision.
    """

    def __init__(self, layer: Any, heads: int, peaks: Peaks) -> None:
        import torch

        own = layer.attention.self
        self._heads = heads
        self._width = own.query.weight.shape[0]
        scale = 1.0 / math.sqrt(self._width // heads)
        query_weight, query_bias = own.query.weight * scale, own.query.bias * scale
        key_value = torch.cat([own.key.weight, own.value.weight])
        key_value_bias = torch.cat([own.key.bias, own.value.bias])
        self._all = _Linear(
            torch.cat([query_weight, key_value]),
            torch.cat([query_bias, key_value_bias]),
            peaks.states,
        )
        self._query = _Linear(query_weight, query_bias, peaks.states)
        self._key_value = _Linear(key_value, key_value_bias, peaks.states)
        out, up, down = layer.attention.output, layer.intermediate.dense, layer.output.dense
        self._out = _Linear(out.dense.weight, out.dense.bias, peaks.context)
        self._up = _Linear(up.weight, up.bias, peaks.attended)
        self._down = _Linear(down.weight, down.bias, peaks.wide)
        self._norms = [_Norm(out.LayerNorm), _Norm(layer.output.LayerNorm)]

    def __call__(self, hidden: Any, mask: Any) -> Any:
        """The layer's output, shape (pairs, tokens, width); ``hidden`` is overwritten by it."""
        rows = _quantized(hidden.view(-1, hidden.shape[-1]), self._all.smooth)
        query, key, value = self._split(self._all, rows, hidden.shape[0])
        return self._after(attend(query, key, value, mask), hidden)

    def first_token(self, hidden: Any, mask: Any) -> Any:
        """What the layer makes of the first token, shape (pairs, 1, width)."""
        pairs = hidden.shape[0]
        first = hidden[:, :1].contiguous()
        query = self._split(
            self._query, _quantized(first.view(pairs, -1), self._query.smooth), pairs
        )
        rows = _quantized(hidden.view(-1, hidden.shape[-1]), self._key_value.smooth)
        key, value = self._split(self._key_value, rows, pairs)
        return self._after(attend(query[0], key, value, mask), first)

    def _split(self, linear: _Linear, rows: _Rows, pairs: int) -> Any:
        """The product as bfloat16, shape (parts, pairs, heads, tokens, size)."""
        import torch

        product, scale = linear(rows).numpy(), rows.scale.numpy()
        count, columns = product.shape
        size = self._width // self._heads
        made = torch.empty(
            columns // self._width, pairs, self._heads, count // pairs, size, dtype=torch.bfloat16
        )
        target = made.view(torch.int16).numpy()
        _each_row(
            lambda a, b: split_heads(product, a, b, scale, linear.scale, linear.bias, target), count
        )
        return made

    def _after(self, context: Any, hidden: Any) -> Any:
        import torch

        states = hidden.view(-1, hidden.shape[-1])
        merged = _Rows(len(states), self._width)
        source = context.contiguous().view(torch.int16).numpy()
        smooth, values, scale = self._out.smooth, merged.values.numpy(), merged.scale.numpy()
        _each_row(lambda a, b: merge_heads(source, a, b, smooth, values, scale), len(states))
        self._norms[0](self._out, merged, states)
        for start in range(0, len(states), _BLOCK):
            block = states[start : start + _BLOCK]
            self._norms[1](self._down, self._wide(_quantized(block, self._up.smooth)), block)
        return hidden

    def _wide(self, rows: _Rows) -> _Rows:
        product, scale = self._up(rows).numpy(), rows.scale.numpy()
        made = _Rows(*product.shape)
        values, own = made.values.numpy(), made.scale.numpy()
        up, smooth = self._up, self._down.smooth
        _each_row(
            lambda a, b: gelu_rows(product, a, b, scale, up.scale, up.bias, smooth, values, own),
            len(product),
        )
        return made
