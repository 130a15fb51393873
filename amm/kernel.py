"""The one place that knows how kernels are compiled."""

import fcntl
import functools
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import caching, config, types
from numba.core.compiler_lock import global_compiler_lock

Function = TypeVar("Function", bound=Callable[..., object])

_INTERPRETED = bool(getattr(config, "DISABLE_JIT", False))

CACHES_KEPT = 8
"""Machine code of this many versions of the sources of each package stays on disk."""

_DECORATOR = re.compile(rb"^@(allocating_|lending_|inline_)?kernel$", re.MULTILINE)
HOUSE = ("amm", "vaults", "sims")
"""Packages that hold kernels: each may call those before it."""


def digest_of(packages: tuple[str, ...]) -> str:
    """Hash every module a kernel of some packages can call: those of folders that hold kernels."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for package in packages:
        sources = {each: each.read_bytes() for each in sorted((root / package).rglob("*.py"))}
        folders = {each.parent for each, text in sources.items() if _DECORATOR.search(text)}
        for source, text in sources.items():
            if source.parent in folders:
                digest.update(str(source.relative_to(root)).encode())
                digest.update(text)
    return digest.hexdigest()[:16]


@functools.cache
def _cache_home() -> Path:
    """Return the folder machine code is kept in."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evergamma"
    try:
        home.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=home).close()
    except OSError:  # a home that cannot be written to: compile anew rather than fail
        home = Path(tempfile.mkdtemp(prefix="evergamma-"))
    return home


