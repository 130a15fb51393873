"""Quotes against golden rows, the worked example, their bounds, and a trader ahead of the index."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from amm.perpetual import perpetual_price, perpetual_value
from amm.quote import (
    CloseQuote,
    IndexQuality,
    OpenQuote,
    QuoteRules,
    UnitQuote,
    index_uncertainty,
    quote_close,
    quote_open,
)
from amm.scenarios import MOVES, REGIMES, UNDERLYINGS, book_potential, potential_change
from amm.surface import strike_vol
from amm.units import ONE, YEAR_MS, mul_div_down, units_down, units_up
from tests.amm.mutants import (
    FRESH,
    MARKET,
    POOL,
    RULES,
    SCENARIOS,
    SERIES,
    TOKEN_VOL,
    Desk,
    Leg,
    Market,
    Series,
    interleave,
    log_weights_of,
    losses_of,
    series_of,
    unit_of,
)

ROWS = json.loads((Path(__file__).parents[1] / "vectors" / "quotes.json").read_text())["rows"]
NAMES = ("BTC", "ETH")
BP = 1e-4

UNITS = st.builds(
    UnitQuote,
    value=st.floats(0, 0.5),
    spread=st.floats(0, 0.05),
    fee=st.just(0.0),
    premium_rate=st.just(0.0),
).map(lambda unit: unit._replace(fee=min(RULES.fee, RULES.fee_of_value * unit.value)))
NOTIONALS = st.floats(math.log(0.01), math.log(1e7)).map(math.exp)
CHARGES = st.floats(-0.3, 0.3)
"""Charges of the book per unit of notional."""


@st.composite
def markets(draw: st.DrawFn) -> Market:
    """States of the market around the strikes of `SERIES`."""
    indices = tuple(index * draw(st.floats(0.8, 1.25)) for index in MARKET.indices)
    vols = tuple(draw(st.floats(0.2, 1.5)) for _ in range(UNDERLYINGS))
    quality = IndexQuality(
        draw(st.integers(0, 10_000)), draw(st.floats(0, 5e-3)), draw(st.floats(0, 2))
    )
    return Market(indices, vols, quality)


SIZES = st.floats(-3, 0).map(lambda power: POOL * 10**power)
OTHERS = st.lists(st.just(0.0) | SIZES, max_size=len(SERIES))
NUMBERS = st.integers(0, len(SERIES) - 1)


@st.composite
def loops(draw: st.DrawFn) -> list[Leg]:
    """2 to 8 legs by three accounts that end flat, openings and closings in parts too."""
    keys = draw(
        st.lists(st.tuples(st.integers(0, 2), NUMBERS), min_size=1, max_size=4, unique=True)
    )
    columns = []
    for key in keys:
        opened = draw(st.lists(SIZES, min_size=1, max_size=2 if len(keys) <= 2 else 1))
        part = sum(opened) * draw(st.just(0.0) | st.floats(0.05, 0.95))
        whole = sum(opened)
        closed = [part, whole - part] if part and len(keys) <= 2 else [whole]
        columns.append([Leg(*key, size) for size in opened] + [Leg(*key, -size) for size in closed])
    order = [number for number, column in enumerate(columns) for _ in column]
    return interleave(columns, draw(st.permutations(order)))


def golden_series(row: dict[str, Any]) -> Series:
    return series_of(NAMES.index(row["underlying"]), row["kind"] == "call", row["strike"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_reproduces_the_golden_quotes(row: dict[str, Any]) -> None:
    """Every number of every row holds to 1e-9, the spread, of bumped greeks there, to 1e-6."""
    market = Market(
        tuple(row["indices"][name] for name in NAMES),
        tuple(row["flat_vols"][name] for name in NAMES),
    )
    tolerance = 0.10 * row["main_nav_reference"]
    before = np.zeros((UNDERLYINGS, REGIMES, MOVES))
    for held in row["book"]:
        series = golden_series(held)
        before[series.underlying] += held["notional"] * losses_of(series, market)
    series, notional = golden_series(row["open"]), row["open"]["notional"]
    losses, unit = losses_of(series, market), unit_of(series, market)
    log_weights = log_weights_of(before, tolerance, series.underlying)
    quote = quote_open(unit, notional, potential_change(log_weights, losses, notional, tolerance))
    after = before.copy()
    after[series.underlying] += notional * losses
    got = quote._asdict() | {
        "premium_rate_per_year": unit.premium_rate,
        "U_before": book_potential(SCENARIOS, before, tolerance),
        "U_after": book_potential(SCENARIOS, after, tolerance),
    }
    assert got.keys() == row["expect"].keys()
    for name, expected in row["expect"].items():
        tolerated = 1e-6 if name == "spread" else 1e-9
        assert got[name] == pytest.approx(expected, rel=tolerated, abs=0), name


def test_worked_example() -> None:
    """100 of the 100,000 call on an empty book of 10,000, to the five decimals of the text."""
    desk = Desk(MARKET, [series_of(0, True, 100_000.0)])
    quote = desk.open(0, 0, 100.0)
    assert {name: round(part, 5) for name, part in quote._asdict().items()} == {
        "mid": 2.44736,
        "impact": 0.00219,
        "spread": 0.05939,
        "fee": 0.03,
        "total": 2.53893,
    }
    assert 100.0 * desk.series[0].contract.cap == 50.0
    assert round(100.0 * desk.units[0].premium_rate / 365, 5) == 0.34962
    at_once = Desk(MARKET, [series_of(0, True, 100_000.0)]).open(0, 0, POOL)
    assert round(at_once.impact, 2) == 29.34


@pytest.mark.parametrize(
    ("quality", "expected"),
    [
        (FRESH, 1e-4),
        (IndexQuality(-1_000, 0.0, 0.0), 1e-4),
        (IndexQuality(0, 2e-3, 0.0), 2e-3),
        (IndexQuality(10_000, 0.0, 0.3), 3 * 0.5 * math.sqrt(10_000 / YEAR_MS)),
        (IndexQuality(10_000, 0.0, 0.9), 3 * 0.9 * math.sqrt(10_000 / YEAR_MS)),
        (IndexQuality(10_000, 1e-3, 0.9), 3 * 0.9 * math.sqrt(10_000 / YEAR_MS)),
    ],
)
def test_index_is_as_uncertain_as_its_worst_part(quality: IndexQuality, expected: float) -> None:
    """Age at the higher of mark and realised vol, confidence, and a floor; one of them counts."""
    assert index_uncertainty(RULES, quality, 0.5) == pytest.approx(expected, rel=1e-14)


def value_at(series: Series, market: Market, *, move: float, vol: float, carry: float) -> float:
    contract = series.contract
    return perpetual_value(
        contract.is_call,
        market.index(series) / contract.strike * (1 + move),
        market.vols[series.underlying] + vol,
        contract.funding_period,
        contract.discount_rate,
        contract.carry + carry,
        contract.cap,
    )


@given(markets(), NUMBERS)
def test_spread_is_what_the_inputs_may_be_off(market: Market, number: int) -> None:
    """Its three parts are the value's slopes in index, vol and carry, times their uncertainty."""
    series = SERIES[number]
    step = 1e-5
    still = {"move": 0.0, "vol": 0.0, "carry": 0.0}
    slopes = [
        abs(
            value_at(series, market, **still | {name: step})
            - value_at(series, market, **still | {name: -step})
        )
        / (2 * step)
        for name in still
    ]
    vol = market.vols[series.underlying]
    epsilon = index_uncertainty(RULES, market.quality, vol)
    none = RULES._replace(stale_sigmas=0.0, vol_spread=0.0, correlation_spread=0.0)
    exact = market._replace(quality=FRESH)
    parts = [
        unit_of(series, market, RULES._replace(vol_spread=0.0, correlation_spread=0.0)).spread,
        unit_of(series, exact, none._replace(spread_floor=0.0, vol_spread=0.005)).spread,
        unit_of(series, exact, none._replace(spread_floor=0.0, correlation_spread=0.1)).spread,
    ]
    uncertain = [epsilon, 0.005, vol * TOKEN_VOL * 0.1]
    for part, slope, width in zip(parts, slopes, uncertain, strict=True):
        assert part == pytest.approx(slope * width, rel=1e-4, abs=1e-9)
    assert unit_of(series, market).spread == pytest.approx(sum(parts), rel=1e-12)


