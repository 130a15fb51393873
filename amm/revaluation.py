"""The value of a series in every state its underlying may go to, many series at a time.

Scenario losses are the dear part of a quote: twenty values for each live series after every tick.
They are computed in vector code, lane by lane: one series in one state.
"""

import math
from typing import NamedTuple

import numpy as np

from amm.elementary import exp, log
from amm.kernel import kernel
from amm.perpetual import closed_form_at
from amm.scenarios import DAYS, MOVES, REGIMES, Contract, Floats, Ints, ScenarioSet
from amm.surface import COEFFICIENTS, Surface, spline_interval, spline_place, spline_ratio

UNMOVED = MOVES // 2
"""The state of the first regime in which the index stays."""
STRESS_DOWN = REGIMES * MOVES
STRESS_UP = STRESS_DOWN + 1
STATES = STRESS_UP + 1
SEATS = 16
LANES = SEATS * STATES
VECTOR = 8


class Shocks(NamedTuple):
    """Where one underlying may go from its present index, for up to `SEATS` series at once.

    Lane `seat * STATES + state` is one series in one state: whole vectors of lanes are revalued in
    one go, whatever series they belong to.

    Attributes:
        log_moves: Log move of the index, shape (LANES,); so are the others but `ratios`.
        moves: Its exponential.
        levels: Vol level.
        stretches: Of the surface, see `amm.surface.Surface`.
        rows: Where in `ratios` the surface's coefficients begin.
        ratios: Coefficients of all surfaces.
        moneyness: Room for index over strike.
        log_moneyness: Room for its logarithm.
        firsts: Room for where the coefficients around a strike begin.
        picked: Room for the coefficients around a strike, shape (4, LANES).
        vols: Room for perpetual vols.
        values: Room for values.
    """

    log_moves: Floats
    moves: Floats
    levels: Floats
    stretches: Floats
    rows: Ints
    ratios: Floats
    moneyness: Floats
    log_moneyness: Floats
    firsts: Ints
    picked: Floats
    vols: Floats
    values: Floats


def new_shocks() -> Shocks:
    """Return room for the states of one underlying."""
    return Shocks(
        log_moves=np.zeros(LANES),
        moves=np.ones(LANES),
        levels=np.ones(LANES),
        stretches=np.zeros(LANES),
        rows=np.zeros(LANES, np.int64),
        ratios=np.ones(3 * COEFFICIENTS),
        moneyness=np.ones(LANES),
        log_moneyness=np.zeros(LANES),
        firsts=np.zeros(LANES, np.int64),
        picked=np.zeros((4, LANES)),
        vols=np.ones(LANES),
        values=np.zeros(LANES),
    )


@kernel
def fill_shocks(
    shocks: Shocks,
    scenarios: ScenarioSet,
    calm: Surface,
    stressed: Surface,
    based: Surface,
    stress_move: float,
    seats: int,
) -> None:
    """Fill the states of one underlying at its present surface.

    Args:
        shocks: Filled.
        scenarios: The scenario set.
        calm: The surface now, that of the first regime.
        stressed: The same surface at the level of the second regime.
        based: The same surface at the level of the base stress.
        stress_move: Relative move of the index in the base stress, down and up; < 1.
        seats: How many series are revalued together at most.
    """
    for place in range(COEFFICIENTS):
        shocks.ratios[place] = calm.ratios[place]
        shocks.ratios[COEFFICIENTS + place] = stressed.ratios[place]
        shocks.ratios[2 * COEFFICIENTS + place] = based.ratios[place]
    daily = calm.level / math.sqrt(DAYS)
    for regime in range(REGIMES):
        for move in range(MOVES):
            shocks.log_moves[regime * MOVES + move] = scenarios.sigmas[regime, move] * daily
    shocks.log_moves[STRESS_DOWN] = math.log1p(-stress_move)
    shocks.log_moves[STRESS_UP] = math.log1p(stress_move)
    for state in range(STATES):
        which = 0 if state < MOVES else 1 if state < STRESS_DOWN else 2
        surface = calm if which == 0 else stressed if which == 1 else based
        shocks.levels[state] = surface.level
        shocks.stretches[state] = surface.stretch
        shocks.rows[state] = which * COEFFICIENTS
    for state in range(STATES):
        shocks.moves[state] = exp(shocks.log_moves[state])
    for seat in range(1, seats):
        for state in range(STATES):
            lane = seat * STATES + state
            shocks.log_moves[lane] = shocks.log_moves[state]
            shocks.moves[lane] = shocks.moves[state]
            shocks.levels[lane] = shocks.levels[state]
            shocks.stretches[lane] = shocks.stretches[state]
            shocks.rows[lane] = shocks.rows[state]


