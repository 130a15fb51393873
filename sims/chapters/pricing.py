"""The figures of docs/pricing.md, computed: `make chapter`, or `python -m sims.chapters.pricing`.

Every block between markers is written anew and every picture drawn. Seeds are fixed, so a second
run writes the same page.
"""
# ruff: noqa: RUF001 - tables hold the symbols of the page

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.black_scholes import european_price
from amm.perpetual import perpetual_price, perpetual_value
from amm.sensitivities import perpetual_sensitivities
from amm.ssvi import Ssvi, atm_variance, total_variance
from sims.chapters.free_option import bachelier_value, best_exit, lattice_value
from sims.chapters.page import paragraph, table, with_blocks
from sims.chapters.pricing_pictures import (
    draw_cap,
    draw_free_option,
    draw_premium,
    draw_stopping,
    draw_value,
)
from sims.stopping import (
    CAP,
    FALL,
    FROZEN,
    HEDGE,
    INTRINSIC,
    OURS,
    RIGHT_END,
    RULES,
    WEEK,
    YEAR_HOURS,
    Outcomes,
    run_to_the_barrier,
    simulate_rules,
)

Floats = npt.NDArray[np.float64]

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE = DOCS / "pricing.md"
PICTURES = DOCS / "pictures"

VOL = 0.5
RATE = 1.0 / WEEK
DAY = 1.0 / 365.0
BP = 1e4
PATHS = 200_000
BARRIER_PATHS = 20_000
DRAWS = 2_000_000
OVERSHOOT = 0.5825971579390106
"""Mean overshoot of a Gaussian walk over a distant level, in its step's standard deviation:
-zeta(1/2) / sqrt(2 pi)."""

SMILE = Ssvi(short_vol=0.50, long_vol=0.62, reversion=6.0, skew=-0.14, curvature=0.65)
"""An example, not a calibration."""


class Estimate(NamedTuple):
    """A mean and its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        """Return both in basis points."""
        return f"{BP * self.mean:+.2f} ± {BP * self.error:.2f}"


def estimate_of(samples: Floats) -> Estimate:
    """Return the mean of paths that come in mirrored pairs."""
    pairs = samples.reshape(-1, 2).mean(axis=1)
    return Estimate(float(pairs.mean()), float(pairs.std(ddof=1) / math.sqrt(pairs.size)))


# The price -----------------------------------------------------------------------------------


def mixture_value(
    is_call: bool,
    moneyness: float,
    funding_period: float,
    discount_rate: float,
    carry: float,
    vol_at: Callable[[float], float],
    nodes: int = 48,
) -> float:
    """Return the mean European value over an exponential expiry, t = T y^2 on Gauss nodes in y."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    total = 0.0
    for y, weight in zip(3.0 * (points + 1.0), 3.0 * weights, strict=True):
        years = funding_period * y * y
        european = european_price(
            is_call, moneyness, vol_at(years), years, discount_rate, carry
        ).value
        total += weight * 2.0 * y * math.exp(-y * y) * european
    return float(total)


def flat_vol(vol: float, _years: float) -> float:
    """Return the vol of every expiry."""
    return vol


OPTIONS = (
    (True, 1.0, 0.5, 7, 0.0, 0.0),
    (True, 0.8, 0.5, 7, 0.0, 0.0),
    (True, 1.1, 0.5, 7, 0.02, 0.15),
    (False, 0.85, 0.8, 30, 0.05, -0.10),
)


def closed_form() -> str:
    """Compare the closed form with the mixture it stands for."""
    rows = []
    for is_call, x, vol, days, discount_rate, carry in OPTIONS:
        period = days / 365.0
        closed = perpetual_value(is_call, x, vol, period, discount_rate, carry, math.inf)
        mixed = mixture_value(
            is_call, x, period, discount_rate, carry, functools.partial(flat_vol, vol), nodes=400
        )
        kind = "call" if is_call else "put"
        inputs = (f"{vol:g}", f"{days} d", f"{discount_rate:g}", f"{carry:g}")
        rows.append((f"{kind}, x = {x:g}", *inputs, f"{closed:.10f}", f"{mixed:.10f}"))
    return table(("", "σ", "T", "r", "b", "closed form", "mixture, 400 nodes"), rows)


