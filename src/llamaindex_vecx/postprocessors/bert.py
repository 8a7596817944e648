"""The forward pass of BERT-like classifiers on a CPU, made for scoring alone.

Devlin et al. 2019 (arXiv:1810.04805), and RoBERTa, XLM-RoBERTa, ELECTRA and others of the same build. What
is saved against the general code changes no result but by rounding: the last layer is computed for the first
token only, which is all that the head reads; query, key and value are one product; weights are packed once
for oneDNN, with GELU in the same kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llamaindex_vecx.postprocessors.attention import attend
from llamaindex_vecx.postprocessors.int8 import Int8Layer, find_peaks

__all__ = ["Forward", "fast_forward"]

Forward = Callable[..., Any]
"""(input_ids, attention_mask, token_type_ids) of shape (pairs, tokens) -> logits of shape (pairs, 1)."""

_TOLERANCE = 1e-4
_ROUNDED = 0.1
"""How far int8 may move what the head reads, as a share of its length; MiniLM's moves by 0.01 to 0.02."""


def fast_forward(model: Any, dtype: Any) -> Forward | None:
    """The fast forward pass of a float32 model, in ``dtype``; None where it can't be had.

    It is compared with the model's own on two pairs first, in float32, and in int8 with that in float32.

    Parameters
    ----------
    model : transformers sequence classifier
        On the CPU, in float32 and evaluation mode.
    dtype : torch.dtype
        float32, bfloat16 or int8.
    """
    import torch

    if not _is_bert(model):
        return None
    with torch.inference_mode():
        exact = _Classifier(model, torch.float32)
        if not _agrees(model, exact):
            return None
        if dtype == torch.float32:
            return exact
        made = _Classifier(model, dtype)
        return made if dtype != torch.int8 or _stays_close(model, exact, made) else None


def _is_bert(model: Any) -> bool:
    base = getattr(model, "base_model", None)
    layers = getattr(getattr(base, "encoder", None), "layer", None)
    config = model.config
    try:
        for layer in layers or []:
            for part in (
                layer.attention.self.query,
                layer.attention.self.key,
                layer.attention.self.value,
                layer.attention.output.dense,
                layer.attention.output.LayerNorm,
                layer.intermediate.dense,
                layer.output.dense,
                layer.output.LayerNorm,
            ):
                part.weight.shape  # noqa: B018 - that it has weights is what is asked
    except AttributeError:
        return False
    return (
        bool(layers)
        and getattr(config, "hidden_act", None) == "gelu"
        and getattr(config, "position_embedding_type", "absolute") in (None, "absolute")
        and not getattr(config, "is_decoder", False)
        and hasattr(base, "embeddings")
        and hasattr(model, "classifier")
    )


def _agrees(model: Any, fast: Forward) -> bool:
    import torch

    pairs = _made_up(model, 2, 12)
    try:
        given = fast(**pairs)
        own = model(**pairs).logits
    except (RuntimeError, TypeError, AttributeError, IndexError):
        return False  # not of the build that it looked like
    return given.shape == own.shape and bool(
        torch.allclose(given, own, rtol=_TOLERANCE, atol=_TOLERANCE)
    )


def _stays_close(model: Any, exact: _Classifier, rounded: _Classifier) -> bool:
    """Whether int8 keeps what the head reads: a few outputs far beyond the others make steps coarse."""
    pairs = _made_up(model, 4, 32)
    wanted, given = exact.first_tokens(**pairs), rounded.first_tokens(**pairs)
    return bool((given - wanted).norm() <= _ROUNDED * wanted.norm())  # False where it is NaN


def _made_up(model: Any, pairs: int, tokens: int, step: int = 7) -> dict[str, Any]:
    """Some tokens; all pairs but the first end in padding."""
    import torch

    ids = torch.arange(pairs * tokens) * step % (model.config.vocab_size - 5) + 5
    ids = ids.view(pairs, tokens)
    mask = torch.ones_like(ids)
    padding, end = model.config.pad_token_id, 2 * tokens // 3
    ids[1:, end:], mask[1:, end:] = (0 if padding is None else padding), 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


