"""Time quotes against 200 live series under the smile, and the table they are read off."""

import time
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from amm.arrays import Floats
from amm.kernel import allocating_kernel, kernel
from amm.mixture import discounting_period, smile_value
from amm.perpetual import perpetual_value
from amm.revaluation import STATES, STRESS_DOWN, STRESS_UP
from amm.scenarios import DAYS, MOVES, REGIMES, UNDERLYINGS, contract_value
from amm.ssvi import BTC_SURFACE, ETH_SURFACE, Ssvi, at_level
from amm.surface import COEFFICIENTS, SmileTable, fill_surface, make_table, strike_vol
from amm.units import MINUTE_MS, ONE
from tests.benchmarks.measure import Figure, Times, nanoseconds
from tests.vaults.harness import BTC, ETH, Bench, funded
from vaults.market import Market
from vaults.opening import price_opening
from vaults.rejects import Reject
from vaults.rules import Rules, carry_of, index_of, make_rules, mark_level
from vaults.state import Ints, State
from vaults.tick import run_due, tick
from vaults.valuation import contract_of

TICKS = 400
SERIES = 200
HELD = {
    BTC: range(76_000, 126_000, 1_000),
    ETH: range(2_900, 5_400, 50),
}
"""Strikes held, each as a call and as a put, around the money."""
PRICES, VOLS = (100_000.0, 4_000.0), (0.65, 0.75)
AT_THE_MONEY = 100_000 * ONE
WEEK = 7.0 / 365.0


def crowded() -> Bench:
    """Return a pool of 10,000 tokens with 200 live series on the default surfaces."""
    bench = funded().copy()
    bench.checked = False
    bench.reshape(BTC_SURFACE, ETH_SURFACE)
    bench.tick(*PRICES, btc_vol=VOLS[BTC], eth_vol=VOLS[ETH])
    for underlying, strikes in HELD.items():
        for is_call in (True, False):
            account = bench.account()
            for strike in strikes:
                fill = bench.open(account, 8 * ONE, strike, is_call=is_call, underlying=underlying)
                assert fill.refusal.code == Reject.NONE, fill
    live = int(bench.pool.live_series)
    assert live == SERIES, live
    return bench


def move(bench: Bench, underlying: int, random: Generator) -> None:
    """Publish a new index and vol level; the vol is rising, so buyers pay at a level of its own."""
    price = PRICES[underlying] * (1.0 + random.normal(0.0, 0.01))
    vol = VOLS[underlying] * (1.0 + random.normal(0.0, 0.02))
    bench.publish(underlying, price, vol)
    bench.market.oracle[underlying].target_vol_e9 += 10_000_000


def run_tick(bench: Bench, underlying: int) -> None:
    """Run the kernels of one tick."""
    state, rules, market = bench.state, bench.rules, bench.market
    tick(state, rules, market, underlying, bench.now)
    while run_due(state, rules, market, underlying, bench.now) > 0:
        pass


@kernel
def quote_each(
    state: State, rules: Rules, market: Market, kinds: Ints, strikes: Ints, now_ms: int
) -> float:
    """Return the sum of many quotes asked for inside compiled code."""
    total = 0.0
    for i in range(strikes.size):
        underlying, is_call = kinds[i] // 2, kinds[i] % 2 == 1
        opening = price_opening(
            state, rules, market, underlying, is_call, strikes[i], 8 * ONE, now_ms
        )
        total += opening.quote.total
    return total


@allocating_kernel
def revalue_one_by_one(state: State, rules: Rules, market: Market, values: Floats) -> None:
    """Fill the value of every live series in every state, one after the other.

    Args:
        state: The token.
        rules: Its rules.
        market: Index and vol of each underlying.
        values: Filled; shape (series, STATES).
    """
    parameters, scenarios = rules.parameters[0], rules.scenarios
    for underlying in range(UNDERLYINGS):
        level, index = mark_level(market, underlying), index_of(market, underlying)
        carry, table = carry_of(rules, market, underlying), rules.smiles[underlying]
        worse, worst = level * scenarios.vol_factors[1], level * parameters.stress_vol
        calm = fill_surface(table, level, carry, np.empty(COEFFICIENTS))
        stressed = fill_surface(table, worse, carry, np.empty(COEFFICIENTS))
        based = stressed
        if worst != worse:
            based = fill_surface(table, worst, carry, np.empty(COEFFICIENTS))
        indices = index * np.exp(scenarios.sigmas * (level / np.sqrt(DAYS)))
        for slot in range(state.pool[0].series_count):
            series = state.series[slot]
            if series.underlying != underlying or series.open_notional == 0:
                continue
            contract = contract_of(state, rules, market, slot)
            for regime in range(REGIMES):
                surface = calm if regime == 0 else stressed
                for place in range(MOVES):
                    value = contract_value(contract, indices[regime, place], surface)
                    values[slot, regime * MOVES + place] = value
            down, up = (
                index * (1.0 - parameters.stress_move),
                index * (1.0 + parameters.stress_move),
            )
            values[slot, STRESS_DOWN] = contract_value(contract, down, based)
            values[slot, STRESS_UP] = contract_value(contract, up, based)


