"""The scenario set, the risk charge as a potential, and its calibration."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mpmath import mpf

from amm.perpetual import perpetual_value
from amm.scenarios import (
    MOVES,
    REGIMES,
    UNDERLYINGS,
    Floats,
    book_potential,
    contract_value,
    potential_change,
    scenario_set,
)
from amm.surface import flat_surface
from tests.amm.mutants import (
    MARKET,
    POOL,
    SCENARIOS,
    TOLERANCE,
    WEEK,
    Market,
    Series,
    log_weights_of,
    losses_of,
    series_of,
    shocked,
)

BP = 1e-4
MARKETS = st.builds(
    Market,
    indices=st.tuples(st.floats(5e3, 5e5), st.floats(100, 1e4)),
    vols=st.tuples(st.floats(0.2, 1.5), st.floats(0.2, 1.5)),
)
SIZES = st.floats(math.log(1e-8), math.log(10)).map(lambda power: TOLERANCE * math.exp(power))
"""Notionals from dust to more than a pool of 2 N_ref could lock for in total."""


@st.composite
def series_in(draw: st.DrawFn, market: Market) -> Series:
    underlying = draw(st.integers(0, UNDERLYINGS - 1))
    strike = market.indices[underlying] * draw(st.floats(0.70, 1.40) | st.just(1.0))
    cap = draw(st.floats(0.3, 1.0) | st.just(0.5))
    return series_of(underlying, draw(st.booleans()), strike, cap)


Trade = tuple[int, Floats, float]
"""Underlying, losses of a unit, notional."""


@st.composite
def trades(draw: st.DrawFn, least: int = 0, most: int = 6) -> list[Trade]:
    """Notionals of random series of both underlyings at one state of the market."""
    market = draw(MARKETS)
    several = draw(st.lists(series_in(market), min_size=least, max_size=most))
    return [(each.underlying, losses_of(each, market), draw(SIZES)) for each in several]


def book_of(several: list[Trade]) -> Floats:
    book = np.zeros((UNDERLYINGS, REGIMES, MOVES))
    for underlying, losses, notional in several:
        book[underlying] += notional * losses
    return book


def potential(book: Floats, tolerance: float = TOLERANCE) -> float:
    return book_potential(SCENARIOS, book, tolerance)


def change_by(book: Floats, trade: Trade, notional: float | None = None) -> float:
    underlying, losses, own = trade
    log_weights = log_weights_of(book, TOLERANCE, underlying)
    return potential_change(log_weights, losses, own if notional is None else notional, TOLERANCE)


def exact_sum(book: Floats) -> mpf:
    """The sum inside U, of the same floats, in the working precision of mpmath."""
    first, second = (
        [[mpmath.exp(mpf(loss) / TOLERANCE) for loss in row] for row in each.tolist()]
        for each in book
    )
    joint = SCENARIOS.joint.tolist()
    states = itertools.product(range(REGIMES), range(MOVES), range(MOVES))
    return mpmath.fsum(mpf(joint[r][i][j]) * first[r][i] * second[r][j] for r, i, j in states)


def exact_potential(book: Floats) -> mpf:
    """U of the same floats; the probabilities sum to 1 but for rounding."""
    return TOLERANCE * mpmath.log(exact_sum(book) / exact_sum(book_of([])))


def exact_change(book: Floats, trade: Trade) -> mpf:
    """The same of the book after a trade, added up without rounding."""
    underlying, losses, notional = trade
    ratio = mpf(0)
    first, second = book[underlying].tolist(), book[1 - underlying].tolist()
    joint = SCENARIOS.joint.tolist()
    for r, i, j in itertools.product(range(REGIMES), range(MOVES), range(MOVES)):
        probability = joint[r][i][j] if underlying == 0 else joint[r][j][i]
        after = mpf(first[r][i]) + mpf(second[r][j]) + mpf(notional) * mpf(float(losses[r, i]))
        ratio += mpf(probability) * mpmath.exp(after / TOLERANCE)
    return TOLERANCE * mpmath.log(ratio / exact_sum(book))


def scale_of(several: list[Trade]) -> float:
    return sum(notional * abs(losses).max() for _, losses, notional in several)


def test_scenarios_are_a_correlated_normal_in_two_regimes() -> None:
    """162 states of probability 1, unit variance and correlation 0.8, a tenth of them stressed."""
    joint, z = SCENARIOS.joint, SCENARIOS.sigmas[0]
    assert joint.size == 162
    assert joint.sum() == pytest.approx(1.0, abs=1e-15)
    assert joint.sum(axis=(1, 2)) == pytest.approx([0.9, 0.1], abs=1e-15)
    grid = joint.sum(axis=0)
    assert z @ grid.sum(axis=1) == pytest.approx(0.0, abs=1e-15)
    assert z**2 @ grid.sum(axis=1) == pytest.approx(1.0, abs=2e-3)
    assert z @ grid @ z == pytest.approx(0.8, abs=2e-3)
    assert np.array_equal(SCENARIOS.sigmas, [range(-4, 5), range(-12, 13, 3)])
    assert np.array_equal(SCENARIOS.vol_factors, [1.0, 1.5])


@given(st.floats(-0.9, 0.9), st.floats(0, 1), st.floats(1, 5), st.floats(1, 3))
def test_any_scenarios_are_probabilities(
    correlation: float, stress_probability: float, stress_move: float, stress_vol: float
) -> None:
    """They sum to 1, both underlyings have the same marginal, and both moves mirror."""
    scenarios = scenario_set(correlation, stress_probability, stress_move, stress_vol)
    assert scenarios.joint.min() >= 0.0
    assert scenarios.joint.sum() == pytest.approx(1.0, abs=1e-14)
    for axis in (1, 2):
        assert scenarios.joint.sum(axis=axis) == pytest.approx(scenarios.marginal, abs=1e-15)
    assert scenarios.joint == pytest.approx(scenarios.joint[:, ::-1, ::-1], abs=1e-15)
    assert scenarios.sigmas[1] == pytest.approx(stress_move * scenarios.sigmas[0])


@given(st.data())
def test_losses_are_revaluations_less_their_mean(data: st.DataObject) -> None:
    """Each is the price in its state less the mean, so their mean is 0."""
    market = data.draw(MARKETS)
    series = data.draw(series_in(market))
    losses, contract = losses_of(series, market), series.contract
    vol = market.vols[series.underlying]
    moved = market.index(series) * np.exp(SCENARIOS.sigmas * vol / math.sqrt(365))
    values = np.empty_like(losses)
    for (regime, move), index in np.ndenumerate(moved):
        stressed = vol * SCENARIOS.vol_factors[regime]
        terms = (index / contract.strike, stressed, WEEK, 0.0, 0.0, contract.cap)
        values[regime, move] = perpetual_value(contract.is_call, *terms)
    mean = (SCENARIOS.marginal * values).sum()
    assert losses == pytest.approx(values - mean, rel=1e-11, abs=1e-15)
    assert abs((SCENARIOS.marginal * losses).sum()) <= 1e-15


@pytest.mark.parametrize("is_call", [True, False])
def test_stress_revalues_at_both_ends(is_call: bool) -> None:
    """The base stress is the value 30 % down and up at 1.5 times the vol, less the value now."""
    series = series_of(0, is_call, 100_000.0)
    increases = shocked(series.contract, 90_000.0, 0.5)[1]
    value = contract_value(series.contract, 90_000.0, flat_surface(0.5))
    ends = [contract_value(series.contract, index, flat_surface(0.75)) for index in (63e3, 117e3)]
    assert increases == pytest.approx([end - value for end in ends], rel=1e-12)
    assert max(increases) == increases[int(is_call)] > 0.0


def test_an_empty_book_is_charged_nothing() -> None:
    """U(0) = 0, to the last bit, and its tilted weights are the probabilities."""
    book = book_of([])
    assert potential(book) == 0.0
    for underlying in range(UNDERLYINGS):
        weights = np.exp(log_weights_of(book, TOLERANCE, underlying))
        assert weights == pytest.approx(SCENARIOS.marginal, rel=1e-14)


@given(trades(least=1))
def test_charge_is_the_exact_one(several: list[Trade]) -> None:
    """U equals 40-digit arithmetic, and is not negative but for rounding of the losses."""
    book = book_of(several)
    with mpmath.workdps(40):
        exact = float(exact_potential(book))
    rounding = 1e-15 * scale_of(several)
    assert potential(book) == pytest.approx(exact, rel=1e-11, abs=rounding)
    assert potential(book) >= -rounding


@given(trades(least=1))
def test_charge_is_homogeneous(several: list[Trade]) -> None:
    """Twice the book in a pool of twice the tolerance is charged twice."""
    book = book_of(several)
    assert potential(2 * book, 2 * TOLERANCE) == 2 * potential(book)
    deeper = potential(book, 2 * TOLERANCE)
    assert deeper <= potential(book) + 1e-15 * scale_of(several)


@given(trades(least=1, most=8), st.integers(0, 8), st.floats(0, 1))
def test_charge_is_convex_in_any_direction(several: list[Trade], cut: int, fraction: float) -> None:
    """Between two books, whatever their series, U lies below the chord."""
    one, other = book_of(several[:cut]), book_of(several[cut:])
    between = potential((1 - fraction) * one + fraction * other)
    chord = (1 - fraction) * potential(one) + fraction * potential(other)
    assert between <= chord * (1 + 1e-11) + 1e-15 * scale_of(several)


@given(trades(), trades(least=1, most=1))
def test_a_trade_pays_the_difference(several: list[Trade], added: list[Trade]) -> None:
    """potential_change is U after less U before, for opening and for closing."""
    before, after = book_of(several), book_of(several) + book_of(added)
    difference = potential(after) - potential(before)
    slack = {"rel": 1e-9, "abs": 1e-11 * (potential(after) + potential(before)) + 1e-13}
    assert change_by(before, added[0]) == pytest.approx(difference, **slack)
    assert change_by(after, added[0], -added[0][2]) == pytest.approx(-difference, **slack)


@given(trades(least=1), st.lists(st.floats(0.01, 1), min_size=2, max_size=6))
def test_splitting_changes_nothing(several: list[Trade], shares: list[float]) -> None:
    """The parts of a trade pay what the whole pays."""
    *others, (underlying, losses, notional) = several
    book = start = book_of(others)
    paid = 0.0
    for share in shares:
        part = (underlying, losses, notional * share / sum(shares))
        paid += change_by(book, part)
        book = book + book_of([part])
    whole = change_by(start, several[-1])
    assert paid == pytest.approx(whole, rel=1e-9, abs=1e-14 * scale_of(several))


@given(st.data())
def test_order_changes_nothing(data: st.DataObject) -> None:
    """Any order of the same trades pays the same, and undoing them in any order pays it back."""
    several = data.draw(trades(least=2))
    book, paid = book_of([]), []
    legs = data.draw(st.permutations(several)), data.draw(st.permutations(several))
    for sign, order in zip((1, -1), legs, strict=True):
        paid.append(0.0)
        for trade in order:
            paid[-1] += change_by(book, trade, sign * trade[2])
            book = book + sign * book_of([trade])
    expected = potential(book_of(several))
    slack = {"rel": 1e-9, "abs": 1e-14 * scale_of(several)}
    assert paid[0] == pytest.approx(expected, **slack)
    assert paid[1] == pytest.approx(-expected, **slack)


@given(trades(least=1), st.floats(0.01, 1))
def test_marginal_price_rises(several: list[Trade], part: float) -> None:
    """A unit costs more the more was bought before, and a closing gets at most what a unit cost."""
    *others, (underlying, losses, notional) = several
    book = book_of(others)
    size = part * notional
    slack = 1e-14 * scale_of(several)
    prices = []
    for step in range(4):
        after = book + book_of([(underlying, losses, step * size)])
        prices.append(change_by(after, (underlying, losses, size)))
        relief = -change_by(after, (underlying, losses, -size))
        assert relief <= prices[-1] + slack
    for price, higher in itertools.pairwise(prices):
        assert price <= higher * (1 + math.copysign(1e-12, higher)) + slack


@given(trades(), trades(least=1, most=1), st.floats(-14, -3), st.sampled_from([1, -1]))
def test_small_notionals_keep_their_digits(
    several: list[Trade], added: list[Trade], power: float, sign: int
) -> None:
    """The charge of dust is exact to 1e-9, beyond what the rounding of the weights leaves."""
    book = book_of(several)
    underlying, losses, _ = added[0]
    dust = (underlying, losses, sign * TOLERANCE * 10**power)
    with mpmath.workdps(60):
        exact = float(exact_change(book, dust))
    weights = np.exp(log_weights_of(book, TOLERANCE, underlying))
    rounding = 4e-14 * abs(dust[2]) * (weights * abs(losses)).sum()
    assert change_by(book, dust) == pytest.approx(exact, rel=1e-9, abs=rounding)


@given(trades(least=1, most=4), st.floats(1, 50))
@example([(0, losses_of(series_of(0, True, 1e5), Market((1e5, 4e3), (1.5, 1.5))), 1.0)], 50.0)
@example([(1, losses_of(series_of(1, False, 4e3), Market((1e5, 4e3), (0.2, 0.2))), 1.0)], 50.0)
@example([(0, losses_of(series_of(0, True, 1e5), Market((1e5, 4e3), (1.5, 1.5))), 1.0)], 1e4)
def test_a_book_of_fifty_tolerances_does_not_overflow(
    several: list[Trade], multiple: float
) -> None:
    """Charges, weights and the way back stay finite and right, far beyond what a pool can lock."""
    share = multiple * TOLERANCE / len(several)
    several = [(underlying, losses, share) for underlying, losses, _ in several]
    book, trade = book_of(several), several[0]
    with mpmath.workdps(40):
        charge, back = float(exact_potential(book)), float(exact_change(book, (*trade[:2], -share)))
    assert potential(book) == pytest.approx(charge, rel=1e-11)
    for underlying in range(UNDERLYINGS):
        weights = np.exp(log_weights_of(book, TOLERANCE, underlying))
        assert weights.sum() == pytest.approx(1.0, abs=1e-14 * max(1.0, multiple / 50.0))
        assert weights.min() >= 0.0
    assert change_by(book, trade, -share) == pytest.approx(back, rel=1e-8, abs=1e-9)


ETH_CALL = losses_of(series_of(1, True, 4_000.0), MARKET)
CALL, PUT = (losses_of(series_of(0, is_call, 100_000.0), MARKET) for is_call in (True, False))


@pytest.mark.parametrize(
    ("pools", "average", "decimals"), [(0.2, 4.6, 1), (1.0, 29, 0), (2.0, 96, 0)]
)
def test_average_impact_is_as_calibrated(pools: float, average: float, decimals: int) -> None:
    """An at-the-money call of 0.2, 1 and 2 N_ref costs 4.6, 29 and 96 bp of notional."""
    notional = pools * POOL
    charge = potential(book_of([(0, CALL, notional)]))
    assert round(charge / notional / BP, decimals) == average


@pytest.mark.parametrize(("pools", "share"), [(0.2, 1.9), (1.0, 12), (2.0, 39)])
def test_impact_is_a_share_of_premium_as_calibrated(pools: float, share: float) -> None:
    """That is 1.9, 12 and 39 % of the premium, itself 2.45 % of notional."""
    premium = contract_value(series_of(0, True, 100_000.0).contract, 100_000.0, flat_surface(0.5))
    assert round(premium, 4) == 0.0245
    charge = potential(book_of([(0, CALL, pools * POOL)])) / (pools * POOL)
    assert round(charge / premium * 100, 1 if share < 10 else 0) == share


@pytest.mark.parametrize(("pools", "marginal"), [(0.2, 9), (1.0, 70), (2.0, 314)])
def test_marginal_impact_is_as_calibrated(pools: float, marginal: float) -> None:
    """One more unit of it costs 9, 70 and 314 bp."""
    book = book_of([(0, CALL, pools * POOL)])
    assert round(change_by(book, (0, CALL, 1e-3)) / 1e-3 / BP) == marginal


@pytest.mark.parametrize(
    ("underlying", "losses", "marginal"), [(0, PUT, -26), (1, ETH_CALL, 74)], ids=["put", "ETH"]
)
def test_impact_nets_as_calibrated(underlying: int, losses: Floats, marginal: float) -> None:
    """After 1 N_ref of BTC calls a put relieves by 26 bp and an ETH call is charged 74 bp."""
    book = book_of([(0, CALL, POOL)])
    assert round(change_by(book, (underlying, losses, 1e-3)) / 1e-3 / BP) == marginal
