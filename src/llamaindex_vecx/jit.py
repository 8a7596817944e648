"""``@kernel``: numba's nogil jit with a compile cache that can be trusted.

numba keys its cache on the decorated function alone, so machine code goes stale when a callee in
another module changes, and a folder that can't be written makes the *import* fail. Here every kernel
is cached in one folder whose name is a hash of all kernel sources, the CPU and its features, and of
numba's version. The folder lies in the package if that is writable, else in the user's cache folder;
where neither can be written, kernels compile in memory.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core import caching
from numba.core.types.misc import unliteral

from llamaindex_vecx.compilers import KernelCompiler, PartCompiler

__all__ = ["cpu_has", "exact_inline", "exact_kernel", "exact_part", "inline", "kernel", "part"]

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = Path(__file__).parent
_log = logging.getLogger("llamaindex_vecx")


@cache
def _cpu_features() -> dict[str, bool]:
    features = dict(llvm.get_host_cpu_features())
    only = os.environ.get("LLAMAINDEX_VECX_PORTABLE")
    return {name: features.get(name, False) for name in only.split(",")} if only else features


def cpu_has(*features: str) -> bool:
    """Whether this CPU has every one of LLVM's ``features``, e.g. ``"avx512vnni"``.

    Where the environment variable ``LLAMAINDEX_VECX_PORTABLE`` is set, it has none but those named there,
    with commas between, so that the kernels of other CPUs can be tried: ``1`` stands for none, and so for
    the portable kernels, ``avx2`` for those of a CPU without AVX-512. The compile cache keeps them apart.
    """
    return all(_cpu_features().get(feature, False) for feature in features)


@cache
def _fingerprint() -> str:
    digest = hashlib.sha256()
    for source in sorted(_PACKAGE.rglob("*.py")):
        text = source.read_bytes()
        if b"numba" in text or b"llvmlite" in text or b"jit import" in text:
            digest.update(source.relative_to(_PACKAGE).as_posix().encode() + b"\0" + text)
    enabled = sorted(name for name, on in _cpu_features().items() if on)
    digest.update(f"{llvm.get_host_cpu_name()} {enabled}".encode())
    digest.update(f"{numba.__version__} {llvmlite.__version__} {sys.version_info[:2]}".encode())
    return digest.hexdigest()[:16]


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@cache
def cache_folder() -> Path | None:
    """The folder that compiled kernels are kept in, or None where no folder can be written."""
    override = os.environ.get("LLAMAINDEX_VECX_CACHE_DIR")
    bases: list[Callable[[], Path]] = [
        lambda: _PACKAGE / "__pycache__",
        lambda: _user_cache() / "llamaindex-vecx",
    ]
    if override:
        bases = [lambda: Path(override)]
    for base in bases:
        try:
            folder = base() / f"kernels-{_fingerprint()}"
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except (OSError, RuntimeError):  # RuntimeError: there is no home folder
            continue
        return folder
    return None


class _Locator(caching._CacheLocator):
    def __init__(self, py_func: Callable[..., Any], folder: Path) -> None:
        self._py_file = py_func.__code__.co_filename
        self._folder = folder
        qualified = f"{py_func.__module__}.{py_func.__qualname__}"
        self._disambiguator = hashlib.sha256(qualified.encode()).hexdigest()[:12]

    def get_cache_path(self) -> str:
        return str(self._folder)

    def get_source_stamp(self) -> str:
        return "sources are in the folder's name"

    def get_disambiguator(self) -> str:
        return self._disambiguator

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator | None:
        folder = cache_folder()
        return None if folder is None else cls(py_func, folder)


class _Impl(caching.CompileResultCacheImpl):
    _locator_classes = (_Locator,)


class _Cache(caching.FunctionCache):
    """numba's cache of one function; a file that can't be read or written is a miss, not an error."""

    _impl_class = _Impl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # a cut or foreign file: unpickling one can raise anything
            found = None
        if found is None:
            _announce()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except (
            Exception
        ) as error:  # a full disk, or an index that can't be read and so not extended
            _log.debug("a compiled kernel was not kept: %r", error)


class _NoCache(caching.NullCache):
    """Where nothing can be kept."""

    def load_overload(self, sig: Any, target_context: Any) -> None:
        _announce()


@cache
def _announce() -> None:
    _log.warning(
        "compiling search kernels for this CPU, which takes some ten seconds, %s",
        "once"
        if cache_folder() is not None
        else "in every process: no cache folder can be written; set LLAMAINDEX_VECX_CACHE_DIR to one",
    )


def kernel(function: F) -> F:
    """Compile ``function`` on first call: no GIL, contraction and reassociation of floats, cached.

    NaN and infinity keep their meaning: arguments are checked before a kernel sees them, but padding
    with infinity is used inside.
    """
    return _compiled(function, {"reassoc", "contract", "nsz", "arcp"})


def exact_kernel(function: F) -> F:
    """Like :func:`kernel`, with each float operation rounded as IEEE 754 and the source have it.

    For sums that must come out the same, to the bit, wherever they are made.
    """
    return _compiled(function, set())


def _compiled(function: F, fastmath: set[str]) -> F:
    dispatcher = _dispatcher(function, fastmath, KernelCompiler)
    if not numba.config.DISABLE_JIT:
        dispatcher._cache = _NoCache() if cache_folder() is None else _Cache(function)
    return cast(F, dispatcher)


def inline(function: F) -> F:
    """Like :func:`kernel`, for a small function that only other kernels call: always inlined by LLVM."""
    return _called(function, {"reassoc", "contract", "nsz", "arcp"}, forceinline=True)


def exact_inline(function: F) -> F:
    """To :func:`exact_kernel` what :func:`inline` is to :func:`kernel`."""
    return _called(function, set(), forceinline=True)


def part(function: F) -> F:
    """Like :func:`kernel`, for a function that only other kernels call and that is not small."""
    return _called(function, {"reassoc", "contract", "nsz", "arcp"}, forceinline=False)


def exact_part(function: F) -> F:
    """Like :func:`exact_kernel`, for a function that only other kernels call and that is not small."""
    return _called(function, set(), forceinline=False)


def _called(function: F, fastmath: set[str], *, forceinline: bool) -> F:
    dispatcher = _dispatcher(
        function,
        fastmath,
        PartCompiler,
        forceinline=forceinline,
        no_cpython_wrapper=True,  # a fifth of the compile time, and only kernels call it
    )
    if not numba.config.DISABLE_JIT:
        dispatcher.get_call_template = partial(_call_template, dispatcher)
    return cast(F, dispatcher)


def _dispatcher(
    function: Callable[..., Any],
    fastmath: set[str],
    compiler: type[KernelCompiler],
    **options: bool,
) -> Any:
    return numba.njit(
        nogil=True,
        error_model="numpy",
        fastmath=fastmath,
        no_cfunc_wrapper=True,  # nobody passes one on as a function
        pipeline_class=compiler,
        **options,
    )(function)


def _call_template(dispatcher: Any, args: Sequence[Any], kws: Mapping[str, Any]) -> Any:
    """Compile for an integer's type, where numba would compile anew for every constant passed."""
    return type(dispatcher).get_call_template(
        dispatcher,
        tuple(map(unliteral, args)),
        {name: unliteral(kind) for name, kind in kws.items()},
    )