@given(markets(), NUMBERS)
def test_unit_is_the_price_with_its_fee(market: Market, number: int) -> None:
    """Value and premium rate are the closed form's; the fee is 3 bp, at most an eighth of it."""
    series = SERIES[number]
    unit, contract = unit_of(series, market), series.contract
    price = perpetual_price(
        contract.is_call,
        market.index(series) / contract.strike,
        strike_vol(market.surface(series), math.log(contract.strike / market.index(series))),
        contract.funding_period,
        contract.discount_rate,
        contract.carry,
        contract.cap,
    )
    assert (unit.value, unit.premium_rate) == (price.value, price.premium_rate)
    assert unit.fee == min(0.0003, 0.125 * price.value)


def bought(unit: UnitQuote, notional: float, charge: float) -> OpenQuote:
    return quote_open(unit, notional, notional * charge)


def sold(unit: UnitQuote, notional: float, charge: float, paid: float) -> CloseQuote:
    return quote_close(unit, notional, notional * charge, notional * paid, 0.5)


@given(UNITS, NOTIONALS, CHARGES)
def test_an_ask_is_the_sum_of_its_parts(unit: UnitQuote, notional: float, charge: float) -> None:
    """Impact takes back the spread at most, so nobody buys below value and fee."""
    quote = bought(unit, notional, charge)
    assert quote.total == quote.mid + quote.impact + quote.spread + quote.fee
    assert (quote.mid, quote.spread, quote.fee) == tuple(
        notional * part for part in (unit.value, unit.spread, unit.fee)
    )
    assert quote.impact == max(notional * charge, -quote.spread)
    assert quote.total >= quote.mid + quote.fee - 1e-15 * (quote.mid + quote.spread)


