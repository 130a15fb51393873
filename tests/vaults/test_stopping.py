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

from amm.kernel import kernel
from amm.perpetual import payoff, perpetual_price
from amm.units import HOUR_MS, ONE
from tests.vaults.harness import Bench, funded
from vaults.params import Parameters
from vaults.rejects import Reject

Floats = npt.NDArray[np.float64]

WEEK = 7.0 / 365.0
CAP = 0.5
UPPER, LOWER = 1.45, 0.55
"""Every rule stops here at the latest: near the barrier ticks cost the holder more."""

RULES = (
    "after five days",
    "double or half the value",
    "thirty percent below the best value",
    "out of a band of moneyness",
    "first in the money",
    "at random",
    "trailing the index",
    "rate fallen by half",
)
CONTRACTS = ("ours", "intrinsic at exit", "frozen fee", "right-end accrual")
OURS, INTRINSIC, FROZEN, RIGHT_END = range(4)


@kernel
def stops(
    rule: int,
    elapsed: float,
    moneyness: float,
    start: float,
    best_moneyness: float,
    value: float,
    paid: float,
    best_value: float,
    rate: float,
    first_rate: float,
    draw: float,
    is_call: bool,
) -> bool:
    """Whether a rule ends the position, by what is known now."""
    if rule == 0:
        return elapsed >= 5.0 / 365.0
    if rule == 1:
        return value >= 2.0 * paid or value <= 0.5 * paid
    if rule == 2:
        return value < 0.7 * best_value
    if rule == 3:
        return abs(math.log(moneyness / start)) > 0.05
    if rule == 4:
        return moneyness > 1.01 if is_call else moneyness < 0.99
    if rule == 5:
        return draw < 0.01
    if rule == 6:
        return moneyness < 0.97 * best_moneyness
    return rate < 0.5 * first_rate


@kernel
def run_rules(
    is_call: bool,
    start: float,
    vol: float,
    step: float,
    steps: int,
    normals: Floats,
    draws: Floats,
    profits: Floats,
    premiums: Floats,
) -> None:
    """Fill profit per unit, shape (contract, rule, path), and premium paid, (rule, path).

    Args:
        is_call: Kind of the option.
        start: Moneyness at the opening.
        vol: The volatility, of the mark and of the index.
        step: Years between ticks.
        steps: Ticks after which everything is closed.
        normals: Standard normals, shape (path, step).
        draws: Uniforms, same shape.
        profits: Filled.
        premiums: Filled.
    """
    opened = perpetual_price(is_call, start, vol, WEEK, 0.0, 0.0, CAP)
    intrinsic = payoff(is_call, start, CAP)
    rules = premiums.shape[0]
    for path in range(normals.shape[0]):
        running = np.ones(rules)
        moneyness = best_moneyness = start
        best_value, value, rate = opened.value, opened.value, opened.premium_rate
        left = right = 0.0
        for tick in range(steps):
            left += rate * step
            moneyness *= math.exp(
                vol * math.sqrt(step) * normals[path, tick] - vol * vol * step / 2
            )
            price = perpetual_price(is_call, moneyness, vol, WEEK, 0.0, 0.0, CAP)
            value, rate = price.value, price.premium_rate
            right += rate * step
            best_moneyness = max(best_moneyness, moneyness)
            best_value = max(best_value, value)
            elapsed = (tick + 1) * step
            is_over = tick == steps - 1 or not LOWER < moneyness < UPPER
            for rule in range(rules):
                if running[rule] == 0.0:
                    continue
                if is_over or stops(
                    rule,
                    elapsed,
                    moneyness,
                    start,
                    best_moneyness,
                    value,
                    opened.value,
                    best_value,
                    rate,
                    opened.premium_rate,
                    draws[path, tick],
                    is_call,
                ):
                    running[rule] = 0.0
                    premiums[rule, path] = left
                    exit_payoff = payoff(is_call, moneyness, CAP)
                    frozen = opened.premium_rate * elapsed
                    profits[OURS, rule, path] = value - opened.value - left
                    profits[INTRINSIC, rule, path] = exit_payoff - intrinsic - left
                    profits[FROZEN, rule, path] = value - opened.value - frozen
                    profits[RIGHT_END, rule, path] = value - opened.value - right
            if is_over or running.sum() == 0.0:
                break