def greeks() -> str:
    """Show a call around the strike."""
    rows = []
    for x in (0.9, 1.0, 1.1):
        price = perpetual_price(True, x, VOL, WEEK, 0.0, 0.0, math.inf)
        rows.append(
            (
                f"{x:g}",
                f"{price.value:.6f}",
                f"{price.delta:.6f}",
                f"{price.gamma:.6f}",
                f"{price.vega:.6f}",
                f"{100.0 * price.premium_rate / 365.0:.5f} %",
            )
        )
    return table(("x", "value", "delta", "gamma", "vega", "F a day"), rows)


def sensitivities() -> str:
    """Show what the same call makes of its strike, its rates and its funding period."""
    rows = []
    for x in (0.9, 1.0, 1.1):
        got = perpetual_sensitivities(True, x, VOL, WEEK, 0.0, 0.0, math.inf)
        rows.append((f"{x:g}", *(f"{number:.6f}" for number in got)))
    return table(("x", "dual delta", "∂v/∂r", "∂v/∂b", "∂v/∂T"), rows)


def premium() -> str:
    """Show what subtraction does to the premium rate."""
    rows = []
    vol, period = 0.3, DAY
    for x in (1.1, 1.2, 1.4, 1.6):
        price = perpetual_price(True, x, vol, period, 0.0, 0.0, math.inf)
        subtracted = (price.value - (x - 1.0)) / period
        error = abs(subtracted / price.premium_rate - 1.0)
        rows.append((f"{x:g}", f"{price.premium_rate:.10e}", f"{error:.0e}"))
    return table(("x", "κ·tv, a year", "relative error of κ(v − φ)"), rows)


def cap() -> str:
    """Show what the cap costs at the strike, and what a position beyond it would cost the pool."""
    rows = []
    barrier = 1.0 + CAP
    for vol, days in ((0.5, 7), (0.8, 7), (0.8, 30)):
        period = days / 365.0
        uncapped = perpetual_value(True, 1.0, vol, period, 0.0, 0.0, math.inf)
        capped = perpetual_value(True, 1.0, vol, period, 0.0, 0.0, CAP)
        at_barrier = perpetual_value(True, barrier, vol, period, 0.0, 0.0, math.inf)
        flow = (at_barrier - barrier * uncapped - CAP) / period / 365.0
        rows.append(
            (
                f"σ = {vol:g}, T = {days} d",
                f"{100.0 * uncapped:.4f} %",
                f"{1.0 - capped / uncapped:.1e}",
                f"{100.0 * flow:.3f} %",
            )
        )
    head = ("", "value, x = 1", "the cap takes, of it", "F a day at B without cash-out")
    return table(head, rows)


# The quanto ----------------------------------------------------------------------------------

USD_RATE, INDEX_YIELD, TOKEN_YIELD = 0.04, 0.01, 0.02
TOKEN_VOL, CORRELATION = 0.6, 0.4


def quanto_carry(correlation: float, index_rate: float = 0.0) -> float:
    """Return b: the carry of the index plus the quanto term."""
    return index_rate + correlation * VOL * TOKEN_VOL


def quanto() -> str:
    """Show what correlation does to both kinds at the strike."""
    rows = []
    plain = [perpetual_value(kind, 1.0, VOL, WEEK, 0.0, 0.0, CAP) for kind in (True, False)]
    for correlation in (-0.2, 0.0, 0.4):
        carry = quanto_carry(correlation)
        values = [perpetual_value(kind, 1.0, VOL, WEEK, 0.0, carry, CAP) for kind in (True, False)]
        cells = [
            cell
            for value, without in zip(values, plain, strict=True)
            for cell in (f"{value:.6f}", f"{100.0 * (value / without - 1.0):+.1f} %")
        ]
        rows.append((f"{correlation:+.1f}", f"{carry:+.2f}", *cells))
    return table(("ρ", "b", "call", "", "put", ""), rows)


