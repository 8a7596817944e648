"""Models by name or folder: found without a long wait, and refused where their files are damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from llamaindex_vecx.errors import FormatError, MissingExtraError

__all__ = ["build_from", "check_weights_file"]

T = TypeVar("T")

_TIMEOUT = 10.0


def build_from(name: str, build: Callable[..., T]) -> T:
    """What ``build(local_files_only=…)`` makes of a name or folder.

    Raises
    ------
    Exception
        Whatever the hub, the disk or the model's format raise.
    """
    try:
        return build(local_files_only=True)
    except Exception:
        if Path(name).is_dir():
            raise
    _ask_hub(name)  # at once; loading would try again for a minute
    return build(local_files_only=False)


def _ask_hub(name: str) -> Any:
    from huggingface_hub import HfApi

    return HfApi().model_info(name, timeout=_TIMEOUT)


def check_weights_file(file: Path, remedy: str) -> None:
    """Refuse a safetensors file that was cut short. Only its header is read.

    Raises
    ------
    FormatError
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise MissingExtraError("safetensors", "rerank") from error
    try:
        with safe_open(str(file), framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise FormatError(f"{file} is damaged or was cut short ({error}); {remedy}") from error