@given(UNITS, NOTIONALS, CHARGES, CHARGES)
def test_a_bid_stays_in_its_bounds(
    unit: UnitQuote, notional: float, charge: float, paid: float
) -> None:
    """It refunds no more than was paid, pays no more than the lock, and its fee fits in it."""
    quote = sold(unit, notional, charge, paid)
    assert quote.refund == min(notional * charge, notional * paid)
    assert 0.0 <= quote.fee <= quote.gross <= notional * 0.5
    assert quote.fee == min(notional * unit.fee, quote.gross)
    if 0.0 < quote.gross < notional * 0.5:
        assert quote.gross == quote.mid + quote.refund - quote.spread
    elif quote.gross > 0.0:
        assert quote.mid + quote.refund - quote.spread >= quote.gross
    else:
        assert quote.mid + quote.refund <= quote.spread


@given(UNITS, NOTIONALS, CHARGES, CHARGES)
def test_mid_lies_between_bid_and_ask(
    unit: UnitQuote, notional: float, charge: float, relief: float
) -> None:
    """Refunds of impact apart, nobody sells above value; nobody sells above what buyers pay."""
    ask = bought(unit, notional, charge).total
    bare = sold(unit, notional, relief, min(relief, 0.0))
    middle = notional * unit.value
    rounding = 1e-15 * notional * (unit.value + unit.spread)
    assert 0.0 <= bare.gross - bare.fee <= middle <= ask + rounding
    # U is convex: closing relieves the book by less than opening once more would burden it.
    bid = sold(unit, notional, min(relief, charge), 1.0)
    assert bid.gross - bid.fee <= ask + rounding


