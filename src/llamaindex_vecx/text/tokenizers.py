"""Tokenizers by name.

A collection stores its tokenizer's name and version and opens with the same one, so a tokenizer needs a
name. Code is never imported because a stored name says so: a tokenizer of your own is passed, or
registered, again by whoever opens the collection.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast, runtime_checkable

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.text.analyzers import KiwiTokenizer, bigram, default, english

__all__ = ["Tokenizer", "get_tokenizer", "register_tokenizer"]


@runtime_checkable
class Tokenizer(Protocol):
    """Text to tokens.

    Attributes
    ----------
    name : str
        By which :func:`get_tokenizer` finds it.
    version : str
        Changes whenever the tokens of some text do; an index of another version is built anew.
    """

    name: str
    version: str

    def __call__(self, text: str) -> list[str]:
        """Tokens in order, with repeats. None at all is a legal answer.

        A query of nothing but stop words gives no tokens and finds nothing: documents have no such
        terms either, and any answer would be arbitrary.
        """
        ...


class _Named:
    """A plain function with the name and version it was registered under."""

    def __init__(self, name: str, function: Callable[[str], Sequence[str]], version: str) -> None:
        self.name = name
        self.version = version
        self.function = function

    def __call__(self, text: str) -> list[str]:
        return list(self.function(text))

    def __repr__(self) -> str:
        return f"<tokenizer {self.name!r}, version {self.version}>"


_makers: dict[str, Callable[[], Tokenizer]] = {
    "default": default,
    "english": english,
    "bigram": bigram,
    "kiwi": KiwiTokenizer,
}
_made: dict[str, Tokenizer] = {}


def register_tokenizer(
    name: str, function: Callable[[str], Sequence[str]], version: str = "1"
) -> Tokenizer:
    """Give a function a name that collections can store.

    Parameters
    ----------
    name : str
        A name registered before is replaced; those of the package can't be.
    function : (text) -> sequence of str
    version : str
        Change it whenever the function's tokens change.

    Raises
    ------
    InvalidInputError
    """
    if name in _makers:
        raise InvalidInputError(f"name={name!r} is a tokenizer of this package; choose another")
    if not name or not callable(function):
        raise InvalidInputError(
            f"a tokenizer needs a name and a function, not {name!r} and {function!r}"
        )
    tokenizer = _made[name] = _Named(name, function, version)
    return tokenizer


def get_tokenizer(tokenizer: str | Tokenizer | Callable[[str], Sequence[str]]) -> Tokenizer:
    """The tokenizer of that name, or one made of a function.

    Parameters
    ----------
    tokenizer : str, Tokenizer or function
        A function of a module is called by its qualified name, e.g. ``"my.module.tokenize"``.

    Raises
    ------
    InvalidInputError
        The name is unknown, or the function has no name by which a collection could be opened again.
    MissingExtraError
        ``"kiwi"`` without the ``korean`` extra.
    """
    if isinstance(tokenizer, str):
        return _by_name(tokenizer)
    if isinstance(tokenizer, Tokenizer):
        if tokenizer.name not in _makers:
            _made[tokenizer.name] = tokenizer
        return tokenizer
    if not callable(tokenizer):
        raise InvalidInputError(f"tokenizer={tokenizer!r} is neither a name nor a function")
    name = _qualified_name(tokenizer)
    known = _made.get(name)
    if isinstance(known, _Named) and known.function is tokenizer:
        return known
    return register_tokenizer(name, tokenizer)


def _by_name(name: str) -> Tokenizer:
    if name not in _made:
        if name not in _makers:
            known = ", ".join(sorted({*_makers, *_made}))
            raise InvalidInputError(
                f"tokenizer={name!r} is unknown; known are {known}. Make your own known by "
                "register_tokenizer(name, function), or pass the function itself"
            )
        _made[name] = _makers[name]()
    return _made[name]


def _qualified_name(function: Callable[..., Any]) -> str:
    module = getattr(function, "__module__", None)
    path = getattr(function, "__qualname__", None)
    found: object = sys.modules.get(module) if isinstance(module, str) else None
    for part in path.split(".") if isinstance(path, str) else [""]:
        found = getattr(found, part, None)
    if found is not function:
        raise InvalidInputError(
            f"tokenizer={function!r} can't be found again by a name, so a collection that was built "
            "with it could not be reopened; call register_tokenizer(name, function) and pass the name"
        )
    return f"{module}.{cast(str, path)}"
