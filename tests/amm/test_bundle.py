"""Bundles are what kernels read, whoever made them; references are counted only where they must."""

import pickle
import sys
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba.core.runtime import _nrt_python, rtsys

from amm.bundle import bundle
from amm.kernel import allocating_kernel, kernel, lending_kernel
from amm.scenarios import Floats, Ints

pytestmark = pytest.mark.compiled


class _Inner(NamedTuple):
    weights: Floats
    scale: float


@bundle
class _Counts(NamedTuple):
    counts: Ints


@bundle
class _Held(NamedTuple):
    """A table, a tuple with another array, a number, and a bundle."""

    table: Floats
    inner: _Inner
    shift: int
    other: _Counts


@kernel
def _add_up(held: _Held) -> float:
    total = float(held.shift)
    for row in range(held.table.shape[0]):
        for column in range(held.table.shape[1]):
            total += held.table[row, column] * held.inner.weights[column] * held.inner.scale
            held.other.counts[row] += 1
    return total


def _held() -> _Held:
    table = np.arange(6.0).reshape(2, 3)
    return _Held(table, _Inner(np.ones(3), 2.0), shift=7, other=_Counts(np.zeros(2, np.int64)))


def test_kernels_read_and_write_what_python_sees() -> None:
    held = _held()
    assert _add_up(held) == 7 + 2 * 15.0
    held.table[0, 0] = 10.0
    assert _add_up(held) == 7 + 2 * 25.0
    assert held.other.counts.tolist() == [6, 6]


def test_a_copy_with_another_field_shares_the_rest() -> None:
    held = _held()
    other = held._replace(shift=0)
    held.table[:] = 1.0
    assert (_add_up(held), _add_up(other)) == (7 + 12.0, 12.0)


def test_arrays_of_other_kinds_make_other_types() -> None:
    """A slice with gaps, of the same type and shape, is read with its gaps."""
    held = _held()
    wide = np.arange(12.0).reshape(2, 6)[:, ::2]
    assert _add_up(held._replace(table=wide)) == 7 + 2 * 30.0
    assert _add_up(held) == 7 + 2 * 15.0


def test_nothing_is_counted_and_nothing_is_lost() -> None:
    """As many references afterwards as before, and no memory that nobody would free."""
    _nrt_python.memsys_enable_stats()
    held = _held()
    _add_up(held)
    references, before = sys.getrefcount(held.table), rtsys.get_allocation_stats()
    for _ in range(100):
        _add_up(held)
    after, now = rtsys.get_allocation_stats(), sys.getrefcount(held.table)
    assert now == references
    assert after.alloc - after.free == before.alloc - before.free
    assert after.mi_alloc - after.mi_free == before.mi_alloc - before.mi_free


@allocating_kernel
def _made(size: int) -> Floats:
    return np.zeros(size)


@kernel
def _receives(size: int) -> float:
    return _made(size)[0]


@kernel
def _makes(size: int) -> float:
    return np.zeros(size)[0]


@kernel
def _shows(held: _Held) -> tuple[Floats, int]:
    return held.table[1], 0


@lending_kernel
def _lent(held: _Held) -> Floats:
    return held.table[1]


@kernel
def _borrows(held: _Held) -> float:
    return _lent(held)[2]


@allocating_kernel
def _borrows_too(held: _Held) -> float:
    return _lent(held)[2] + _made(3)[0]


def test_arrays_are_received_where_they_are_released() -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=r"_receives.* may not receive arrays from _made"):
            _receives(2)
    with pytest.raises(TypeError, match=r"_shows.* may not return arrays"):
        _shows(_held())
    with pytest.raises(Exception, match="array passed into the function"):
        _makes(2)


@pytest.mark.parametrize("borrows", [_borrows, _borrows_too])
def test_arrays_of_bundles_may_be_received_by_all(borrows: Any) -> None:
    assert borrows(_held()) == 5.0


def test_a_field_cannot_be_put_in_place_of_another() -> None:
    """Kernels would go on reading the old array, which nobody keeps."""
    held = _held()
    with pytest.raises(AttributeError, match="table"):
        held.table = np.zeros((2, 3))  # type: ignore[misc]


@pytest.mark.parametrize("copied", [deepcopy, lambda held: pickle.loads(pickle.dumps(held))])  # noqa: S301 - our own
def test_copies_are_their_own(copied: Any) -> None:
    held = _held()
    other = copied(held)
    held.table[:] = 0.0
    assert (_add_up(held), _add_up(other)) == (7.0, 7 + 2 * 15.0)
    assert other.other.counts.tolist() == [3, 3]
