"""Nobody can win by timing: stopped whenever one likes, a position is worth what it costs.

On a flat surface exp(-rt) v - integral of the premium is a martingale, so under every stopping
rule the expected profit at mid is 0. Ticks of h charge an at-the-money holder about h / T of the
premium too much, in the pool's favour, so a profit is a failure however long they are. Contracts
that look alike fail the same test.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from amm.perpetual import payoff, perpetual_price
from amm.units import HOUR_MS, ONE
from sims.stopping import (
    CAP,
    CONTRACTS,
    FROZEN,
    INTRINSIC,
    OURS,
    PREMIUM,
    RIGHT_END,
    RULES,
    WEEK,
    YEAR_HOURS,
    run_to_the_barrier,
    simulate_rules,
)
from tests.vaults.harness import Bench, funded
from vaults.params import Parameters
from vaults.rejects import Reject

Floats = npt.NDArray[np.float64]


def error_of(profits: Floats) -> float:
    """Return the standard error of a mean."""
    return float(profits.std(ddof=1) / math.sqrt(len(profits)))


def fails(profits: Floats, premium: float, hours: float) -> bool:
    """Whether a mean profit is above 0 by more than chance, or below by more than ticks explain."""
    mean, chance = float(profits.mean()), 4.0 * error_of(profits)
    ticks = hours / YEAR_HOURS / WEEK
    return not -chance - ticks * premium <= mean <= chance


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("is_call", "start", "vol", "hours"),
    [(True, 1.0, 0.5, 1.0), (False, 1.0, 0.5, 1.0), (True, 0.95, 0.8, 1.0), (False, 1.1, 0.6, 0.5)],
)
def test_no_stopping_rule_has_an_expected_profit(
    is_call: bool, start: float, vol: float, hours: float
) -> None:
    """For every rule the mean profit at mid is 0, up to 4 standard errors and the ticks' part."""
    profits, beside = simulate_rules(is_call, start, vol, hours, seed=7, paths=12_000)
    for rule, name in enumerate(RULES):
        # Mirror images make errors smaller than this; it is an upper bound.
        assert not fails(profits[OURS, rule], float(beside[PREMIUM, rule].mean()), hours), name


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("contract", "start", "hours"),
    [(INTRINSIC, 1.0, 1.0), (FROZEN, 0.95, 1.0), (RIGHT_END, 1.0, 48.0)],
    ids=CONTRACTS[1:],
)
def test_contracts_that_look_alike_can_be_timed(contract: int, start: float, hours: float) -> None:
    """The same test, at the same steps, tells each of the mutants from ours."""
    profits, beside = simulate_rules(True, start, 0.6, hours, seed=11, paths=20_000)
    means = beside[PREMIUM].mean(axis=1)
    beaten = [
        fails(profits[contract, rule], float(means[rule]), hours) for rule in range(len(RULES))
    ]
    ours = [fails(profits[OURS, rule], float(means[rule]), hours) for rule in range(len(RULES))]
    assert any(beaten)
    assert not any(ours)


@pytest.mark.compiled
@pytest.mark.parametrize("is_call", [True, False])
def test_running_into_the_barrier_is_no_gain(is_call: bool) -> None:
    """Ticks find the index beyond the barrier, where only the cap is paid: the pool's gain."""
    random = np.random.default_rng(3)
    normals = random.standard_normal((10_000, 30 * 8))
    profits, hedges = np.empty((2, len(normals)))
    run_to_the_barrier(is_call, 1.0, 1.6, 3.0 / YEAR_HOURS, normals, profits, hedges)
    assert float(profits.mean()) < 4.0 * error_of(profits)
    assert float(profits.mean()) > -0.02
    assert float((profits > 0.35).mean()) > 0.02


FREE = Parameters(
    risk_tolerance=1e6,
    spread_floor=0.0,
    vol_spread=0.0,
    correlation_spread=0.0,
    fee=0.0,
    accrual_gap_ms=2 * HOUR_MS,
    keep_reserve_ms=2 * HOUR_MS,
)
"""No spread, no fee, next to no impact: what is left is the contract."""


def held_to_an_exit(bench: Bench, account: int, moves: Floats, is_call: bool) -> tuple[float, Any]:
    """Return a buyer's profit per unit through the kernels, and the index at the exit.

    The position is sold when it has moved 3 % either way, or at the end of the moves.
    """
    bench.tick(100_000.0, after_ms=2 * HOUR_MS)
    before = bench.balance(account)
    fill = bench.open(account, 10 * ONE, is_call=is_call)
    assert fill.refusal.code == Reject.NONE
    price = 100_000.0
    for move in moves:
        price *= math.exp(move)
        bench.tick(price, after_ms=2 * HOUR_MS)
        if abs(math.log(price / 100_000.0)) > 0.03:
            break
    sold = bench.close(account, fill.position_id, 10 * ONE)
    assert sold.refusal.code == Reject.NONE
    return (bench.balance(account) - before) / (10 * ONE), price / 100_000.0


@pytest.mark.compiled
def test_buyers_at_the_exchange_expect_nothing() -> None:
    """Opened, held through ticks and sold by the real kernels: 0, costs excluded.

    The same trades, were the exit paid intrinsic value alone, would show a large loss.
    """
    bench = funded(parameters=FREE)
    bench.checked = False
    account = bench.account()
    random = np.random.default_rng(5)
    sigma, hours = 0.5 * math.sqrt(2.0 / 24.0 / 365.0), 2.0
    profits, without_time_value = [], []
    for path in range(400):
        is_call = path % 2 == 0
        moves = sigma * random.standard_normal(24) - sigma * sigma / 2
        for sign in (1.0, -1.0):
            mirrored = sign * (moves + sigma * sigma / 2) - sigma * sigma / 2
            profit, moneyness = held_to_an_exit(bench, account, mirrored, is_call)
            price = perpetual_price(is_call, moneyness, 0.5, WEEK, 0.0, 0.0, CAP)
            profits.append(profit)
            without_time_value.append(profit - price.value + payoff(is_call, moneyness, CAP))
    premium = 0.0035 * 2.0
    assert not fails(np.array(profits), premium, hours)
    assert fails(np.array(without_time_value), premium, hours)
