"""How functions are compiled that only kernels call: as far as LLVM IR, and no further.

numba optimises every function and turns it into machine code before it links it into its callers, which
are then optimised as a whole. For a function that is never called from Python, the first is lost work: a
fifth of the time that all kernels take.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

__all__ = ["PartCompiler"]


class _NoEnvironment:
    """In place of the code generator, which would write to a variable that has no machine code."""

    def set_env(self, name: str, env: Any) -> None:
        """Parts run with the environment of the kernel that they are linked into."""


class _PartLibrary(JITCodeLibrary):
    """A module that is only linked into others."""

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


class PartCompiler(Compiler):
    """numba's compiler, with a library that is neither optimised nor made machine code."""

    def compile_extra(self, func: Any) -> Any:
        """Compile a Python function."""
        library = _PartLibrary(self.state.targetctx.codegen(), func.__qualname__)
        library.enable_object_caching()
        self.state.library = library
        return super().compile_extra(func)