@given(st.data(), markets(), OTHERS, NUMBERS, SIZES)
def test_bid_and_ask_of_one_desk_do_not_cross(
    data: st.DataObject, market: Market, others: list[float], number: int, size: float
) -> None:
    """Even who paid more impact at another state sells below what a buyer pays now."""
    desk = Desk(data.draw(markets()), SERIES, others)
    desk.open(0, number, size)
    desk.move(market)
    buyer = Desk(market, SERIES, desk.open_notional)
    ask, bid = buyer.open(1, number, size), desk.close(0, number, size)
    assert bid.gross - bid.fee <= ask.total * (1 + 1e-12)
    assert ask.impact >= -ask.spread


def test_a_payout_never_exceeds_the_lock() -> None:
    """Just before the barrier the refund no longer fits; at it value alone is the cap."""
    unit = unit_of(SERIES[0], Market((75_000.0 * 1.499, 4_000.0), (0.5, 0.5)))
    near = quote_close(unit, 10.0, 2.0, 1.0, 0.5)
    assert near.mid + near.refund - near.spread > near.gross == 5.0
    cashed = unit_of(SERIES[0], Market((75_000.0 * 1.5, 4_000.0), (0.5, 0.5)))
    assert cashed == UnitQuote(0.5, 0.0, RULES.fee, 0.0)


def test_a_worthless_option_is_sold_for_nothing() -> None:
    """What closing would cost is waived with the fee: a bid is never negative."""
    unit = UnitQuote(value=1e-4, spread=2e-4, fee=1.25e-5, premium_rate=0.0)
    assert quote_close(unit, 10.0, 0.0, 0.0, 0.5)[-2:] == (0.0, 0.0)
    assert quote_close(unit, 10.0, -1.0, 1.0, 0.5)[-2:] == (0.0, 0.0)
    fee_only = quote_close(unit, 10.0, 1.1e-3, 2e-3, 0.5)
    assert fee_only.fee == fee_only.gross == pytest.approx(1e-4)


@given(loops(), markets(), OTHERS)
def test_closed_loops_cost_at_least_their_fees(
    legs: list[Leg], market: Market, others: list[float]
) -> None:
    """No accounts that return to flat at one state of the market gain anything."""
    desk = Desk(market, SERIES, others)
    cost, fees = desk.cost(legs)
    assert cost >= fees - 1e-12 * sum(abs(leg.notional) for leg in legs)
    assert not any(position.notional for position in desk.positions.values())
    held = sum(abs(position.impact_paid) for position in desk.positions.values())
    assert held == 0.0


PARTS = st.integers(1_000_000, 10_000_000_000)
"""Base units: from the least notional that is traded to 1 % of N_ref."""


@given(markets(), OTHERS, NUMBERS, PARTS, st.integers(2, 20))
def test_dust_is_never_cheaper_to_buy(
    market: Market, others: list[float], number: int, part: int, count: int
) -> None:
    """Rounded up each time, n small purchases cost at least one of n times the size."""
    whole = Desk(market, SERIES, others).open(0, number, count * part / ONE)
    desk = Desk(market, SERIES, others)
    paid = sum(units_up(desk.open(0, number, part / ONE).total * ONE) for _ in range(count))
    assert paid >= units_up(whole.total * ONE)


def received(quote: CloseQuote, notional: int, cap_ppm: int) -> int:
    """What the account gets in base units, each part rounded against it."""
    cap = mul_div_down(notional, cap_ppm, 1_000_000)
    worth = units_down((quote.mid + quote.refund - quote.spread) * ONE)
    gross = max(0, min(cap, worth))
    return gross - min(units_up(quote.fee * ONE), gross)


@given(markets(), OTHERS, NUMBERS, PARTS, st.integers(2, 20))
def test_dust_is_never_dearer_to_sell(
    market: Market, others: list[float], number: int, part: int, count: int
) -> None:
    """Rounded down each time, n small sales bring at most one of n times the size.

    Left out is where a part brings less than its fee: who sells in parts is spared the rest of it.
    """
    desks = [Desk(market, SERIES, others) for _ in range(2)]
    for desk in desks:
        desk.open(0, number, count * part / ONE)
    whole = received(desks[0].close(0, number, count * part / ONE), count * part, 500_000)
    quotes = [desks[1].close(0, number, part / ONE) for _ in range(count)]
    assume(all(quote.gross > quote.fee for quote in quotes))
    assert sum(received(quote, part, 500_000) for quote in quotes) <= whole