def _linear(weight: Any, bias: Any, dtype: Any, activation: str | None = None) -> Forward:
    """``x @ weight.T + bias``, then perhaps GELU; packed where torch has oneDNN."""
    import torch
    from torch.nn import functional

    weight = weight.detach().to(dtype).contiguous()
    bias = bias.detach().to(dtype).contiguous()
    pack = getattr(torch.ops.mkldnn, "_reorder_linear_weight", None)
    if torch.backends.mkldnn.is_available() and pack is not None:
        multiply = torch.ops.mkldnn._linear_pointwise
        packed = pack(weight, None)
        name, how = ("none", "") if activation is None else (activation, "none")
        return lambda x: multiply(x, packed, bias, name, [], how)
    if activation is None:
        return lambda x: functional.linear(x, weight, bias)
    return lambda x: functional.gelu(functional.linear(x, weight, bias))


class _Classifier:
    """Embeddings and head are the model's own, in float32; the layers between are ours."""

    def __init__(self, model: Any, dtype: Any) -> None:
        import torch

        base = model.base_model
        self._embeddings = base.embeddings
        self._project = getattr(base, "embeddings_project", None)  # ELECTRA's, where sizes differ
        heads = model.config.num_attention_heads
        self._dtype = torch.float32 if dtype == torch.int8 else dtype  # of hidden states
        self._layers: list[Any]
        if dtype == torch.int8:
            peaks = find_peaks(model, _made_up(model, 8, 48, step=11))
            self._layers = [
                Int8Layer(layer, heads, peak)
                for layer, peak in zip(base.encoder.layer, peaks, strict=True)
            ]
        else:
            self._layers = [_Layer(layer, heads, dtype) for layer in base.encoder.layer]
        self._pooler = getattr(base, "pooler", None)
        self._head = model.classifier

    def __call__(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        first = self.first_tokens(input_ids, attention_mask, token_type_ids)
        return self._head(first if self._pooler is None else self._pooler(first))

    def first_tokens(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
        """What the head reads, float32 of shape (pairs, 1, width)."""
        hidden = self._embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        if self._project is not None:
            hidden = self._project(hidden)
        hidden = hidden.to(self._dtype)
        mask = None
        if not attention_mask.all():
            mask = (1 - attention_mask).float() * -30_000.0
        for layer in self._layers[:-1]:
            hidden = layer(hidden, mask)
        return self._layers[-1].first_token(hidden, mask).float()


class _Layer:
    def __init__(self, layer: Any, heads: int, dtype: Any) -> None:
        import torch

        own = layer.attention.self
        self._heads = heads
        self._width = own.query.weight.shape[0]
        scale = 1.0 / math.sqrt(self._width // self._heads)
        query_weight, query_bias = own.query.weight * scale, own.query.bias * scale
        weight = torch.cat([query_weight, own.key.weight, own.value.weight])
        bias = torch.cat([query_bias, own.key.bias, own.value.bias])
        self._all = _linear(weight, bias, dtype)
        self._query = _linear(query_weight, query_bias, dtype)
        self._key_value = _linear(weight[self._width :], bias[self._width :], dtype)
        output, intermediate = layer.attention.output, layer.intermediate
        self._out = _linear(output.dense.weight, output.dense.bias, dtype)
        self._up = _linear(intermediate.dense.weight, intermediate.dense.bias, dtype, "gelu")
        self._down = _linear(layer.output.dense.weight, layer.output.dense.bias, dtype)
        self._norms = [_norm(output.LayerNorm, dtype), _norm(layer.output.LayerNorm, dtype)]

    def __call__(self, hidden: Any, mask: Any) -> Any:
        pairs, tokens, _ = hidden.shape
        parts = self._all(hidden).view(pairs, tokens, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        return self._after(attend(query, key, value, mask), hidden)

    def first_token(self, hidden: Any, mask: Any) -> Any:
        """What the layer makes of the first token, shape (pairs, 1, width)."""
        pairs, tokens, _ = hidden.shape
        first = hidden[:, :1].contiguous()
        query = self._query(first).view(pairs, 1, self._heads, -1).transpose(1, 2)
        parts = self._key_value(hidden).view(pairs, tokens, 2, self._heads, -1)
        key, value = parts.permute(2, 0, 3, 1, 4)
        return self._after(attend(query, key, value, mask), first)

    def _after(self, context: Any, hidden: Any) -> Any:
        context = context.transpose(1, 2).reshape(hidden.shape[0], hidden.shape[1], self._width)
        hidden = self._norms[0](self._out(context) + hidden)
        return self._norms[1](self._down(self._up(hidden)) + hidden)


def _norm(module: Any, dtype: Any) -> Forward:
    from torch.nn import functional

    weight, bias = module.weight.detach().to(dtype), module.bias.detach().to(dtype)
    shape, eps = module.normalized_shape, module.eps
    return lambda x: functional.layer_norm(x, shape, weight, bias, eps)
