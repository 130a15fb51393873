"""The designs of docs/waterfall.md and what simulated years make of them."""
# ruff: noqa: RUF001 - names hold the symbols of the page

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from amm.units import ONE
from sims.markets.jumps import DAYS_A_YEAR, JumpMarket, draw_paths
from sims.option_book import Demand, draw_orders, empty_book
from sims.waterfall import (
    ADVANCES,
    CLAIM,
    FIELDS,
    INSURANCE,
    LOCKED,
    MAIN_TOKENS,
    MID,
    REPAYMENT,
    TAKEN,
    TAKEN_INSURANCE,
    empty_pools,
    make_setting,
    run_paths,
)
from vaults.moves import FLOWS, Flow
from vaults.params import Parameters

Floats = npt.NDArray[np.float64]

BLOCK = 100
"""Years drawn at a time: bounds memory. What a year is depends on the seed and its block only."""
STRESS_SHARE_PPM = 700_000
"""Of all designs: fuller pools than the exchange's, so that the order of layers matters."""
WINDOWS = {"day": 1, "week": 7, "month": 30}


class Design(NamedTuple):
    """One order of the loss layers: parameters that differ, and what cover costs.

    `phi_scale` is that of `sims.waterfall.make_setting`.
    """

    changes: Mapping[str, int]
    phi_scale: float = 1.0

    def parameters(self) -> Parameters:
        """Return the parameters of a token under this design."""
        return Parameters(stress_share_ppm=STRESS_SHARE_PPM)._replace(**self.changes)


MAIN_FIRST = Design({"cover_layer_ppm": 0, "cover_least_ppm": 2_000_000})
"""No cover, and so much asked of it before it is charged for that it never is."""
OURS = Design({})
INSURANCE_FIRST = Design(
    {
        "cover_deductible_ppm": 0,
        "cover_layer_ppm": 1_000_000,
        "cover_epoch_ppm": 1_000_000,
        "insurance_reserve_ppm": 0,
        "repay_share_ppm": 0,
    }
)
PAID_FIRST = Design(INSURANCE_FIRST.changes, phi_scale=-0.7)
"""What it takes for anybody to insure like that."""
REPAID_FIRST = Design({**INSURANCE_FIRST.changes, "repay_share_ppm": 500_000})
DESIGNS = {
    "main first": MAIN_FIRST,
    "insurance first": INSURANCE_FIRST,
    "insurance first, φ 70 %": PAID_FIRST,
    "insurance first, half repaid": REPAID_FIRST,
    "ours": OURS,
}
NEIGHBOURS = {
    "deductible 3 %": Design({"cover_deductible_ppm": 30_000}),
    "deductible 8 %": Design({"cover_deductible_ppm": 80_000}),
    "layer 15 %": Design({"cover_layer_ppm": 150_000}),
    "layer 40 %": Design({"cover_layer_ppm": 400_000}),
    "33 % of I a period": Design({"cover_epoch_ppm": 330_000}),
    "70 % of I a period": Design({"cover_epoch_ppm": 700_000}),
    "period 14 flushes": Design({"cover_period_flushes": 14}),
    "period 30 flushes": Design({"cover_period_flushes": 30}),
    "reserve 20 %": Design({"insurance_reserve_ppm": 200_000}),
    "reserve 40 %": Design({"insurance_reserve_ppm": 400_000}),
    "nothing repaid": Design({"repay_share_ppm": 0}),
    "all gains repay": Design({"repay_share_ppm": 1_000_000}),
    "written off in 30 days": Design({"write_off_days": 30}),
    "φ × 0.5": Design({}, phi_scale=0.5),
    "φ × 2": Design({}, phi_scale=2.0),
}
SIZES = (0.05, 0.3, 0.6)
"""Insurance over main, beside that of `Scene`."""
IDLE = ("layer 15 %", "layer 40 %", "reserve 20 %", "reserve 40 %")
"""What can matter only where the insurance pool is large."""


class Years(NamedTuple):
    """What each simulated year brought, shape (years,); the same row is the same year everywhere.

    Main's amounts are in parts of N_mid at the start, insurance's in parts of I at the start.

    Attributes:
        main: Main's profit and loss.
        premium: Premium streamed.
        worst: Main's worst day, week and month, each over N_mid before it, shape (windows, years).
        insurance: Insurance's profit and loss.
        lowest: The lowest I.
        claims: Paid to main.
        repaid: Paid back by main.
        left: Advances still owed at the end.
        owing: Share of days with advances owed.
        owed: Advances over N_mid, mean of the days on which some are owed; 0 where none ever is.
        locked: Mean of locked over N_mid.
        to_insurance: Premium insurance got.
        shortfall: What insurance paid out because main was empty.
    """

    main: Floats
    premium: Floats
    worst: Floats
    insurance: Floats
    lowest: Floats
    claims: Floats
    repaid: Floats
    left: Floats
    owing: Floats
    owed: Floats
    locked: Floats
    to_insurance: Floats
    shortfall: Floats