INDEX_PART = RULES._replace(vol_spread=0.0, correlation_spread=0.0, fee=0.0)
"""The spread for the uncertain index alone, so that nothing else hides what it does."""
LEADS = [(2, 2), (2, 10), (5, 5), (5, 10), (10, 10)]
"""Seconds the trader is ahead of the index, and the age of the index when the trade executes."""


def sniping_gains(
    rules: QuoteRules, lead: int, age: int, vol: float, deep: float, threshold: float
) -> np.ndarray:
    """Return the gains per unit of someone who saw the move of the index before it was published.

    They act on moves of more than `threshold` standard deviations, buy a call before a rise and a
    put before a fall at the stale index, and sell at the true one as soon as it is published.
    """
    random = np.random.default_rng(1000 * lead + age)
    deviations = random.standard_normal(100_000)
    deviations = deviations[abs(deviations) > threshold][:400]
    index = MARKET.indices[0]
    calm = (vol, MARKET.vols[1])
    stale = Market(MARKET.indices, calm, IndexQuality(1_000 * age, 0.0, vol))
    sigma = vol * math.sqrt(1_000 * lead / YEAR_MS)
    call, put = (
        series_of(0, is_call, index * strike)
        for is_call, strike in ((True, 1 - deep), (False, 1 + deep))
    )
    gains = np.empty(deviations.size)
    for draw, deviation in enumerate(deviations.tolist()):
        series = call if deviation > 0.0 else put
        published = index * math.exp(sigma * deviation - 0.5 * sigma**2)
        after = unit_of(series, Market((published, MARKET.indices[1]), calm), rules)
        ask = quote_open(unit_of(series, stale, rules), 1.0, 0.0)
        bid = quote_close(after, 1.0, 0.0, 0.0, 0.5)
        gains[draw] = bid.gross - bid.fee - ask.total
    return gains


def bounds(gains: np.ndarray) -> tuple[float, float]:
    """Return the mean less and plus four standard errors."""
    error = 4.0 * gains.std() / math.sqrt(gains.size)
    return gains.mean() - error, gains.mean() + error


@pytest.mark.parametrize(("lead", "age"), LEADS)
@pytest.mark.parametrize("deep", [0.0, 0.25])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 2.0])
def test_age_in_the_spread_pays_for_a_stale_index(
    lead: int, age: int, deep: float, threshold: float
) -> None:
    """Alone, without fees, it takes more than seeing the index seconds ahead brings."""
    _, high = bounds(sniping_gains(INDEX_PART, lead, age, 0.8, deep, threshold))
    assert high < 0.0


@pytest.mark.parametrize(("lead", "age"), LEADS)
@pytest.mark.parametrize("deep", [0.0, 0.25])
def test_a_spread_blind_to_age_is_sniped(lead: int, age: int, deep: float) -> None:
    """The mutant with its floor alone loses to the same trader."""
    blind = INDEX_PART._replace(stale_sigmas=0.0)
    low, _ = bounds(sniping_gains(blind, lead, age, 0.8, deep, 2.0))
    assert low > 0.0


@pytest.mark.parametrize("threshold", [0.0, 2.0, 3.0])
def test_fees_cover_what_the_rarest_moves_bring(threshold: float) -> None:
    """With fees not even moves of three deviations in ten seconds pay, deep in the money.

    The charge for correlation, which is large there, is left out; still a spread blind to age
    loses to such moves, fees and all.
    """
    rules = RULES._replace(correlation_spread=0.0)
    _, high = bounds(sniping_gains(rules, 10, 10, 1.0, 0.25, threshold))
    assert high < 0.0
    blind = rules._replace(stale_sigmas=0.0)
    low, _ = bounds(sniping_gains(blind, 10, 10, 1.0, 0.25, max(threshold, 2.0)))
    assert low > 0.0
