"""Arrays of any shape through kernels: broadcast, cut into blocks, spread over threads.

A kernel walks blocks of elements, each argument and result a row of it. A row is a piece of the
array itself where that is possible, so that memory is read and written while the processor
computes, and a buffer where an argument repeats: numbers that all elements share are never written
out to full length. One compiled version serves every shape, and since loops are the same code for
each element, a result depends neither on its place nor on the number of threads.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.kernel import allocating_kernel, kernel

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]

BLOCK = 2048
"""Elements of a block: a few rows of them stay in the cache, and starting one costs little."""
SPAN = 32 * BLOCK
"""Elements that a thread takes at a time."""
THREADED = 2 * SPAN
"""Fewer elements than this are not worth a thread."""

_ITEM_BYTES = 8
_LINE = 8
"""Numbers in a line of the cache."""

_REAL_KINDS = frozenset("biufO")
"""Booleans, integers, floats, and objects, which know themselves whether they are numbers."""
_NOT_WANTED = np.empty(0)
_SIDES = {"call": np.array(1.0), "put": np.array(-1.0)}


class Operands(NamedTuple):
    """Arguments broadcast to one shape, each without its repetitions."""

    sources: tuple[Floats, ...]
    """The distinct numbers of each argument, in one row."""
    steps: Integers
    """How far to go in a source for each axis of the shape: 0 where it repeats."""
    shape: Integers
    is_flat: Bools
    """Whether an argument has one number for each element."""
    is_shared: Bools
    """Whether it has one number for all."""


def as_floats(name: str, number: npt.ArrayLike) -> Floats:
    """Return an argument as an array; raise `ValueError` naming it if it is none."""
    try:
        array = np.asarray(number)
        if array.dtype == np.float64:
            return array
        # Others, complex numbers and dates among them, would lose their meaning on the way.
        if array.dtype.kind in _REAL_KINDS:
            return array.astype(np.float64)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a number or an array of numbers") from error
    raise ValueError(f"{name} must be a number or an array of numbers, not of {array.dtype}")


def as_sides(kind: npt.ArrayLike) -> Floats:
    """Return 1 for each "call" and -1 for each "put"; raise `ValueError` for other kinds."""
    if isinstance(kind, str) and kind in _SIDES:
        return _SIDES[kind]
    try:
        kinds = np.asarray(kind)
    except ValueError as error:
        raise ValueError("kind must be 'call' or 'put', or an array of these") from error
    is_call = np.asarray(kinds == "call")
    wrong = kinds[~(is_call | (kinds == "put"))]
    if wrong.size:
        raise ValueError(f"kind must be 'call' or 'put', not {str(wrong.flat[0])!r}")
    return np.where(is_call, 1.0, -1.0)


def as_row(name: str, array: object, shape: tuple[int, ...], arguments: Sequence[Floats]) -> Floats:
    """Return an output array as one row that shares its memory; refuse what does not fit."""
    # `carray` is contiguous, aligned and writable.
    if not (
        isinstance(array, np.ndarray)
        and array.dtype == np.float64
        and array.shape == shape
        and array.flags.carray
    ):
        raise ValueError(
            f"{name} must be a C-contiguous float64 array of shape {shape} that can be written to"
        )
    for argument in arguments:
        if np.may_share_memory(array, argument):
            raise ValueError(f"{name} must not share memory with an argument")
    return array.reshape(-1)


def as_rows(
    names: tuple[str, ...],
    out: object,
    shape: tuple[int, ...],
    arguments: Sequence[Floats],
) -> list[Floats]:
    """Return output arrays as rows, empty ones where None is; refuse what does not fit.

    Args:
        names: Those of the fields.
        out: What a caller gave, hopefully an array for each of them.
        shape: That of each array.
        arguments: What is computed from, which no array may share memory with.
    """
    if not isinstance(out, tuple) or len(out) != len(names):
        fields = ", ".join(f"out.{name}" for name in names)
        raise ValueError(f"out must be a tuple of {len(names)} arrays: {fields}")
    # A number that has memory of its own is in no longer array.
    is_short = math.prod(shape) == 1
    arguments = [each for each in arguments if is_short or each.ndim or each.base is not None]
    rows: list[Floats] = []
    for name, field in zip(names, out, strict=True):
        if field is None:
            rows.append(_NOT_WANTED)
            continue
        row = as_row(f"out.{name}", field, shape, arguments)
        for other, before in zip(names, rows, strict=False):
            if np.may_share_memory(row, before):
                raise ValueError(f"out.{name} must not share memory with out.{other}")
        rows.append(row)
    return rows


def check_threads(threads: object) -> None:
    """Raise `ValueError` unless it is None or a number of threads."""
    if threads is not None and not (isinstance(threads, int | np.integer) and threads > 0):
        raise ValueError(f"threads must be None or a positive integer, not {threads!r}")


def broadcast(arguments: Sequence[Floats], shape: tuple[int, ...]) -> Operands:
    """Return arguments as operands of the shape that they broadcast to."""
    axes = shape or (1,)
    size = math.prod(axes)
    # The kernels are compiled for arrays in C order that may be written to, whether they do or not.
    rows = [np.require(argument, requirements=["C", "W"]) for argument in arguments]
    steps = np.zeros((len(rows), len(axes)), dtype=np.int64)
    for row, step in zip(rows, steps, strict=True):
        if row.size not in {1, size}:
            step[:] = np.array(np.broadcast_to(row, axes).strides) // _ITEM_BYTES
    return Operands(
        sources=tuple(row.reshape(-1) for row in rows),
        steps=steps,
        shape=np.array(axes, dtype=np.int64),
        is_flat=np.array([row.size == size for row in rows]),
        is_shared=np.array([row.size == 1 for row in rows]),
    )


def run(
    fill: Callable[..., None],
    operands: Operands,
    results: Sequence[Floats],
    threads: int | None = None,
) -> None:
    """Compute all elements of the results.

    Args:
        fill: A kernel `fill(operands, first, last, *results)` that computes these elements.
        operands: The arguments; `operand` gives the kernel its rows.
        results: Rows to write to, of the operands' size or empty where they are not wanted.
        threads: How many to use for many elements; None for one on each core of the process.

    Raises:
        ValueError: For a number of threads that is none.
    """
    check_threads(threads)
    size = int(np.prod(operands.shape))
    if threads is None:
        threads = usable_cores() if size >= THREADED else 1
    if threads <= 1 or size < THREADED:
        fill(operands, 0, size, *results)
        return
    with ThreadPoolExecutor(threads) as pool:
        spans = [
            pool.submit(fill, operands, first, min(first + SPAN, size), *results)
            for first in range(0, size, SPAN)
        ]
        for span in spans:
            span.result()


def usable_cores() -> int:
    """Return how many cores the system lets this process use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@allocating_kernel
