"""docs/pricing.md says what the code computes, and its formulas hold in many digits."""

import math
import re
from pathlib import Path

import mpmath
import numpy as np
import pytest
from matplotlib.image import imread
from mpmath import mpf

from amm.perpetual import perpetual_price
from sims.chapters import pricing
from sims.chapters.free_option import bachelier_value, best_exit, lattice_value
from sims.chapters.page import blocks_of, rows_of, with_blocks
from sims.stopping import FALL, FROZEN, HEDGE, INTRINSIC, OURS, RIGHT_END, RULES
from tests.reference.perpetual import Option, derivative, forward, premium_rate, value

BLOCKS = blocks_of(pricing.PAGE.read_text())
CHEAP = ("closed-form", "greeks", "sensitivities", "cap", "quanto", "ticks", "free-option", "smile")
NUMBER = re.compile(r"([+-]?\d+\.\d+)(?: ± (\d+\.\d+))?")
PATHS = 12_000


def estimate(text: str) -> pricing.Estimate:
    """Return what a cell says in basis points, as fractions."""
    found = NUMBER.search(text)
    assert found is not None
    return pricing.Estimate(float(found[1]) / pricing.BP, float(found[2] or 0.0) / pricing.BP)


def agree(one: pricing.Estimate, other: pricing.Estimate) -> bool:
    """Whether two estimates differ by no more than 4 standard errors."""
    return abs(one.mean - other.mean) <= 4.0 * math.hypot(one.error, other.error) + 5e-7


def test_every_block_has_a_writer_and_a_place() -> None:
    assert BLOCKS.keys() == pricing.BLOCKS.keys()
    with pytest.raises(KeyError):
        with_blocks("<!-- figures:nobody -->\n<!-- end -->", pricing.BLOCKS)
    text = "a\n<!-- figures:b -->\nold\n<!-- end -->\nc\n"
    assert with_blocks(text, {"b": lambda: "new\n"}) == text.replace("old", "new")


@pytest.mark.compiled
@pytest.mark.parametrize("name", [*CHEAP, "free-option-phases"])
def test_the_page_says_what_is_computed_now(name: str) -> None:
    assert BLOCKS[name] == pricing.BLOCKS[name]()


@pytest.mark.compiled
def test_the_premium_rate_keeps_its_digits_where_subtraction_does_not() -> None:
    """Errors of subtraction depend on the machine's rounding, so only their size is compared."""
    shown, now = rows_of(BLOCKS["premium"]), rows_of(pricing.premium())
    for (x, rate, error), (_, rate_now, error_now) in zip(shown, now, strict=True):
        with mpmath.workdps(60):
            exact = premium_rate(Option(True, float(x), 0.3, pricing.DAY))
        assert rate == rate_now == f"{float(exact):.10e}"
        assert 0.01 <= float(error) / float(error_now) <= 100.0
    assert [float(row[2]) > 1e-3 for row in shown] == [False, False, True, True]


# Simulated -----------------------------------------------------------------------------------


@pytest.mark.compiled
def test_the_page_says_what_a_smaller_simulation_finds() -> None:
    """Every estimate within 4 standard errors of one from fewer paths of another seed."""
    plain = [pricing.estimate_of(each) for each in _run(1.0, 1.0).profits[OURS]]
    hedged = _hedged(1.0, 1.0, OURS)
    for rule, row in enumerate(rows_of(BLOCKS["stopping"])):
        assert row[0] == RULES[rule]
        assert agree(estimate(row[1]), plain[rule])
        assert agree(estimate(row[2]), hedged[rule])
    columns = [_hedged(start, hours, contract) for _, start, hours, contract in pricing.LOOKALIKES]
    falls = [pricing.estimate_of(each) for each in _run(1.0, 1.0).beside[FALL]]
    for rule, row in enumerate(rows_of(BLOCKS["lookalikes"])):
        # The page gives falls without their error, which is a fraction of the smaller run's.
        assert agree(estimate(row[1]), falls[rule])
        for cell, column in zip(row[2:], columns, strict=True):
            assert agree(estimate(cell), column[rule])


def _run(start: float, hours: float) -> pricing.Outcomes:
    return pricing.outcomes(start, hours, PATHS, seed=99)


def _hedged(start: float, hours: float, contract: int) -> list[pricing.Estimate]:
    profits, beside = _run(start, hours)
    return [
        pricing.estimate_of(profits[contract, rule] - beside[HEDGE, rule])
        for rule in range(len(RULES))
    ]


def test_on_the_page_ours_is_fair_and_the_others_are_not() -> None:
    for _, profit, hedged, predicted in rows_of(BLOCKS["stopping"]):
        shown = estimate(profit)
        assert abs(shown.mean) <= 4.0 * shown.error
        assert agree(estimate(hedged), estimate(predicted))
    others = rows_of(BLOCKS["lookalikes"])
    for column in (2, 3, 4):
        won = [estimate(row[column]) for row in others]
        assert any(each.mean > 8.0 * each.error for each in won)
    for _, fall, intrinsic, *_ in others:
        assert estimate(intrinsic).mean == pytest.approx(estimate(fall).mean, abs=1e-4)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("contract", "start", "hours"),
    [(OURS, 1.0, 1.0), (INTRINSIC, 1.0, 1.0), (FROZEN, 0.95, 1.0), (RIGHT_END, 1.0, 24.0)],
)
def test_mutants_fail_what_ours_passes(contract: int, start: float, hours: float) -> None:
    """No rule gains beyond 4 standard errors: so it is for ours alone."""
    gains = [each.mean > 4.0 * each.error for each in _hedged(start, hours, contract)]
    assert any(gains) == (contract != OURS)


