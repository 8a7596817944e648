"""Attention for scoring: no dropout, no gradient, bfloat16 softmax in one pass."""

from __future__ import annotations

from typing import Any

from llamaindex_vecx.index.batches import each_range
from llamaindex_vecx.postprocessors.kernels import softmax_rows

__all__ = ["attend"]

_LONGEST_DENSE = 1024
"""Tokens up to which bfloat16 attention keeps its whole matrix: faster than torch's fused one here."""


def attend(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Attention with a query that is scaled already. Vaswani et al. 2017 (arXiv:1706.03762), section 3.2.1.

    Parameters
    ----------
    query, key, value : torch.Tensor of float32 or bfloat16, shape (pairs, heads, tokens, size)
    mask : torch.Tensor of float32, shape (pairs, tokens), or None
        Is added to what a key weighs.

    Returns
    -------
    torch.Tensor, shape (pairs, heads, tokens of the query, size)
    """
    import torch
    from torch.nn import functional

    tokens = key.shape[2]
    if query.dtype == torch.float32 or tokens > _LONGEST_DENSE:
        if mask is not None:
            mask = mask[:, None, None, :].to(query.dtype).expand(-1, -1, query.shape[2], -1)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)
    weights = (query @ key.transpose(-1, -2)).contiguous()
    if mask is None:
        mask = torch.zeros(key.shape[0], tokens)
    rows, added = weights.view(torch.int16).view(-1, tokens).numpy(), mask.numpy()
    each_range(
        lambda first, last: softmax_rows(rows, first, last, added),
        len(rows),
        torch.get_num_threads(),
    )
    return weights @ value
