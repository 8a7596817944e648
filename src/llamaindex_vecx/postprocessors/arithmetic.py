"""In which numbers a cross-encoder computes here."""

from __future__ import annotations

from typing import Any

from llamaindex_vecx.device import DTYPES, choose_dtype
from llamaindex_vecx.errors import InvalidInputError
from llamaindex_vecx.jit import cpu_has
from llamaindex_vecx.postprocessors.int8 import cpu_multiplies_int8

__all__ = ["choose_arithmetic"]


def choose_arithmetic(asked: str | None, device: str) -> Any:
    """:func:`~llamaindex_vecx.device.choose_dtype`, and int8 where a CPU is fastest in it.

    That is with VNNI and without AMX, whose bfloat16 is fast enough.

    Raises
    ------
    InvalidInputError
        No such dtype, or int8 where the device can't multiply it.
    """
    import torch

    on_cpu = torch.device(device).type == "cpu"
    if asked is None:
        fastest = on_cpu and cpu_multiplies_int8() and not cpu_has("amx-bf16")
        return torch.int8 if fastest else choose_dtype(None, device)
    if asked == "int8":
        if not on_cpu or not cpu_multiplies_int8():
            raise InvalidInputError(
                f"dtype='int8' needs a CPU with AVX512-VNNI or AVX-VNNI, and device={device!r} is "
                "none; leave dtype out for the fastest that it has"
            )
        return torch.int8
    if asked not in DTYPES:
        raise InvalidInputError(f"dtype={asked!r} must be one of {', '.join((*DTYPES, 'int8'))}")
    return choose_dtype(asked, device)
