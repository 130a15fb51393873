"""Who owns what of a token at the marks: balances, options, both pools, protocol.

Values are integers taken once per position, owed to its holder by the main pool, so that the parts
sum to custody exactly and every gain is somebody's loss.
"""

from typing import NamedTuple

from amm.kernel import kernel
from amm.units import E15, PPM, mul_div_down, mul_div_up, units_down
from vaults.state import State


class Equity(NamedTuple):
    """Claims on the custody of one token, in base units; they sum to it.

    Attributes:
        options: Value of all open positions at the mark, less premium owed.
        main: The main pool after that: cash, less options, plus its part of premium owed.
        insurance: The insurance pool, its part of premium owed and advances included.
        free: Balances, escrowed deposits and withdrawals under way.
        protocol: Fees.
    """

    options: int
    main: int
    insurance: int
    free: int
    protocol: int


@kernel
def option_value(state: State, slot: int) -> int:
    """Return a position's value at the last mark, less the premium it owes up to then."""
    position = state.positions[slot]
    passed = int(state.series[position.series].index_e15 - position.entry_index_e15)
    value = units_down(float(position.notional) * state.marks[position.series].value)
    return value - mul_div_up(position.notional, passed, E15)


@kernel
def equity(state: State) -> Equity:
    """Return the claims of everybody at the last marks, accrued to the last tick."""
    pool = state.pool[0]
    options = owed = 0
    for slot in range(pool.position_count):
        position = state.positions[slot]
        if position.notional > 0:
            options += option_value(state, slot)
            passed = int(state.series[position.series].index_e15 - position.entry_index_e15)
            owed += mul_div_up(position.notional, passed, E15)
    to_insurance = mul_div_down(owed, pool.phi_ppm, PPM)
    # What positions owe is already off their value, and so part of what main keeps.
    return Equity(
        options=options,
        main=int(pool.main) - options - to_insurance - int(pool.advances),
        insurance=int(pool.insurance) + to_insurance + int(pool.advances),
        free=int(pool.balances + pool.escrow_main + pool.escrow_insurance + pool.pending),
        protocol=int(pool.fees),
    )