def check_same(bench: Bench, values: Floats) -> None:
    """Check that the whole book lives, its losses as revaluing one by one finds them."""
    assert bench.pool.live_series == SERIES
    states = values[:, :STRESS_DOWN]
    mean = states @ bench.rules.scenarios.marginal.ravel()
    losses = bench.state.losses[:SERIES].reshape(SERIES, STRESS_DOWN)
    assert np.allclose(losses, states - mean[:, None], rtol=0.0, atol=1e-12)


class Latencies(NamedTuple):
    """Times of single calls, taken in turn so that a slow minute slows them all.

    Attributes:
        both: First quote after a tick of both underlyings.
        again: The second.
        one_by_one: Revaluing the book in all states, one value after the other.
        one: First quote after a tick of one underlying.
        carried: First quote after a tick of both, where token and index are correlated.
        tick: A tick of one underlying.
    """

    both: Times
    again: Times
    one_by_one: Times
    one: Times
    carried: Times
    tick: Times


def between_ticks(bench: Bench) -> Latencies:
    """Time quotes between ticks, and what stands beside them."""
    random = np.random.default_rng(1)
    taken = Latencies(*(Times([]) for _ in Latencies._fields))
    values = np.zeros((SERIES, STATES))
    state, market, plain = bench.state, bench.market, bench.rules
    terms = tuple(each._replace(correlation=0.4) for each in bench.terms)
    correlated = make_rules(bench.parameters, terms, bench.shapes)

    def quote_after(moved: tuple[int, ...], rules: Rules, times: Times) -> None:
        bench.rules = rules
        bench.now += MINUTE_MS
        for underlying in moved:
            move(bench, underlying, random)
            state.log_count[0] = 0
            taken.tick.take(run_tick, bench, underlying)
        times.take(price_opening, state, rules, market, BTC, True, AT_THE_MONEY, ONE, bench.now)

    for number in range(TICKS + 1):
        quote_after((BTC, ETH), plain, taken.both)
        asked = (state, plain, market, BTC, True, AT_THE_MONEY, ONE, bench.now)
        taken.again.take(price_opening, *asked)
        taken.one_by_one.take(revalue_one_by_one, state, plain, market, values)
        check_same(bench, values)
        quote_after((number % UNDERLYINGS,), plain, taken.one)
        quote_after((BTC, ETH), correlated, taken.carried)
        if number == 0:
            for times in taken:
                times.nanoseconds.clear()  # a first call compiles
    quote_after((BTC, ETH), plain, Times([]))
    return taken


def compiled_quotes(bench: Bench, *, held: bool) -> float:
    """Return the microseconds of a quote inside compiled code, of series held or of new ones."""
    listed = bench.state.series[:SERIES]
    kinds = 2 * listed.underlying + listed.is_call
    strikes = listed.strike_e8.copy()
    if not held:
        new = [*range(71_000, 76_000, 1_000), *range(126_000, 139_000, 1_000)]
        strikes = np.array(new, dtype=np.int64) * ONE
        kinds = np.full(len(new), 2 * BTC + 1)
    asked = (bench.state, bench.rules, bench.market, kinds, strikes, bench.now)
    return nanoseconds(lambda: quote_each(*asked), len(strikes), 300) / 1e3


