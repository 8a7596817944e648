"""An LLM that the user names: a class of LlamaIndex's, or one of their own."""

from __future__ import annotations

import importlib

from llama_index.core.llms import LLM

from llamaindex_vecx.errors import InvalidInputError

__all__ = ["load_llm"]


def load_llm(name: str) -> LLM:
    """The LLM of ``module:attribute``: an LLM, or a class or function that makes one without arguments.

    Raises
    ------
    InvalidInputError
        There is none of that name, or it is no LLM.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        raise InvalidInputError(f"the LLM {name!r} must be module:Class, e.g. my_llms:judge")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidInputError(f"there is no LLM {name!r}: {error}") from error
    llm = found() if callable(found) and not isinstance(found, LLM) else found
    if not isinstance(llm, LLM):
        raise InvalidInputError(f"{name!r} is {type(llm).__name__}, not a LlamaIndex LLM")
    return llm