@functools.cache
def _cache_folder(package: str) -> Path:
    """Return where the kernels of a package are kept: a folder for each state of the sources.

    Numba's own cache looks at the file of the cached function only, so an edit in a module it
    calls would be missed; a folder per state of all that can be called cannot be stale. It does
    not depend on where the sources are, so copies of them share it.
    """
    below = HOUSE[: HOUSE.index(package) + 1] if package in HOUSE else HOUSE
    folder = _cache_home() / f"{package}-{digest_of(below)}"
    folder.mkdir(exist_ok=True)
    os.utime(folder)
    by_age = sorted(_cache_home().glob(f"{package}-*"), key=os.path.getmtime)
    for old in by_age[:-CACHES_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


class _Locator(caching._CacheLocator):  # noqa: SLF001 - no public base
    """Says where machine code of one function is: its module's name and line tell it apart."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._module = function.__module__
        self._line = function.__code__.co_firstlineno

    def get_cache_path(self) -> str:
        return str(_cache_folder(self._module.partition(".")[0]))

    def get_source_stamp(self) -> str:
        return self.get_cache_path()

    def get_disambiguator(self) -> str:
        return f"{self._module}-{self._line}"

    @classmethod
    def from_function(cls, function: Callable[..., object], _file: str) -> "_Locator":
        return cls(function)


class _CacheImpl(caching.CompileResultCacheImpl):
    _locator_classes: list[Any] = [_Locator]  # noqa: RUF012 - as in the base


class _Cache(caching.FunctionCache):
    _impl_class = _CacheImpl


def _keep(dispatcher: Any) -> None:
    """Let machine code of a kernel outlive the process."""
    cache: Any = _Cache
    dispatcher._cache = cache(dispatcher.py_func)  # noqa: SLF001 - as enable_caching does


def _compile_once(dispatcher: Any) -> None:
    """Let processes that start together wait for the one that compiles a kernel first.

    Kernels are locked in the order of their calls, after Numba's own lock: nobody waits in a ring.
    """
    compile_here = dispatcher.compile
    index = Path(dispatcher._cache._cache_file._index_path)  # noqa: SLF001 - no public name

    def compile_alone(signature: Any) -> Any:
        if index.exists():
            return compile_here(signature)
        with global_compiler_lock, index.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return compile_here(signature)

    dispatcher.compile = compile_alone


def _refuse_arrays(dispatcher: Any) -> None:
    """Refuse a kernel that misuses arrays before it can be called."""
    compiler = dispatcher._compiler  # noqa: SLF001 - no public hook
    compile_any = compiler.compile

    def compile_right(args: Any, return_type: Any) -> Any:
        compiled = compile_any(args, return_type)
        _check_arrays(compiled)
        return compiled

    compiler.compile = compile_right


def _check_arrays(compiled: Any) -> None:
    """Refuse arrays from a kernel of the other kind: they would be released never, or twice.

    And arrays returned where none are counted: Python would get the one they are part of.
    """
    counts, notes = compiled.target_context.enable_nrt, compiled.type_annotation
    if not counts and _holds_arrays(compiled.signature.return_type):
        raise TypeError(f"{compiled.fndesc.qualname} may not return arrays")
    for call, signature in notes.calltypes.items():
        if getattr(call, "op", "") != "call" or not _holds_arrays(signature.return_type):
            continue
        other = getattr(notes.typemap[call.func.name], "dispatcher", None)
        if other is None or getattr(other, "lends", False):
            continue
        if other.targetoptions.get("_nrt") != counts:
            names = compiled.fndesc.qualname, other.py_func.__qualname__
            raise TypeError("{} may not receive arrays from {}".format(*names))


def _holds_arrays(kind: Any) -> bool:
    """Whether values of a type hold arrays."""
    if isinstance(kind, types.BaseTuple):
        return any(_holds_arrays(each) for each in kind.types)  # type: ignore[attr-defined]
    return isinstance(kind, types.Array)


def _ignore_literals(dispatcher: Any) -> None:
    """Compile once for an integer argument, not once more for each constant passed to it.

    Numba types a constant by its value, so `mul_div_down(a, b, PPM)` would be a specialisation
    of its own, and with it everything it calls.
    """
    compiler = dispatcher._compiler  # noqa: SLF001 - no public hook
    fold = compiler.fold_argument_types

    def fold_plain(args: tuple[Any, ...], kws: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        signature, folded = fold(args, kws)
        unliteral: Any = types.unliteral
        return signature, tuple(unliteral(each) for each in folded)

    compiler.fold_argument_types = fold_plain


def _ask_bundles(dispatcher: Any) -> None:
    """Let bundles tell their types: numba's way takes ten times as long, at every call."""
    ask = dispatcher.typeof_pyval

    def typeof_pyval(value: Any) -> Any:
        found = getattr(value, "bundle_type", None)
        if found is None:
            return ask(value)
        dispatcher._types_active_call.add(found)  # noqa: SLF001 - as the one replaced does
        return found

    dispatcher.typeof_pyval = typeof_pyval


def _prepare(dispatcher: Any) -> None:
    """Set how a kernel is compiled and kept."""
    _ignore_literals(dispatcher)
    _refuse_arrays(dispatcher)
    _ask_bundles(dispatcher)
    _keep(dispatcher)
    _compile_once(dispatcher)


def kernel(function: Function) -> Function:
    """Compile a pure function, keeping its Python signature for the type checker.

    It runs without the GIL, so threads can share the paths of a simulation. It counts no
    references, which would cost more than what it computes: its caller keeps the arrays it is
    given. So it makes no arrays, which is refused when it is compiled; `allocating_kernel` does.

    Not used, and why: `fastmath` makes `isnan` false; `parallel` loses exceptions and writes to
    arrays in tuples.
    """
    return _compiled(function, _nrt=False)


def allocating_kernel(function: Function) -> Function:
    """Compile a pure function that makes arrays for itself, or returns any.

    What it makes and returns may be received by Python and by others of its kind only: nobody else
    would release it.
    """
    return _compiled(function, _nrt=True)


def lending_kernel(function: Function) -> Function:
    """Compile a pure function that returns arrays of a bundle it was given.

    Nobody counts references to those, so kernels of every kind may receive them. In Python they are
    good as long as the bundle is kept.
    """
    compiled: Any = _compiled(function, _nrt=True)
    if not _INTERPRETED:
        compiled.lends = True
    return cast("Function", compiled)


def inline_kernel(function: Function) -> Function:
    """Compile a pure function that is always inlined into the kernels that call it.

    A loop becomes vector code only if nothing in it is a call.
    """
    return _compiled(function, _nrt=False, forceinline=True)


def _compiled(function: Function, **options: bool) -> Function:
    njit: Any = numba.njit
    compiled = njit(nogil=True, error_model="numpy", **options)(function)
    if not _INTERPRETED:
        _prepare(compiled)
    return cast("Function", compiled)