def latencies() -> list[Figure]:
    """Time quotes, cold and warm."""
    bench = crowded()
    both, again, one_by_one, one, carried, ticks = between_ticks(bench)
    held, new = compiled_quotes(bench, held=True), compiled_quotes(bench, held=False)
    size = f"{SERIES * STATES:,} values one by one, compiled: {one_by_one}"
    return [
        Figure(
            "first quote after a tick of both underlyings, from Python",
            str(both),
            f"{size}: {one_by_one.least / both.least:.1f} x as long",
            "≤ 60 us",
        ),
        Figure(
            "the same, token and index correlated by 0.4",
            str(carried),
            f"{carried.least / both.least:.2f} x: smiles read off eight carries, not one",
            "≤ 60 us",
        ),
        Figure(
            "first quote after a tick of one underlying",
            str(one),
            f"{one.least / both.least:.2f} x both",
            "≤ 60 us",
        ),
        Figure(
            "quote again before the next tick, from Python",
            str(again),
            f"{again.least / both.least:.2f} x the first",
            "≤ 12 us",
        ),
        Figure(
            "the same inside compiled code",
            f"{held:.2f} us",
            f"of a series nobody holds: {new:.2f} us",
            "≤ 2 us",
        ),
        Figure(
            "tick of one underlying, 100 series accrued and marked",
            str(ticks),
            f"{ticks.least / both.least:.2f} x the first quote after it",
        ),
    ]


@allocating_kernel
def fill_values(
    table: SmileTable,
    shape: Ssvi,
    levels: Floats,
    carries: Floats,
    log_strikes: Floats,
    values: Floats,
    is_exact: bool,
) -> None:
    """Fill values out of the money, by the mixture or off the table.

    Args:
        table: The smile.
        shape: Its surface.
        levels: Vol levels.
        carries: Carries.
        log_strikes: Of strike over index.
        values: Filled; shape (levels, carries, log strikes).
        is_exact: Whether to integrate.
    """
    ratios = np.empty(COEFFICIENTS)
    for i in range(levels.size):
        live = at_level(shape, levels[i])
        for j in range(carries.size):
            surface = fill_surface(table, levels[i], carries[j], ratios)
            for k in range(log_strikes.size):
                is_call, moneyness = log_strikes[k] >= 0.0, np.exp(-log_strikes[k])
                if is_exact:
                    value = smile_value(live, is_call, moneyness, WEEK, 0.0, carries[j])
                else:
                    vol = strike_vol(surface, log_strikes[k])
                    value = perpetual_value(is_call, moneyness, vol, WEEK, 0.0, carries[j], np.inf)
                values[i, j, k] = value


def tables() -> list[Figure]:
    """Time and check the table of a surface."""
    levels, carries = np.geomspace(0.2, 2.0, 61), np.linspace(-0.25, 0.25, 5)
    log_strikes = np.linspace(-0.5, 0.5, 101)
    inputs = (levels, carries, log_strikes)
    apart, relative = [], []
    from_table = integrated = 0.0
    for shape in (BTC_SURFACE, ETH_SURFACE):
        table = make_table(shape, discounting_period(WEEK, 0.0))
        quoted, exact = (np.empty((61, 5, 101)) for _ in range(2))
        from_table = nanoseconds(
            lambda t=table, s=shape, v=quoted: fill_values(t, s, *inputs, v, False),
            quoted.size,
            15,
            time.process_time,
        )
        integrated = nanoseconds(
            lambda t=table, s=shape, v=exact: fill_values(t, s, *inputs, v, True),
            exact.size,
            15,
            time.process_time,
        )
        apart.append(float(np.max(np.abs(quoted - exact))))
        known = exact >= 1e-6
        relative.append(float(np.max(np.abs(quoted[known] / exact[known] - 1.0))))
    making = []
    for number in range(1, 6):
        shape = BTC_SURFACE._replace(skew=-0.01 * number)
        begun = time.process_time()
        make_table(shape, discounting_period(WEEK, 0.0))
        making.append(time.process_time() - begun)
    vols = table.ratios[..., 0].size * (table.ratios.shape[-1] - 2)
    grid = "levels 0.2 to 2, carries ±0.25, log strikes ±0.5"
    each = min(making) / vols * 1e9
    return [
        Figure(
            "uncapped value off the table, inside compiled code",
            f"{from_table:.0f} ns",
            f"the mixture integrated: {integrated:,.0f} ns, {integrated / from_table:.0f} x",
        ),
        Figure(
            "largest error of the two default tables, of the notional",
            " and ".join(f"{error:.0e}" for error in apart),
            grid,
            "≤ 1e-7",
        ),
        Figure(
            "the same, of the value itself, where it is 1e-6 or more",
            " and ".join(f"{error:.0e}" for error in relative),
            grid,
        ),
        Figure(
            "making the table of a new surface",
            f"{min(making):.2f} s",
            f"{vols:,} integrals, each inverted: {each:,.0f} ns apiece",
        ),
    ]


def quotes() -> list[Figure]:
    """Measure quotes and what they are read off."""
    return latencies() + tables()
