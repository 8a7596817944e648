"""Tokens of LLM calls, counted where the LLM does not say."""

from __future__ import annotations

from collections.abc import Callable, Sized
from functools import lru_cache

from llama_index.core.utils import get_tokenizer

from llamaindex_vecx.observe.steps import Step

__all__ = ["count_tokens"]

_LONGEST = 200_000


@lru_cache(maxsize=1)
def _tokenizer() -> Callable[[str], Sized]:
    return get_tokenizer()


def count_tokens(trace: Step) -> None:
    """Fill in ``tokens`` of LLM calls that report none, by LlamaIndex's global tokenizer, as an estimate."""
    for step in trace.walk():
        if step.name == "llm" and not step.tokens and step.prompt and step.answer is not None:
            count = _tokenizer()
            step.tokens = {
                "prompt": len(count(step.prompt[:_LONGEST])),
                "completion": len(count(step.answer[:_LONGEST])),
                "counted": 1,
            }
