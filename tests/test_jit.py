"""The compile cache: found again by another process, keyed by the sources, never a reason to fail."""

from __future__ import annotations

import gc
import operator
import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.caching import NullCache
from numba.core.types.functions import BaseFunction
from numba.core.typing import Context

import llamaindex_vecx
from llamaindex_vecx import jit

PACKAGE = Path(llamaindex_vecx.__file__).parent
PROBE = """
from llamaindex_vecx import jit
import numpy as np

@jit.inline
def square(x):
    return x * x

@jit.kernel
def total(values):
    result = 0.0
    for i in range(values.shape[0]):
        result += square(values[i])
    return result

assert total(np.arange(4, dtype=np.float32)) == 14.0
print(sum(total.stats.cache_hits.values()), jit.cache_folder())
"""


def probe(folder: Path, **environment: str) -> tuple[int, str, str]:
    script = folder / "probe.py"
    script.write_text(PROBE)
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    hits, _, where = done.stdout.strip().partition(" ")
    return int(hits), where, done.stderr


def test_the_second_process_loads_what_the_first_compiled(tmp_path):
    cache = {"LLAMAINDEX_VECX_CACHE_DIR": str(tmp_path / "cache")}
    hits, _, said = probe(tmp_path, **cache)
    assert hits == 0
    assert said.count("compiling search kernels") == 1
    assert "once" in said
    hits, where, said = probe(tmp_path, **cache)
    assert (hits, said) == (1, "")
    assert Path(where).parent == tmp_path / "cache"


def test_without_a_writable_folder_kernels_compile_in_memory(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder can be made below a file")
    hits, where, said = probe(tmp_path, LLAMAINDEX_VECX_CACHE_DIR=str(blocked / "cache"))
    assert (hits, where) == (0, "None")
    assert "LLAMAINDEX_VECX_CACHE_DIR" in said


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("content", [b"", b"not a pickle", b"\x80\x04"])
def test_a_damaged_cache_is_a_miss(tmp_path, suffix, content):
    cache = {"LLAMAINDEX_VECX_CACHE_DIR": str(tmp_path / "cache")}
    probe(tmp_path, **cache)
    damaged = list((tmp_path / "cache").rglob(f"*{suffix}"))
    assert damaged
    for file in damaged:
        file.write_bytes(content)
    assert probe(tmp_path, **cache)[0] == 0


PARTS = """
from llamaindex_vecx import jit
import numpy as np

@jit.{kind}
def shifted(value, by):
    return value + by

@jit.kernel
def total(values, by):
    result = 0
    for i in range(values.shape[0]):
        result += shifted(values[i], 1) + shifted(values[i], 2) + shifted(values[i], by)
    return result

assert total(np.arange(4), 3) == 42
if not sum(total.stats.cache_hits.values()):
    print(len(shifted.signatures), [len(one.library._linking_libraries) >= 0
          and one.library._codegen._engine.is_symbol_defined(one.fndesc.llvm_func_name)
          for one in shifted.overloads.values()])
else:
    print(len(shifted.signatures))
"""


@pytest.mark.parametrize("kind", ["inline", "part", "exact_inline", "exact_part"])
def test_a_part_is_compiled_once_for_all_constants_and_not_alone(tmp_path, kind):
    """Three calls with two constants and a variable; the second process finds the whole kernel."""
    script = tmp_path / "parts.py"
    script.write_text(PARTS.replace("{kind}", kind))
    environment = {
        **os.environ,
        "PYTHONPATH": str(PACKAGE.parent),
        "LLAMAINDEX_VECX_CACHE_DIR": str(tmp_path / "cache"),
    }
    said = [
        subprocess.run(
            [sys.executable, str(script)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["1 [False]", "0"]


def test_compiling_leaves_the_garbage_collector_as_it_was():
    @jit.kernel
    def fine(x):
        return x + 1

    @jit.kernel
    def wrong(x):
        return x + "1"

    for on in (True, False):
        (gc.enable if on else gc.disable)()
        try:
            assert fine(1 if on else 1.0) == 2
            with pytest.raises(numba.TypingError):
                wrong(1)
            assert gc.isenabled() is on
        finally:
            gc.enable()


def test_an_operator_is_typed_once_for_all_kernels_and_elsewhere_as_numba_does(monkeypatch):
    asked = {True: [], False: []}
    ask = BaseFunction.get_call_type

    def noted(self, context, args, kws):
        if self.typing_key is operator.xor:
            asked[type(context) is Context].append(args)
        return ask(self, context, args, kws)

    monkeypatch.setattr(BaseFunction, "get_call_type", noted)

    def mixed(x, y):
        return ((x ^ y) ^ (y ^ x)) ^ (x ^ y)

    numbers = np.uint16(9), np.uint16(5)
    for compiled in (jit.kernel(mixed), jit.exact_kernel(mixed)):
        compiled._cache = NullCache()  # what an earlier run of this test compiled says nothing
        assert compiled(*numbers) == mixed(*numbers)
    kernels = list(asked[False])
    assert 0 < len(kernels) == len(set(kernels)) < 5
    assert numba.njit(mixed)(*numbers) == mixed(*numbers)
    assert len(asked[True]) >= 5
    assert asked[False] == kernels
