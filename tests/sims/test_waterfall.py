"""docs/waterfall.md: its model, its statistics, and that its text says what its tables do."""
# ruff: noqa: RUF001 - cells hold the symbols of the page

import math
import re
from pathlib import Path

import numpy as np
import pytest

from amm.units import ONE
from sims.chapters import waterfall
from sims.chapters.page import blocks_of, rows_of
from sims.chapters.waterfall import MIDDLE, NONE, PAGE, cost
from sims.chapters.waterfall_years import (
    DESIGNS,
    IDLE,
    NEIGHBOURS,
    STRESS_SHARE_PPM,
    Scene,
    Years,
    fair_phi,
    simulate,
)
from sims.markets.jumps import DAYS_A_YEAR, STEPS_A_DAY, JumpMarket, draw_paths
from sims.option_book import Demand, draw_orders, empty_book
from sims.statistics import Estimate, estimate_of, tail_mean, tail_samples
from sims.waterfall import (
    ADVANCES,
    BUYERS_BRING,
    CLAIM,
    FIELDS,
    INSURANCE,
    MAIN_TOKENS,
    MID,
    PHI,
    REPAYMENT,
    TAKEN,
    TAKEN_INSURANCE,
    empty_pools,
    make_setting,
    run_paths,
)
from vaults.moves import FLOWS, Flow
from vaults.params import Parameters, validate_parameters

TEXT = PAGE.read_text()
BLOCKS = blocks_of(TEXT)
NUMBER = re.compile(r"([+-]\d+\.\d+) ± (\d+\.\d+)")
DAYS = 120


def estimate(cell: str) -> Estimate:
    """Return what a cell says in per cent, as fractions."""
    found = NUMBER.search(cell)
    assert found is not None
    return Estimate(float(found[1]) / 100.0, float(found[2]) / 100.0)


def named(block: str) -> dict[str, list[str]]:
    """Return the cells of a table's rows by their first."""
    return {row[0]: row[1:] for row in rows_of(BLOCKS[block])}


# Statistics ----------------------------------------------------------------------------------


def test_a_tail_mean_is_the_mean_of_the_tail() -> None:
    samples = np.random.default_rng(1).standard_normal(4_000)
    worst = np.sort(samples)[:200]
    found = tail_mean(samples, 0.05)
    assert found.value == pytest.approx(worst.mean())
    assert tail_samples(samples, 1.0) == pytest.approx(samples)
    normal = -math.exp(-(1.6448536**2) / 2.0) / math.sqrt(2.0 * math.pi) / 0.05
    assert abs(found.value - normal) < 4.0 * found.error
    again = [
        tail_mean(np.random.default_rng(seed).standard_normal(4_000), 0.05).value
        for seed in range(60)
    ]
    assert np.std(again, ddof=1) == pytest.approx(found.error, rel=0.4)


# The market ----------------------------------------------------------------------------------


def test_the_market_has_no_drift_and_the_vol_its_index_says() -> None:
    model = JumpMarket(premium=0.0)
    paths = draw_paths(model, 1_500, 60, np.random.default_rng(3))
    assert paths.prices.shape == paths.levels.shape == (1_500, 60 * STEPS_A_DAY + 1, 2)
    assert np.all(paths.prices[:, 0] == 1.0)
    moves = np.diff(np.log(paths.prices), axis=1)
    for underlying in (0, 1):
        end = estimate_of(paths.prices[:, -1, underlying])
        assert abs(end.value - 1.0) < 4.0 * end.error
        realised = estimate_of((moves[..., underlying] ** 2).sum(axis=1) * DAYS_A_YEAR / 60)
        expected = float((paths.levels[:, :-1, underlying] ** 2).mean())
        assert abs(realised.value - expected) < 4.0 * realised.error + 0.02 * expected


# The pools -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What some months bring under each design, and without cover: rows and flows."""
    model, paths = JumpMarket(), 8
    random = np.random.default_rng(5)
    market, demand = draw_paths(model, paths, DAYS, random), Demand(1.6)
    orders = draw_orders(demand, paths, DAYS, random)
    found = {}
    for name, design in DESIGNS.items():
        state, book = empty_pools(), empty_book()
        setting = make_setting(design.parameters(), 0.15, design.phi_scale)
        rows, flows = np.empty((paths, DAYS + 1, FIELDS)), np.empty((paths, FLOWS), np.int64)
        run_paths(state, setting, book, demand, orders, market.prices, market.levels, rows, flows)
        found[name] = rows, flows
        pool = state.pool[0]
        parts = pool.main + pool.insurance + pool.balances + pool.fees
        assert parts == pool.custody
        taken = round((rows[-1, :, TAKEN] + rows[-1, :, TAKEN_INSURANCE]).sum() * ONE)
        brought = (MAIN_TOKENS + BUYERS_BRING) * ONE + setting.insurance
        assert abs(brought - taken - pool.custody) <= 2 * DAYS
    return found


