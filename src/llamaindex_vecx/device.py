"""On what torch runs here, and in what arithmetic: one choice for reranking and for fine-tuning.

torch is imported by who calls, never by this module's import.
"""

from __future__ import annotations

import os
from typing import Any

from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.jit import cpu_has

__all__ = ["DTYPES", "before_torch", "choose_device", "choose_dtype", "cpu_gains_from_bfloat16"]

DTYPES = ("float32", "bfloat16", "float16")


def before_torch() -> None:
    """Settings that torch reads when it is imported; what the user set stays."""
    # By default OpenMP's threads spin while they wait for each other, which starves other programs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def choose_device(asked: str | None) -> str:
    """``asked``, or the best there is: cuda, then mps, then cpu.

    Raises
    ------
    InvalidInputError
        torch knows no such device, or the machine has none.
    """
    import torch

    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if asked is None:
        return "cuda" if has_cuda else "mps" if has_mps else "cpu"
    try:
        kind = torch.device(asked).type
    except (RuntimeError, TypeError) as error:
        raise InvalidInputError(
            f"device={asked!r} is no device of torch; give 'cpu', 'cuda', 'cuda:1' or 'mps'"
        ) from error
    if (kind == "cuda" and not has_cuda) or (kind == "mps" and not has_mps):
        raise InvalidInputError(
            f"device={asked!r} is not to be had on this machine; leave device out, or give 'cpu'"
        )
    return asked


def choose_dtype(asked: str | None, device: str) -> Any:
    """The torch dtype of this name, or the fastest whose answers stay close to float32's.

    That is bfloat16 on a CPU that multiplies it in hardware (AMX, AVX512-bf16) and on a GPU that does,
    float16 on other GPUs and on Apple's, else float32.

    Raises
    ------
    InvalidInputError
    """
    import torch

    if asked is not None:
        if asked not in DTYPES:
            raise InvalidInputError(f"dtype={asked!r} must be one of {', '.join(DTYPES)}")
        return getattr(torch, asked)
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if kind == "mps":
        return torch.float16
    return torch.bfloat16 if cpu_gains_from_bfloat16() else torch.float32


def cpu_gains_from_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    return cpu_has("amx-bf16") or cpu_has("avx512bf16")