@pytest.mark.compiled
def test_the_barrier_costs_what_the_page_says() -> None:
    rows = rows_of(BLOCKS["barrier"])
    for run, (_, chance, profit, predicted) in zip(pricing.BARRIERS, rows, strict=True):
        measured, found, expected = pricing.barrier_runs(*run, paths=2_000, seed=98)
        assert agree(estimate(profit), measured)
        assert float(chance.rstrip(" %")) == pytest.approx(100.0 * found, abs=5.0)
        assert estimate(predicted).mean == pytest.approx(expected, rel=0.1)
        shown = estimate(profit)
        assert shown.mean == pytest.approx(estimate(predicted).mean, rel=0.03)


@pytest.mark.compiled
def test_the_quanto_simulation_tells_the_term_from_none() -> None:
    simulated, with_term, without = (
        pricing.Estimate(float(mean) / pricing.BP, float(error or 0.0) / pricing.BP)
        for mean, error in NUMBER.findall(BLOCKS["quanto-simulated"])
    )
    assert agree(simulated, with_term)
    assert not agree(simulated, without)
    assert agree(simulated, pricing.simulated_quanto(200_000, seed=97))


# Formulas ------------------------------------------------------------------------------------

OPTIONS = [
    Option(True, 0.8, 0.5, 0.02, 0.03, 0.10),
    Option(True, 1.2, 0.7, 0.05, -0.02, 0.15),
    Option(False, 0.9, 0.3, 0.10, 0.05, -0.08),
    Option(False, 1.1, 0.6, 0.08, 0.0, 0.2),
]


class Printed:
    """The formulas of the page, as they are printed."""

    def __init__(self, option: Option, moneyness: mpf) -> None:
        """Evaluate them without the cap."""
        x, sigma = moneyness, mpf(option.vol)
        kappa, r, b = 1 / mpf(option.funding_period), mpf(option.discount_rate), mpf(option.carry)
        q, a = r - b, b - sigma**2 / 2
        width = mpmath.sqrt(a**2 + 2 * sigma**2 * (r + kappa))
        self.up, self.down = (-a + width) / sigma**2, (-a - width) / sigma**2
        m = self.up if x <= 1 else self.down
        g, distance = kappa * x**m / width, abs(mpmath.log(x))
        side = 1 if option.is_call else -1
        beyond = side if (x > 1) == option.is_call else 0
        alpha = kappa / (kappa + q)
        self.fwd = kappa * (kappa * (x - 1) + r * x - q) / ((kappa + q) * (kappa + r))
        tv = kappa * x**m / (width * m * (m - 1))
        self.value = tv + beyond * self.fwd
        self.gamma = g / x**2
        self.delta = g / ((m - 1) * x) + beyond * alpha
        self.vega = sigma * g / width * (distance + sigma**2 / width)
        slope = distance + sigma**2 / width + 1 / abs(m - 1)
        self.carry_slope = g / ((m - 1) * width) * slope + beyond * kappa * x / (kappa + q) ** 2
        gain = (kappa * b / (kappa + r) - q * (x - 1)) / (kappa + q)
        self.premium = kappa * (tv + beyond * gain)
        self.theta = sigma**2 / 2 * x**2 * self.gamma + b * x * self.delta - r * self.value
        self.width = width


@pytest.mark.parametrize("option", OPTIONS)
def test_closed_form_greeks_and_premium_rate(option: Option) -> None:
    """Equations 3 to 6 against matching by hand and numerical derivatives."""
    with mpmath.workdps(45):
        printed = Printed(option, mpf(option.moneyness))
        side = 1 if option.is_call else -1
        pairs = (
            (printed.fwd, side * forward(option, mpf(option.moneyness))),
            (printed.value, value(option)),
            (printed.delta, derivative(option, "moneyness")),
            (printed.gamma, derivative(option, "moneyness", 2)),
            (printed.vega, derivative(option, "vol")),
            (printed.carry_slope, derivative(option, "carry")),
            (printed.premium, premium_rate(option)),
            (printed.theta, premium_rate(option)),
        )
        for ours, reference in pairs:
            assert abs(ours - reference) < mpf(10) ** -24 * (1 + abs(reference))