def test_claims_are_what_the_rules_say(ran: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Ours pays only beyond 5 %, at most half of I a period; who claims does not repay."""
    rows, flows = ran["ours"]
    claims, back = rows[..., CLAIM], rows[..., REPAYMENT]
    assert claims.sum() > 0.0
    assert back.sum() > 0.0
    assert not np.any((claims > 0.0) & (back > 0.0))
    assert np.round(claims.sum(axis=1) * ONE) == pytest.approx(flows[:, Flow.CLAIM], abs=DAYS)
    starts = range(6, DAYS, 7)  # the first flush was on day 0
    for start in starts:
        period = slice(start + 1, start + 8)
        most = 0.5 * rows[:, start, INSURANCE] + 1e-6
        assert np.all(claims[:, period].sum(axis=1) <= most)
    owed = claims.cumsum(axis=1) - back.cumsum(axis=1)
    assert np.all(rows[..., ADVANCES] <= owed + 1e-6)


def test_designs_are_valid_and_differ_as_they_should(
    ran: dict[str, tuple[np.ndarray, np.ndarray]],
) -> None:
    for design in (*DESIGNS.values(), *NEIGHBOURS.values()):
        validate_parameters(design.parameters())
    bare, _ = ran[NONE]
    assert np.all(bare[..., CLAIM] == 0.0)
    assert np.all(bare[..., PHI] == 0.0)
    assert np.all(ran["insurance first, φ 70 %"][0][..., PHI] == 0.7)
    gone, _ = ran["insurance first"]
    assert (gone[..., INSURANCE].min(axis=1) < 300.0).mean() > 0.5
    assert np.all(gone[..., REPAYMENT] == 0.0)
    assert np.all(ran["ours"][0][..., MID] > 0.0)


def test_the_fair_price_is_fair() -> None:
    random = np.random.default_rng(2)
    none = np.zeros(2_000)
    main, premium = random.normal(0.1, 0.1, 2_000), np.full(2_000, 0.5)
    insured = random.normal(-0.05, 0.1, 2_000)
    base = Years(main, premium, np.stack([none] * 3), none, *([none] * 9))
    years = base._replace(insurance=insured + 0.04, to_insurance=np.full(2_000, 0.01))
    phi = fair_phi(years, base, 0.25)
    paid = insured + phi * premium / 0.25
    assert phi > 0.0
    wanted = main.mean() / -tail_mean(main, 0.05).value
    assert paid.mean() / -tail_mean(paid, 0.05).value == pytest.approx(wanted, rel=1e-6)


# The page ------------------------------------------------------------------------------------


def test_every_block_has_a_writer_and_every_picture_is_there() -> None:
    study = waterfall.Study(1, 1, {})
    assert BLOCKS.keys() == {*waterfall.blocks(study), "histories"}
    assert all(BLOCKS.values())
    for name in re.findall(r"\]\(pictures/(.*?)\)", TEXT):
        assert (waterfall.PICTURES / name).stat().st_size < 120_000


def test_the_page_says_what_a_smaller_simulation_finds() -> None:
    """Within 4 standard errors of both, on years of another seed."""
    names = ("main first", "ours")
    years = dict(
        zip(names, simulate([DESIGNS[name] for name in names], MIDDLE, 60, seed=99), strict=True)
    )
    main, insurance = named("main"), named("insurance")
    for name in names:
        cells = main[f"1.2 × NAV, {name}"]
        assert agree(estimate(cells[0]), estimate_of(years[name].main))
        assert agree(estimate(cells[3]), tail_mean(years[name].worst[1], 0.05))
    assert agree(estimate(main["1.2 × NAV, ours"][1]), cost(years, "ours"))
    cells = insurance["1.2 × NAV, ours"]
    assert agree(estimate(cells[3]), estimate_of(years["ours"].insurance))


def agree(one: Estimate, other: Estimate) -> bool:
    """Whether two estimates differ by no more than 4 standard errors, or a rounded digit."""
    return abs(one.value - other.value) <= 4.0 * math.hypot(one.error, other.error) + 1e-3


def test_the_text_says_what_the_tables_say() -> None:
    main, insurance = named("main"), named("insurance")
    for book in ("0.6", "1.2", "2"):
        bare, ours = main[f"{book} × NAV, main first"], main[f"{book} × NAV, ours"]
        assert bare[1] == "+0.0 ± 0.0"
        assert estimate(ours[3]).value > estimate(bare[3]).value + 2.0 * estimate(ours[3]).error
        assert float(insurance[f"{book} × NAV, insurance first"][-1].rstrip(" %")) > 50.0
        assert insurance[f"{book} × NAV, ours"][-1] == "0.0 %"
        assert estimate(insurance[f"{book} × NAV, insurance first"][3]).value < -0.5
        assert estimate(ours[7]).value < estimate(bare[7]).value + 0.03
    for name in IDLE:
        assert named("neighbours-middle")[name][1] == "+0.0 ± 0.0"
    for block in ("neighbours-light", "neighbours-middle"):
        rows = named(block)
        ours, all_repay, more = (
            rows[name] for name in ("ours", "all gains repay", "70 % of I a period")
        )
        assert float(all_repay[4]) < 0.65 * float(ours[4]) < 0.65 * float(more[4])
        assert -0.01 < estimate(all_repay[1]).value < 0.0
        assert -0.03 < estimate(all_repay[3]).value < -0.015
        assert estimate(more[1]).value > max(0.0, estimate(rows["deductible 3 %"][1]).value)
    sizes = rows_of(BLOCKS["sizes"])[:4]
    fair, earned = [float(row[3]) for row in sizes], [estimate(row[4]).value for row in sizes]
    assert fair == sorted(fair)
    assert earned == sorted(earned, reverse=True)
    assert earned[0] > 1.0
    assert earned[3] < 0.0
    assert len({tuple(row[1:]) for row in rows_of(BLOCKS["sizes"]) if "reserve" in row[0]}) == 1


def test_scenes_share_their_years_between_designs() -> None:
    """Without cover, two runs of the same years are the same to the last bit."""
    designs = [DESIGNS[NONE], DESIGNS[NONE]]
    first, second = simulate(designs, Scene(0.6), 2, seed=4)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one, other)
    assert Parameters(stress_share_ppm=STRESS_SHARE_PPM) == DESIGNS["ours"].parameters()
    assert isinstance(PAGE, Path)
