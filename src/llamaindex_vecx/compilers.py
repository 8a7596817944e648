"""How kernels are compiled: as numba does, without what they don't need, which is a third of the time.

Whoever uses the package for the first time waits for all of it, so: fewer passes over the code, no type of
an operator worked out twice, no garbage collection meanwhile, no machine code of what is only inlined.
"""

from __future__ import annotations

import gc
import operator
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from numba.core import compiler, typed_passes, types, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_machinery import PassManager
from numba.core.typing import Context

__all__ = ["KernelCompiler", "PartCompiler"]

_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.GenericRewrites,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.NoPythonSupportedFeatureValidation,
    typed_passes.IRLegalization,
    typed_passes.AnnotateTypes,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
"""None for closures, comprehensions, ``with``, ``literal_unroll``, dead branches, array expressions."""

_BUILTIN = type(len), type


class _Memory(Context):
    """A typing context that works out once what an operator or a built-in gives for some types.

    numba asks each of an operator's implementations in turn, some dozen, every time that it occurs.
    """

    def __init__(self, original: Context) -> None:
        self.__dict__.update(original.__dict__)  # dictionaries that both go on to share
        self._known: dict[tuple[int, Any], tuple[Any, Any]] = {}

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """The signature of a call."""
        if kws or not (isinstance(func, types.BaseFunction) or type(func) in _BUILTIN):
            return super().resolve_function_type(func, args, kws)
        key = id(func), args  # a function of numba's is hashed by all of its implementations
        if key in self._known:
            return self._known[key][0]
        found = super().resolve_function_type(func, args, kws)
        self._known[key] = found, func
        return found

    def resolve_setitem(self, target: Any, index: Any, value: Any) -> Any:
        """The signature of an assignment to an element."""
        setitem = self.resolve_value_type(operator.setitem)
        return self.resolve_function_type(setitem, (target, index, value), {})


@cache
def _memory(original: Context) -> _Memory:
    return _Memory(original)


class KernelCompiler(compiler.CompilerBase):
    """numba's compiler with the passes that kernels need."""

    def __init__(self, typingctx: Context, *rest: Any) -> None:
        super().__init__(_memory(typingctx), *rest)

    def compile_extra(self, func: Any) -> Any:
        """Compile a Python function."""
        with _no_collection():
            return super().compile_extra(func)

    def define_pipelines(self) -> list[PassManager]:
        """The passes, in one pipeline."""
        passes = PassManager("kernel")
        for kind in _PASSES:
            passes.add_pass(kind)
        passes.finalize()
        return [passes]


@contextmanager
def _no_collection() -> Iterator[None]:
    """A compiler makes millions of objects and hardly a cycle, and a tenth of its time goes for looking."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _NoEnvironment:
    """In place of the code generator, which would write to a variable that has no machine code."""

    def set_env(self, name: str, env: Any) -> None:
        """Parts run with the environment of the kernel that they are linked into."""


class _PartLibrary(JITCodeLibrary):
    """A module that is only linked into others.

    numba optimises every function and turns it into machine code before it links it into its callers,
    which are then optimised as a whole. For a function that is never called from Python, that is lost work.
    """

    @property
    def codegen(self) -> _NoEnvironment:
        return _NoEnvironment()

    def get_pointer_to_function(self, name: str) -> int:
        """0, which is how numba says that there is no such machine code."""
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class PartCompiler(KernelCompiler):
    """For functions that only kernels call: as far as LLVM IR, and no further."""

    def compile_extra(self, func: Any) -> Any:
        """Compile a Python function."""
        library = _PartLibrary(self.state.targetctx.codegen(), func.__qualname__)
        library.enable_object_caching()
        self.state.library = library
        return super().compile_extra(func)