class Scene(NamedTuple):
    """What designs are compared in."""

    book: float
    insurance: float = 0.15
    market: JumpMarket = JumpMarket()


def _reduced(rows: Floats, flows: npt.NDArray[np.int64], insurance: float) -> Years:
    """Return what years brought, of what was written down in them."""
    nav, owed = rows[..., MID], rows[..., ADVANCES]
    wealth = nav + rows[..., TAKEN].cumsum(axis=1)
    cash = rows[..., INSURANCE]
    kept = cash + rows[..., TAKEN_INSURANCE].cumsum(axis=1)
    worst = []
    for days in WINDOWS.values():
        before = np.maximum(nav[:, :-days], 0.01 * MAIN_TOKENS)
        worst.append(((wealth[:, days:] - wealth[:, :-days]) / before).min(axis=1))
    of_insurance, has_debt = insurance * MAIN_TOKENS, owed > 0.0
    parts = np.where(has_debt, owed / np.maximum(nav, 0.01 * MAIN_TOKENS), 0.0).sum(axis=1)
    in_main = flows / (ONE * MAIN_TOKENS)
    return Years(
        main=wealth[:, -1] / MAIN_TOKENS - 1.0,
        premium=in_main[:, Flow.PREMIUM_ACCRUED],
        worst=np.stack(worst),
        insurance=(kept[:, -1] - of_insurance) / of_insurance,
        lowest=cash.min(axis=1) / of_insurance,
        claims=rows[..., CLAIM].sum(axis=1) / MAIN_TOKENS,
        repaid=rows[..., REPAYMENT].sum(axis=1) / MAIN_TOKENS,
        left=owed[:, -1] / MAIN_TOKENS,
        owing=has_debt.mean(axis=1),
        owed=parts / np.maximum(has_debt.sum(axis=1), 1),
        locked=(rows[..., LOCKED] / np.maximum(nav, 0.01 * MAIN_TOKENS)).mean(axis=1),
        to_insurance=in_main[:, Flow.PREMIUM_INSURANCE],
        shortfall=in_main[:, Flow.PAID_BY_INSURANCE],
    )


def simulate(
    designs: Sequence[Design],
    scene: Scene,
    years: int,
    seed: int,
) -> list[Years]:
    """Return what the same years bring under each design.

    Args:
        designs: To be compared.
        scene: Book, insurance and market of all of them.
        years: How many.
        seed: Of market and orders.
    """
    demand, state, book = Demand(scene.book), empty_pools(), empty_book()
    settings = [
        make_setting(each.parameters(), scene.insurance, each.phi_scale) for each in designs
    ]
    found: list[list[Years]] = [[] for _ in designs]
    for block, first in enumerate(range(0, years, BLOCK)):
        count = min(BLOCK, years - first)
        random = np.random.Generator(np.random.Philox(key=[seed, block]))
        paths = draw_paths(scene.market, count, DAYS_A_YEAR, random)
        orders = draw_orders(demand, count, DAYS_A_YEAR, random)
        for number, setting in enumerate(settings):
            rows = np.empty((count, DAYS_A_YEAR + 1, FIELDS))
            flows = np.empty((count, FLOWS), dtype=np.int64)
            run_paths(state, setting, book, demand, orders, paths.prices, paths.levels, rows, flows)
            found[number].append(_reduced(rows, flows, scene.insurance))
    return [_joined(blocks) for blocks in found]


def _joined(blocks: Sequence[Years]) -> Years:
    parts = zip(*blocks, strict=True)
    return Years(*(np.concatenate(part, axis=-1) for part in parts))


def fair_phi(years: Years, base: Years, insurance: float) -> float:
    """Return the share of premium at which insurers earn as much for their risk as main LPs.

    That is, as much over the mean of the worst twentieth of years, main's taken where there is no
    cover. To first order: what insurance is paid is taken not to change what it pays.

    Args:
        years: Under the design.
        base: Of the same years without cover.
        insurance: I over N_mid at the start.
    """
    without = years.insurance - years.to_insurance / insurance
    paid = years.premium / insurance
    wanted = _reward(base.main)
    low, high = 0.0, 2.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        if _reward(without + middle * paid) < wanted:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _reward(samples: Floats) -> float:
    """Return the mean over the loss of the worst twentieth; infinite where that is a gain."""
    worst = float(np.sort(samples)[: max(samples.size // 20, 1)].mean())
    return math.inf if worst >= 0.0 else float(samples.mean()) / -worst