@pytest.mark.parametrize("moneyness", [0.9, 1.3])
def test_the_cap(moneyness: float) -> None:
    """Equation 7, its vega by the slope of m, and the premium rate without carry."""
    option = Option(True, moneyness, 0.8, 30 / 365, 0.02, 0.1, 0.5)
    with mpmath.workdps(45):
        x, barrier, cap = mpf(moneyness), mpf(3) / 2, mpf(1) / 2
        here, there = Printed(option, x), Printed(option, barrier)
        m = here.up
        reach = (x / barrier) ** m
        assert abs(here.value - (there.value - cap) * reach - value(option)) < mpf(10) ** -35
        m_slope = -mpf(option.vol) * m * (m - 1) / here.width
        vega = here.vega - there.vega * reach
        vega -= (there.value - cap) * reach * mpmath.log(x / barrier) * m_slope
        assert abs(vega - derivative(option, "vol")) < mpf(10) ** -25
        plain = option._replace(discount_rate=0.0, carry=0.0)
        if moneyness > 1:
            here = Printed(plain, x)
            rate = here.premium * (1 - (x / barrier) ** (here.up - here.down))
            assert abs(rate - premium_rate(plain)) < mpf(10) ** -35


def test_the_mean_time_value_and_the_constants_of_ticks() -> None:
    option = Option(True, 1.0, 0.5, 7 / 365)
    with mpmath.workdps(20):
        kappa, sigma, years = 1 / mpf(option.funding_period), mpf(option.vol), mpf(2) / 365

        def weighted(z: mpf) -> mpf:
            x = mpmath.exp(sigma * mpmath.sqrt(years) * z - sigma**2 * years / 2)
            return value(option._replace(moneyness=x)) * mpmath.npdf(z)

        half = sigma * mpmath.sqrt(years) / 2
        european = mpmath.erf(half / mpmath.sqrt(2))
        mean = mpmath.quad(weighted, [-9, -4, 0, half, 4, 9]) - european
        tail = mpmath.erfc(mpmath.sqrt((kappa + sigma**2 / 8) * years))
        assert abs(mean - value(option) * mpmath.exp(kappa * years) * tail) < 1e-12
        assert round(float(-mpmath.zeta(-0.5) * 2 / mpmath.sqrt(mpmath.pi)), 4) == 0.2346
        overshoot = float(-mpmath.zeta(0.5) / mpmath.sqrt(2 * mpmath.pi))
    assert overshoot == pytest.approx(pricing.OVERSHOOT, rel=1e-14)
    assert pricing.expected_time_value(np.array([2 / 365])).item() == pytest.approx(float(mean))


@pytest.mark.parametrize(("is_call", "carry"), [(True, -0.2), (False, 0.2)])
@pytest.mark.parametrize("cap", [0.5, math.inf])
def test_what_an_active_floor_withholds(is_call: bool, carry: float, cap: float) -> None:
    kappa = 365 / 7
    for x in np.linspace(0.501, 1.499, 200).tolist():
        rate = perpetual_price(is_call, x, 0.05, 7 / 365, 0.0, carry, cap).premium_rate
        assert -rate <= kappa * abs(carry) * x / (kappa - carry) * (1 + 1e-12)
        if is_call:
            assert -rate < abs(carry) * x


@pytest.mark.parametrize("fee", [0.3, 1.3, 20.0])
def test_the_free_option_meets_its_conditions(fee: float) -> None:
    """Smooth fit at both ends of (11), (10) as its limit, and what waiting alone gains."""
    vol = 0.5
    best = best_exit(vol, fee)
    scale = 2 * fee / vol**2
    top = scale * (best.high / best.low - 1 - math.log(best.high / best.low))
    assert top == pytest.approx(best.high - 1, rel=1e-9)
    assert scale * (1 / best.low - 1 / best.high) == pytest.approx(1, rel=1e-12)
    edge = vol**2 / (4 * fee)
    assert best.high - 1 == pytest.approx(edge, rel=2 * edge)
    assert best.value == pytest.approx(bachelier_value(vol, fee), rel=edge**2)
    years = vol**2 / (8 * math.pi * fee**2)
    waiting = vol * math.sqrt(years / (2 * math.pi)) - fee * years
    assert waiting == pytest.approx(vol**2 / (8 * math.pi * fee))


@pytest.mark.compiled
def test_dynamic_programming_agrees_with_theory() -> None:
    for fee in (0.5, 1.3, 5.0):
        assert lattice_value(0.5, fee) == pytest.approx(best_exit(0.5, fee).value, rel=1e-4)


@pytest.mark.compiled
@pytest.mark.parametrize("strike", [0.75, 1.0, 1.25])
def test_nodes_of_the_mixture(strike: float) -> None:
    """48 nodes give 1e-8 of the time value."""
    few, vol = pricing.perpetual_vol(1 / strike)
    many, again = pricing.perpetual_vol(1 / strike, nodes=400)
    assert few == pytest.approx(many, rel=1e-8)
    assert vol == pytest.approx(again, rel=1e-8)


@pytest.mark.compiled
def test_pictures_are_drawn(tmp_path: Path) -> None:
    """Each with ink, none heavier than a page should carry; the page shows them all."""
    pricing.draw_pictures(tmp_path, paths=1_000)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == set(re.findall(r"\]\(pictures/(.*?)\)", pricing.PAGE.read_text()))
    for path in tmp_path.iterdir():
        assert (imread(path)[..., :3] < 0.9).any()
        assert (pricing.PICTURES / path.name).stat().st_size < 120_000