def new_block(rows: int) -> Floats:
    """Return a block of that many rows, aligned to the lines of the cache: a sixth faster."""
    numbers = np.ones(rows * BLOCK + _LINE)
    skipped = -(int(numbers.ctypes.data) // _ITEM_BYTES) % _LINE
    return numbers[skipped : skipped + rows * BLOCK]


@allocating_kernel
def operand(
    operands: Operands, number: int, start: int, count: int, is_fresh: bool, block: Floats
) -> Floats:
    """Return `count` elements of one operand from `start` on, in one row.

    The row is part of the argument itself or, where that repeats, a row of the block. What all
    elements share is written into a fresh block only.
    """
    if operands.is_flat[number]:
        return operands.sources[number][start : start + count]
    row = block[number * BLOCK : number * BLOCK + count]
    if is_fresh or not operands.is_shared[number]:
        _gather(operands.sources[number], operands.steps[number], operands.shape, start, row)
    return row


@allocating_kernel
def target(result: Floats, number: int, start: int, count: int, block: Floats) -> Floats:
    """Return the row to write `count` elements of a result to; one of the block if unwanted."""
    if result.size > 0:
        return result[start : start + count]
    return block[number * BLOCK : number * BLOCK + count]


@kernel
def _gather(source: Floats, steps: Integers, shape: Integers, first: int, row: Floats) -> None:
    """Fill a row with elements in the order of the shape's last axis, run by run along it."""
    last = shape.size - 1
    done = 0
    while done < row.size:
        rest, column = divmod(first + done, shape[last])
        offset = column * steps[last]
        for axis in range(last - 1, -1, -1):
            rest, index = divmod(rest, shape[axis])
            offset += index * steps[axis]
        run_length = min(row.size - done, shape[last] - column)
        for i in range(run_length):
            row[done + i] = source[offset + i * steps[last]]
        done += run_length