def simulated_quanto(draws: int, seed: int = 1) -> Estimate:
    """Return the token value of a call by simulating index and token in USD."""
    random = np.random.default_rng(seed)
    years = random.exponential(WEEK, draws // 2)
    first, second = random.standard_normal((2, draws // 2))
    results = []
    for sign in (1.0, -1.0):
        one = sign * first
        other = CORRELATION * one + math.sqrt(1.0 - CORRELATION**2) * sign * second
        drift = USD_RATE - INDEX_YIELD - VOL**2 / 2
        moneyness = np.exp(drift * years + VOL * np.sqrt(years) * one)
        drift = USD_RATE - TOKEN_YIELD - TOKEN_VOL**2 / 2
        token = np.exp(drift * years + TOKEN_VOL * np.sqrt(years) * other)
        results.append(np.exp(-USD_RATE * years) * token * np.maximum(moneyness - 1.0, 0.0))
    return estimate_of(np.stack(results, axis=1).reshape(-1))


def quanto_simulated(draws: int = DRAWS) -> str:
    """Compare the formula with paths in USD, which know nothing of it."""
    measured = simulated_quanto(draws)
    index_rate = USD_RATE - INDEX_YIELD
    with_term = perpetual_value(
        True, 1.0, VOL, WEEK, TOKEN_YIELD, quanto_carry(CORRELATION, index_rate), math.inf
    )
    without = perpetual_value(True, 1.0, VOL, WEEK, TOKEN_YIELD, index_rate, math.inf)
    return paragraph(
        f"In bp of notional the simulation gives {str(measured).lstrip('+')}, the closed form "
        f"{BP * with_term:.2f}, without the quanto term {BP * without:.2f}."
    )


# Ticks ---------------------------------------------------------------------------------------


def expected_time_value(years: Floats) -> Floats:
    """Return the mean of v - payoff after some time, opened at the strike, uncapped."""
    speed = RATE + VOL * VOL / 8.0
    start = perpetual_value(True, 1.0, VOL, WEEK, 0.0, 0.0, math.inf)
    tails = np.array([math.erfc(math.sqrt(speed * each)) for each in years.tolist()])
    return start * np.exp(RATE * years) * tails


def overcharge(hours: float, days: float) -> tuple[float, float]:
    """Return what left ends charge beyond the integral, as a share of the first time value.

    Also the fall of the time value, as such a share.
    """
    start = expected_time_value(np.zeros(1)).item()
    step = hours / YEAR_HOURS
    count = round(days * 24.0 / hours)
    charged = (
        float(expected_time_value(np.linspace(0.0, step * count, count, endpoint=False)).sum())
        * RATE
        * step
    )
    years = count * step
    end = expected_time_value(np.array([years])).item()
    # By the martingale the integral is the mean gain of the value, European value included.
    exact = end + math.erf(VOL * math.sqrt(years / 8.0)) - start
    return (charged - exact) / start, 1.0 - end / start


def ticks() -> str:
    """Compare the overcharge of left ends with h/(2T) of the fall."""
    rows = []
    for name, hours in (("1 min", 1 / 60), ("1 h", 1.0), ("8 h", 8.0), ("1 d", 24.0)):
        measured, fall = overcharge(hours, 7.0)
        relative = RATE * hours / YEAR_HOURS
        first = relative / 2.0 * fall
        second = first + 0.2346 * relative**1.5
        cells = (f"{100.0 * number:.4f} %" for number in (measured, first, second))
        rows.append((name, *cells))
    head = ("h", "exact", "h/(2T) of the fall", "with the next term")
    return table(head, rows)


# Stopping rules ------------------------------------------------------------------------------


@functools.cache
def outcomes(start: float, hours: float, paths: int, seed: int = 7) -> Outcomes:
    """Return what every rule made of a call."""
    return simulate_rules(True, start, VOL, hours, seed, paths)


def mean_profits(
    start: float, hours: float, contract: int, paths: int
) -> tuple[list[Estimate], list[Estimate]]:
    """Return each rule's mean profit, plain and with the hedge's gains taken off."""
    ran = outcomes(start, hours, paths)
    rules = range(len(RULES))
    plain = [estimate_of(ran.profits[contract, rule]) for rule in rules]
    hedged = [estimate_of(ran.profits[contract, rule] - ran.beside[HEDGE, rule]) for rule in rules]
    return plain, hedged


def cost_of_ticks(start: float, hours: float, paths: int) -> Floats:
    """Return -h/(2T) of each rule's mean fall of the time value."""
    fall = outcomes(start, hours, paths).beside[FALL].mean(axis=1)
    return np.asarray(-0.5 * RATE * hours / YEAR_HOURS * fall)


def stopping(paths: int = PATHS) -> str:
    """Show our contract under every rule."""
    rows = []
    plain, hedged = mean_profits(1.0, 1.0, OURS, paths)
    predicted = BP * cost_of_ticks(1.0, 1.0, paths)
    for rule, name in enumerate(RULES):
        rows.append((name, str(plain[rule]), str(hedged[rule]), f"{predicted[rule]:+.2f}"))
    return table(("sell …", "profit", "with the hedge taken off", "−h/(2T) of the fall"), rows)


LOOKALIKES = (
    ("intrinsic at exit", 1.0, 1.0, INTRINSIC),
    ("frozen fee, x = 0.95", 0.95, 1.0, FROZEN),
    ("right end, h = 1 d", 1.0, 24.0, RIGHT_END),
    ("left end, h = 1 d", 1.0, 24.0, OURS),
)


def lookalikes(paths: int = PATHS) -> str:
    """Show the contracts that look like ours under every rule."""
    columns = [
        mean_profits(start, hours, contract, paths)[1] for _, start, hours, contract in LOOKALIKES
    ]
    fall = outcomes(1.0, 1.0, paths).beside[FALL].mean(axis=1)
    rows = [
        (name, f"{BP * fall[rule]:+.2f}", *(str(column[rule]) for column in columns))
        for rule, name in enumerate(RULES)
    ]
    return table(("sell …", "fall of v − φ", *(name for name, *_ in LOOKALIKES)), rows)


BARRIERS = ((True, 1.35, 1.0), (True, 1.35, 4.0), (False, 0.6, 1.0))
BARRIER_VOL = 0.8
BARRIER_DAYS = 30


def barrier_runs(
    is_call: bool, start: float, hours: float, paths: int, seed: int = 3
) -> tuple[Estimate, float, float]:
    """Return the profit of holding to the cash-out, the chance of it and the profit expected."""
    random = np.random.default_rng(seed)
    half = random.standard_normal((paths // 2, round(BARRIER_DAYS * 24 / hours)))
    normals = np.stack([half, -half], axis=1).reshape(paths, -1)
    profits, hedges = np.empty((2, paths))
    step = hours / YEAR_HOURS
    hits = run_to_the_barrier(is_call, start, BARRIER_VOL, step, normals, profits, hedges)
    chance = hits / paths
    barrier = 1.0 + CAP if is_call else 1.0 - CAP
    inside = barrier * (1.0 - 1e-9 if is_call else 1.0 + 1e-9)
    slope = abs(perpetual_price(is_call, inside, BARRIER_VOL, WEEK, 0.0, 0.0, CAP).delta)
    jump = OVERSHOOT * BARRIER_VOL * math.sqrt(step) * barrier * slope
    return estimate_of(profits - hedges), chance, -jump * chance


def barrier(paths: int = BARRIER_PATHS) -> str:
    """Show what discrete ticks cost whoever runs into the barrier."""
    rows = []
    for is_call, start, hours in BARRIERS:
        measured, chance, predicted = barrier_runs(is_call, start, hours, paths)
        name = f"{'call' if is_call else 'put'} from x = {start:g}, h = {hours:g} h"
        cells = (f"{100.0 * chance:.1f} %", str(measured), f"{BP * predicted:+.2f}")
        rows.append((name, *cells))
    return table(("", "P(hit)", "profit", "−0.58 σ√h · B · δ(B) · P(hit)"), rows)


# The free option -----------------------------------------------------------------------------

FEES = (0.25, 1.0, 4.0, 16.0)


def atm_fee() -> float:
    """Return our own premium rate at the strike, per year."""
    return perpetual_price(True, 1.0, VOL, WEEK, 0.0, 0.0, CAP).premium_rate


def free_option() -> str:
    """Compare theory and dynamic programming over fees."""
    rows = []
    for multiple in FEES:
        fee = multiple * atm_fee()
        best = best_exit(VOL, fee)
        values = (bachelier_value(VOL, fee), best.value, lattice_value(VOL, fee))
        cells = (f"{100.0 * value:.4f} %" for value in values)
        stay = f"{best.low:.4f} … {best.high:.4f}"
        rows.append((f"{multiple:g} × {atm_fee():.3f}", *cells, stay))
    head = ("fee f, a year", "σ²/(16 f)", "closed form", "dynamic programming", "stay while x in")
    return table(head, rows)


def free_option_phases() -> str:
    """Show that deciding seldom does not save the contract."""
    cells = [
        f"{100.0 * lattice_value(VOL, atm_fee(), hours / YEAR_HOURS, steps):.3f} % {name}"
        for name, hours, steps in (
            ("deciding every hour", 1.0, 64),
            ("every 8 hours", 8.0, 256),
            ("every day", 24.0, 256),
        )
    ]
    return paragraph(f"At our premium rate it is still worth {', '.join(cells)}.")


# The smile -----------------------------------------------------------------------------------


def smile_vol(log_strike: float, years: float) -> float:
    """Return the vol of a European option on the example surface."""
    theta = atm_variance(SMILE, years)
    variance = total_variance(theta, SMILE.skew, SMILE.curvature, 0.5, log_strike)
    return math.sqrt(variance / years)


def perpetual_vol(moneyness: float, nodes: int = 48) -> tuple[float, float]:
    """Return the mixture, out of the money, and the flat vol that gives it."""
    is_call = moneyness <= 1.0
    log_strike = -math.log(moneyness)
    mixed = mixture_value(
        is_call, moneyness, WEEK, 0.0, 0.0, functools.partial(smile_vol, log_strike), nodes
    )
    low, high = 0.01, 5.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if perpetual_value(is_call, moneyness, middle, WEEK, 0.0, 0.0, math.inf) < mixed:
            low = middle
        else:
            high = middle
    return mixed, 0.5 * (low + high)


def smile() -> str:
    """Show the perpetual vol over strikes."""
    at_the_money = perpetual_vol(1.0)[1]
    rows = []
    for strike in (0.75, 0.9, 1.0, 1.1, 1.25):
        x = 1.0 / strike
        mixed, vol = perpetual_vol(x)
        flat = perpetual_value(x <= 1.0, x, at_the_money, WEEK, 0.0, 0.0, math.inf)
        cells = (f"{100.0 * vol:.2f} %", f"{mixed:.4e}", f"{mixed / flat:.3f}")
        rows.append((f"{strike:g}", *cells))
    head = ("strike / index", "perpetual vol", "time value", "of that at the ATM vol")
    return table(head, rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "closed-form": closed_form,
    "greeks": greeks,
    "sensitivities": sensitivities,
    "premium": premium,
    "cap": cap,
    "quanto": quanto,
    "quanto-simulated": quanto_simulated,
    "ticks": ticks,
    "stopping": stopping,
    "lookalikes": lookalikes,
    "barrier": barrier,
    "free-option": free_option,
    "free-option-phases": free_option_phases,
    "smile": smile,
}


def draw_pictures(folder: Path, paths: int = PATHS) -> None:
    """Draw every picture of the page."""
    draw_value(folder / "pricing-value.png")
    draw_premium(folder / "pricing-premium.png")
    draw_cap(folder / "pricing-cap.png")
    draw_free_option(folder / "pricing-free-option.png", VOL, atm_fee())
    panels = []
    for title, start, hours, contract in (("ours", 1.0, 1.0, OURS), *LOOKALIKES[:3]):
        _, hedged = mean_profits(start, hours, contract, paths)
        means, errors = BP * np.array(hedged).T
        panels.append((title, means, errors))
    expected = BP * cost_of_ticks(1.0, 1.0, paths)
    draw_stopping(folder / "pricing-stopping.png", RULES, panels, expected)


def main() -> None:
    """Write the page and its pictures."""
    draw_pictures(PICTURES)
    PAGE.write_text(with_blocks(PAGE.read_text(), BLOCKS))


if __name__ == "__main__":
    main()