@kernel
def run_to_the_barrier(
    is_call: bool, vol: float, step: float, normals: Floats, profits: Floats
) -> None:
    """Fill the profit of holding to the cash-out at the cap, or to the end; shape (path,)."""
    opened = perpetual_price(is_call, 1.0, vol, WEEK, 0.0, 0.0, CAP)
    for path in range(normals.shape[0]):
        moneyness, value, rate, paid = 1.0, opened.value, opened.premium_rate, 0.0
        for tick in range(normals.shape[1]):
            paid += rate * step
            moneyness *= math.exp(
                vol * math.sqrt(step) * normals[path, tick] - vol * vol * step / 2
            )
            price = perpetual_price(is_call, moneyness, vol, WEEK, 0.0, 0.0, CAP)
            value, rate = price.value, price.premium_rate
            if payoff(is_call, moneyness, CAP) >= CAP:
                value = CAP
                break
        profits[path] = value - opened.value - paid


def error_of(profits: Floats) -> float:
    """Return the standard error of a mean."""
    return float(profits.std(ddof=1) / math.sqrt(len(profits)))


def fails(profits: Floats, premium: float, hours: float) -> bool:
    """Whether a mean profit is above 0 by more than chance, or below by more than ticks explain."""
    mean, chance = float(profits.mean()), 4.0 * error_of(profits)
    ticks = hours / (24.0 * 365.0) / WEEK
    return not -chance - ticks * premium <= mean <= chance


def simulated(
    is_call: bool, start: float, vol: float, hours: float, seed: int, paths: int
) -> tuple[Floats, Floats]:
    """Return profits and premiums of 20 days of paths with their mirror images."""
    steps = round(20 * 24 / hours)
    random = np.random.default_rng(seed)
    half = random.standard_normal((paths // 2, steps))
    profits = np.zeros((len(CONTRACTS), len(RULES), paths))
    premiums = np.zeros((len(RULES), paths))
    draws = random.random((paths, steps))
    step = hours / 24.0 / 365.0
    normals = np.concatenate([half, -half])
    run_rules(is_call, start, vol, step, steps, normals, draws, profits, premiums)
    return profits, premiums


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("is_call", "start", "vol", "hours"),
    [(True, 1.0, 0.5, 1.0), (False, 1.0, 0.5, 1.0), (True, 0.95, 0.8, 1.0), (False, 1.1, 0.6, 0.5)],
)
def test_no_stopping_rule_has_an_expected_profit(
    is_call: bool, start: float, vol: float, hours: float
) -> None:
    """For every rule the mean profit at mid is 0, up to 4 standard errors and the ticks' part."""
    profits, premiums = simulated(is_call, start, vol, hours, seed=7, paths=12_000)
    for rule, name in enumerate(RULES):
        # Mirror images make errors smaller than this; it is an upper bound.
        assert not fails(profits[OURS, rule], float(premiums[rule].mean()), hours), name


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("contract", "start", "hours"),
    [(INTRINSIC, 1.0, 1.0), (FROZEN, 0.95, 1.0), (RIGHT_END, 1.0, 48.0)],
    ids=CONTRACTS[1:],
)
def test_contracts_that_look_alike_can_be_timed(contract: int, start: float, hours: float) -> None:
    """The same test, at the same steps, tells each of the mutants from ours."""
    profits, premiums = simulated(True, start, 0.6, hours, seed=11, paths=20_000)
    means = premiums.mean(axis=1)
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
    profits = np.zeros(len(normals))
    run_to_the_barrier(is_call, 1.6, 3.0 / 24.0 / 365.0, normals, profits)
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
