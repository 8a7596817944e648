"""Packages that only one handler needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llamaindex_vecx.errors import MissingExtraError

__all__ = ["import_extra"]


def import_extra(module: str, extra: str) -> Any:
    """``module``, or a clear word on how to get it.

    Raises
    ------
    MissingExtraError
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise MissingExtraError(package, extra) from error
