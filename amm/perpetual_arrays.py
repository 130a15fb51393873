"""The perpetual option over arrays: the closed form in loops that become vector code.

A loop reads its arguments and writes its results where they are, or where a block repeats what all
elements share. With a barrier nowhere it is a loop of its own, half as long; without greeks the
compiler drops what only they need, so a value is the same to the last bit in all of them.
"""

import math
from typing import NamedTuple

from amm.arrays import BLOCK, Floats, Operands, new_block, operand, target
from amm.kernel import allocating_kernel, inline_kernel
from amm.perpetual import Price, closed_form


class Rows(NamedTuple):
    """The arguments of some options, one row each."""

    side: Floats
    moneyness: Floats
    vol: Floats
    funding_period: Floats
    discount_rate: Floats
    carry: Floats
    cap: Floats


class _Targets(NamedTuple):
    """Where their prices go, one row for each field."""

    value: Floats
    delta: Floats
    gamma: Floats
    vega: Floats
    premium_rate: Floats


@allocating_kernel
def fill_values(operands: Operands, first: int, last: int, value: Floats) -> None:
    """Write the values of the options from `first` to before `last`."""
    block = new_block(len(operands.sources) + 1)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        rows = rows_of(operands, start, count, start == first, block)
        values = target(value, 7, start, count, block)
        if is_capped(operands):
            _fill_capped_values(rows, values)
        else:
            _fill_uncapped_values(rows, values)


@allocating_kernel
def fill_prices(
    operands: Operands,
    first: int,
    last: int,
    value: Floats,
    delta: Floats,
    gamma: Floats,
    vega: Floats,
    premium_rate: Floats,
) -> None:
    """Write the prices of the options from `first` to before `last`."""
    block = new_block(len(operands.sources) + 5)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        rows = rows_of(operands, start, count, start == first, block)
        to = _Targets(
            target(value, 7, start, count, block),
            target(delta, 8, start, count, block),
            target(gamma, 9, start, count, block),
            target(vega, 10, start, count, block),
            target(premium_rate, 11, start, count, block),
        )
        if is_capped(operands):
            _fill_capped_prices(rows, to)
        else:
            _fill_uncapped_prices(rows, to)


@inline_kernel
def is_capped(operands: Operands) -> bool:
    """Tell whether any option may have a barrier; a loop without is half as long."""
    return not (operands.is_shared[6] and operands.sources[6][0] == math.inf)


@allocating_kernel
def rows_of(operands: Operands, start: int, count: int, is_fresh: bool, block: Floats) -> Rows:
    """Return the arguments of `count` options from `start` on; 7 rows of the block are theirs."""
    return Rows(
        operand(operands, 0, start, count, is_fresh, block),
        operand(operands, 1, start, count, is_fresh, block),
        operand(operands, 2, start, count, is_fresh, block),
        operand(operands, 3, start, count, is_fresh, block),
        operand(operands, 4, start, count, is_fresh, block),
        operand(operands, 5, start, count, is_fresh, block),
        operand(operands, 6, start, count, is_fresh, block),
    )


@inline_kernel
def _uncapped(rows: Rows, i: int) -> Price:
    return closed_form(
        rows.side[i] > 0.0,
        rows.moneyness[i],
        rows.vol[i],
        rows.funding_period[i],
        rows.discount_rate[i],
        rows.carry[i],
        math.inf,
    )


@inline_kernel
def _capped(rows: Rows, i: int) -> Price:
    return closed_form(
        rows.side[i] > 0.0,
        rows.moneyness[i],
        rows.vol[i],
        rows.funding_period[i],
        rows.discount_rate[i],
        rows.carry[i],
        rows.cap[i],
    )


@inline_kernel
def _fill_uncapped_values(rows: Rows, value: Floats) -> None:
    for i in range(value.size):
        value[i] = _uncapped(rows, i).value


@inline_kernel
def _fill_capped_values(rows: Rows, value: Floats) -> None:
    for i in range(value.size):
        value[i] = _capped(rows, i).value


@inline_kernel
def _fill_uncapped_prices(rows: Rows, to: _Targets) -> None:
    for i in range(to.value.size):
        price = _uncapped(rows, i)
        to.value[i] = price.value
        to.delta[i] = price.delta
        to.gamma[i] = price.gamma
        to.vega[i] = price.vega
        to.premium_rate[i] = price.premium_rate


@inline_kernel
def _fill_capped_prices(rows: Rows, to: _Targets) -> None:
    for i in range(to.value.size):
        price = _capped(rows, i)
        to.value[i] = price.value
        to.delta[i] = price.delta
        to.gamma[i] = price.gamma
        to.vega[i] = price.vega
        to.premium_rate[i] = price.premium_rate