@kernel
def take_seat(shocks: Shocks, seat: int, moneyness: float) -> None:
    """Enter a series of the underlying to be revalued."""
    log_moneyness = log(moneyness)
    for lane in range(seat * STATES, (seat + 1) * STATES):
        shocks.moneyness[lane] = moneyness
        shocks.log_moneyness[lane] = log_moneyness


@kernel
def revalue(shocks: Shocks, terms: Contract, seats: int) -> None:
    """Fill `values` of the first `seats` series in all their states, per unit of notional.

    All have the terms of `terms`, but for their strikes: then one formula does for all of them.
    """
    lanes = (seats * STATES + VECTOR - 1) // VECTOR * VECTOR
    log_barrier = math.log1p(terms.cap if terms.is_call else -terms.cap)
    values = shocks.values
    for lane in range(lanes):
        values[lane] = shocks.log_moneyness[lane] + shocks.log_moves[lane]
    _fill_vols(shocks, lanes)
    for lane in range(lanes):
        values[lane] = closed_form_at(
            terms.is_call,
            shocks.moneyness[lane] * shocks.moves[lane],
            abs(values[lane]),
            abs(values[lane] - log_barrier),
            shocks.vols[lane],
            terms.funding_period,
            terms.discount_rate,
            terms.carry,
            terms.cap,
        ).value


@kernel
def _fill_vols(shocks: Shocks, lanes: int) -> None:
    """Fill perpetual vols at the log moneyness that stands in `values`.

    In four loops, for the one that picks coefficients cannot be vector code.
    """
    vols, firsts, picked = shocks.vols, shocks.firsts, shocks.picked
    c0, c1, c2, c3 = picked[0], picked[1], picked[2], picked[3]
    for lane in range(lanes):
        vols[lane] = spline_place(shocks.stretches[lane], -shocks.values[lane])
    for lane in range(lanes):
        firsts[lane] = shocks.rows[lane] + spline_interval(vols[lane])
    for lane in range(lanes):
        first = firsts[lane]
        c0[lane] = shocks.ratios[first]
        c1[lane] = shocks.ratios[first + 1]
        c2[lane] = shocks.ratios[first + 2]
        c3[lane] = shocks.ratios[first + 3]
    for lane in range(lanes):
        ratio = spline_ratio(vols[lane], c0[lane], c1[lane], c2[lane], c3[lane])
        vols[lane] = shocks.levels[lane] * ratio


@kernel
def read_losses(
    scenarios: ScenarioSet, shocks: Shocks, seat: int, slot: int, losses: Floats, stress: Floats
) -> None:
    """Read what was found for one series into row `slot` of what all series lose.

    Args:
        scenarios: The scenario set, for the probabilities.
        shocks: Revalued.
        seat: Of the series.
        slot: Its row.
        losses: Gets the centred values l(s), shape (rows, REGIMES, MOVES).
        stress: Gets the value's increase in the base stress, index down and up, shape (rows, 2).
    """
    first = seat * STATES
    values = shocks.values
    calm = stressed = 0.0
    for move in range(MOVES):
        calm += scenarios.marginal[0, move] * values[first + move]
        stressed += scenarios.marginal[1, move] * values[first + MOVES + move]
    mean = calm + stressed
    for regime in range(REGIMES):
        for move in range(MOVES):
            losses[slot, regime, move] = values[first + regime * MOVES + move] - mean
    stress[slot, 0] = values[first + STRESS_DOWN] - values[first + UNMOVED]
    stress[slot, 1] = values[first + STRESS_UP] - values[first + UNMOVED]


@kernel
def fill_shocked(
    scenarios: ScenarioSet,
    shocks: Shocks,
    contract: Contract,
    index: float,
    slot: int,
    losses: Floats,
    stress: Floats,
) -> None:
    """Fill row `slot` of losses and base stress, as `read_losses` does."""
    take_seat(shocks, 0, index / contract.strike)
    revalue(shocks, contract, 1)
    read_losses(scenarios, shocks, 0, slot, losses, stress)
