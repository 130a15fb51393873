"""The one place that knows how kernels are compiled."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config, types

Function = TypeVar("Function", bound=Callable[..., object])

_INTERPRETED = bool(getattr(config, "DISABLE_JIT", False))

CACHES_KEPT = 4
"""Machine code of this many versions of the sources stays on disk."""


def _source_digest() -> str:
    """Hash every module that holds kernels.

    Numba's own cache looks at the file of the cached function only, so an edit in a module it
    calls would be missed; a folder per state of the sources cannot be stale.
    """
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(numba.__version__.encode())
    for package in ("amm", "vaults", "sims"):
        for source in sorted((root / package).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _use_cache_folder() -> None:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evergamma"
    folder = home / _source_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
    except OSError:  # a home that cannot be written to: compile anew rather than fail
        home = Path(tempfile.mkdtemp(prefix="evergamma-"))
        folder = home / folder.name
        folder.mkdir()
    by_age = sorted((path for path in home.iterdir() if path.is_dir()), key=os.path.getmtime)
    for old in by_age[:-CACHES_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]


if "NUMBA_CACHE_DIR" not in os.environ and not _INTERPRETED:
    _use_cache_folder()


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


def kernel(function: Function) -> Function:
    """Compile a pure function, keeping its Python signature for the type checker.

    It runs without the GIL, so threads can share the paths of a simulation. Not used, and why:
    `fastmath` makes `isnan` false; `parallel` loses exceptions and writes to arrays in tuples.
    """
    compiled = numba.njit(nogil=True, error_model="numpy", cache=True)(function)
    if not _INTERPRETED:
        _ignore_literals(compiled)
    return cast("Function", compiled)


def inline_kernel(function: Function) -> Function:
    """Compile a pure function that is always inlined into the kernels that call it.

    A loop becomes vector code only if nothing in it is a call.
    """
    compiled = numba.njit(nogil=True, error_model="numpy", cache=True, forceinline=True)(function)
    if not _INTERPRETED:
        _ignore_literals(compiled)
    return cast("Function", compiled)
