"""The figures of docs/waterfall.md from simulated years: `evergamma study waterfall`.

That command adds the recorded months, which need the exchange; `python -m
sims.chapters.waterfall` leaves their table as it is. Every block between markers is written anew.
"""
# ruff: noqa: RUF001 - tables hold the symbols of the page

import argparse
import functools
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sims.chapters.page import blocks_of, paragraph, table, with_blocks
from sims.chapters.waterfall_years import (
    DESIGNS,
    IDLE,
    NEIGHBOURS,
    SIZES,
    WINDOWS,
    Design,
    Scene,
    Years,
    fair_phi,
    simulate,
)
from sims.markets.jumps import JumpMarket
from sims.statistics import Estimate, estimate_of, tail_mean, tail_samples

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
PAGE = DOCS / "waterfall.md"
PICTURES = DOCS / "pictures"

YEARS = 500
QUICK_YEARS = 100
SEED = 11
NONE, FIRST, FIRST_PAID, OURS = (
    "main first", "insurance first", "insurance first, φ 70 %", "ours",
)  # fmt: skip
LIGHT, MIDDLE, HEAVY = Scene(0.6), Scene(1.2), Scene(2.0)
LEAN = Scene(1.2, market=JumpMarket(premium=0.0))
BOOKS = (LIGHT, MIDDLE, HEAVY)
DAY, WEEK, MONTH = range(len(WINDOWS))

Ran = Mapping[str, Years]


class Study(NamedTuple):
    """All simulated years: by scene and design, the same years in every design of a scene."""

    years: int
    seed: int
    scenes: Mapping[Scene, Ran]


def runs_of() -> dict[Scene, dict[str, Design]]:
    """Return which designs are run in which scene."""
    few = {name: DESIGNS[name] for name in (NONE, OURS)}
    idle = {name: NEIGHBOURS[name] for name in IDLE}
    active = {name: NEIGHBOURS[name] for name in NEIGHBOURS if name not in IDLE}
    runs: dict[Scene, dict[str, Design]] = {
        LIGHT: {**DESIGNS, **active},
        MIDDLE: {**DESIGNS, **NEIGHBOURS},
        HEAVY: dict(DESIGNS),
        LEAN: dict(few),
    }
    runs |= {Scene(MIDDLE.book, size): dict(few) for size in SIZES}
    runs[Scene(MIDDLE.book, max(SIZES))] |= idle
    return runs


def run_study(years: int, seed: int, progress: Callable[[str], None] = lambda _told: None) -> Study:
    """Simulate everything the page tells."""
    scenes: dict[Scene, Ran] = {}
    for scene, designs in runs_of().items():
        progress(f"book {scene.book:g} × NAV, insurance {scene.insurance:.0%} of main")
        found = simulate(list(designs.values()), scene, years, seed)
        scenes[scene] = dict(zip(designs, found, strict=True))
    return Study(years, seed, scenes)


# Cells ---------------------------------------------------------------------------------------


def percent(estimate: Estimate) -> str:
    """Return an estimate in per cent."""
    return f"{100.0 * estimate.value:+.1f} ± {100.0 * estimate.error:.1f}"


def cost(ran: Ran, name: str) -> Estimate:
    """Return what main LPs have less than without cover, as a share of the premium streamed."""
    base = ran[NONE]
    return estimate_of((base.main - ran[name].main) / base.premium.mean())


def change(ran: Ran, name: str, window: int, share: float) -> Estimate:
    """Return how much better a window's tail mean is than under ours, on the same years."""
    one, other = (tail_samples(ran[each].worst[window], share) for each in (name, OURS))
    return estimate_of(one - other)


def _book(scene: Scene) -> str:
    return f"{scene.book:g} × NAV"


# Tables --------------------------------------------------------------------------------------


def main_table(study: Study) -> str:
    """Return what each design makes of main LPs."""
    rows = []
    for scene in BOOKS:
        ran = study.scenes[scene]
        for name in DESIGNS:
            years = ran[name]
            tails = (
                tail_mean(years.worst[DAY], 0.01),
                tail_mean(years.worst[WEEK], 0.05),
                tail_mean(years.worst[WEEK], 0.01),
                tail_mean(years.worst[MONTH], 0.05),
                tail_mean(years.worst[MONTH], 0.01),
                tail_mean(years.main, 0.05),
            )
            cells = (percent(each) for each in (estimate_of(years.main), cost(ran, name), *tails))
            rows.append((f"{_book(scene)}, {name}", *cells))
    head = (
        "", "main, % a year", "cost, % of premium", "worst day 1 %", "worst week 5 %",
        "worst week 1 %", "worst month 5 %", "worst month 1 %", "year 5 %",
    )  # fmt: skip
    return table(head, rows)


def insurance_table(study: Study) -> str:
    """Return what each design makes of insurance LPs."""
    rows = []
    for scene in BOOKS:
        ran = study.scenes[scene]
        for name in DESIGNS:
            if name != NONE:
                cells = _insurers(ran, name, scene)
                rows.append((f"{_book(scene)}, {name}", *cells))
    head = (
        "", "φ, % of premium", "net claims, %", "fair φ, %", "insurers, % a year", "year 5 %",
        "halved", "below a tenth",
    )  # fmt: skip
    return table(head, rows)


def _insurers(ran: Ran, name: str, scene: Scene) -> tuple[str, ...]:
    years = ran[name]
    premium = years.premium.mean()
    return (
        f"{100.0 * years.to_insurance.mean() / premium:.1f}",
        f"{100.0 * (years.claims - years.repaid).mean() / premium:.1f}",
        f"{100.0 * fair_phi(years, ran[NONE], scene.insurance):.1f}",
        percent(estimate_of(years.insurance)),
        percent(tail_mean(years.insurance, 0.05)),
        f"{100.0 * (years.lowest < 0.5).mean():.1f} %",
        f"{100.0 * (years.lowest < 0.1).mean():.1f} %",
    )


def neighbours_table(study: Study, scene: Scene) -> str:
    """Return what a change of one parameter of ours does."""
    ran = study.scenes[scene]
    rows = []
    for name in (OURS, *(each for each in NEIGHBOURS if each in ran)):
        years = ran[name]
        rows.append(
            (
                name,
                percent(cost(ran, name)),
                percent(change(ran, name, WEEK, 0.05)),
                percent(change(ran, name, WEEK, 0.01)),
                percent(change(ran, name, MONTH, 0.05)),
                f"{100.0 * fair_phi(years, ran[NONE], scene.insurance):.1f}",
                percent(estimate_of(years.insurance)),
                percent(tail_mean(years.insurance, 0.05)),
                f"{100.0 * (years.lowest < 0.5).mean():.1f} %",
            )
        )
    head = (
        "", "cost, % of premium", "worst week 5 %", "worst week 1 %", "worst month 5 %",
        "fair φ, %", "insurers, % a year", "year 5 %", "halved",
    )  # fmt: skip
    return table(head, rows)


def sizes_table(study: Study) -> str:
    """Return what the size of the insurance pool does."""
    rows = []
    for size in sorted((*SIZES, MIDDLE.insurance)):
        scene = Scene(MIDDLE.book, size)
        ran = study.scenes[scene]
        more = IDLE if size == max(SIZES) else ()
        for name in (OURS, *more):
            years = ran[name]
            better = tail_samples(years.worst[WEEK], 0.05)
            better = better - tail_samples(ran[NONE].worst[WEEK], 0.05)
            rows.append(
                (
                    f"I = {size:.0%} of N, {name}".replace("%", " %", 1),
                    percent(cost(ran, name)),
                    percent(estimate_of(better)),
                    *_insurers(ran, name, scene)[2:6],
                )
            )
    head = (
        "", "cost, % of premium", "worst week 5 %, better by", "fair φ, %", "insurers, % a year",
        "year 5 %", "halved",
    )  # fmt: skip
    return table(head, rows)


def lean_table(study: Study) -> str:
    """Return the designs where the vol index is worth no premium."""
    ran = study.scenes[LEAN]
    rows = []
    for name in ran:
        years = ran[name]
        cells = (
            percent(estimate_of(years.main)),
            percent(cost(ran, name)),
            percent(tail_mean(years.worst[WEEK], 0.05)),
            percent(estimate_of(years.insurance)),
            percent(tail_mean(years.insurance, 0.05)),
        )
        rows.append((name, *cells))
    head = (
        "", "main, % a year", "cost, % of premium", "worst week 5 %", "insurers, % a year",
        "year 5 %",
    )  # fmt: skip
    return table(head, rows)


def advances_table(study: Study) -> str:
    """Return what becomes of advances under ours."""
    rows = []
    for scene in BOOKS:
        years = study.scenes[scene][OURS]
        claims = max(years.claims.sum(), 1e-12)  # a few years may be without any
        repaid, left = years.repaid.sum() / claims, years.left.sum() / claims
        owed = years.owed.sum() / max(np.count_nonzero(years.owing), 1)
        rows.append(
            (
                _book(scene),
                f"{100.0 * years.claims.mean():.1f} % of N a year",
                f"{100.0 * repaid:.0f} %",
                f"{100.0 * (1.0 - repaid - left):.0f} %",
                f"{100.0 * left:.0f} %",
                f"{100.0 * years.owing.mean():.0f} % of days",
                f"{100.0 * owed:.1f} % of N",
                f"{100.0 * years.shortfall.mean():.2f} % of N a year",
            )
        )
    head = (
        "", "claimed", "of it repaid", "written off", "owed at the end", "owed on", "then owed",
        "paid for an empty main",
    )  # fmt: skip
    return table(head, rows)


def made(study: Study) -> str:
    """Return how the figures were made."""
    runs = sum(len(designs) for designs in runs_of().values()) * study.years
    return paragraph(
        f"{study.years} years in each row, seed {study.seed}, the same years in every row of a "
        f"book; {runs:,} years in all."
    )


def findings(study: Study) -> str:
    """Return what the tables say, in a sentence each."""
    light, middle = study.scenes[LIGHT], study.scenes[MIDDLE]
    told = []
    for scene, ran in ((LIGHT, light), (MIDDLE, middle)):
        bare, ours = (tail_mean(ran[name].worst[WEEK], 0.05) for name in (NONE, OURS))
        insured = ran[OURS]
        told.append(
            f"**Ours, book {_book(scene)}**: the worst week (CVaR 5 %) is {percent(ours)} % of N "
            f"instead of {percent(bare)} %, for {percent(cost(ran, OURS))} % of premium. Insurers "
            f"earn {percent(estimate_of(insured.insurance))} % a year with a worst twentieth of "
            f"{percent(tail_mean(insured.insurance, 0.05))} %; I is halved in "
            f"{_share(insured.lowest < 0.5)} of years, below a tenth in "
            f"{_share(insured.lowest < 0.1)}."
        )
    first, paid = middle[FIRST], middle[FIRST_PAID]
    told.append(
        "**Main first** gives main LPs nothing: insurance pays anything in "
        f"{_share(middle[NONE].shortfall > 0.0)} of years."
    )
    told.append(
        f"**Insurance first** at the curve's φ is below a tenth in {_share(first.lowest < 0.1)} of "
        f"years; at 70 % of premium insurers earn {percent(estimate_of(paid.insurance))} % a year, "
        f"are halved in {_share(paid.lowest < 0.5)} of years, and main's worst week is still "
        f"{percent(tail_mean(paid.worst[WEEK], 0.05))} % of N."
    )
    return "".join(_item(each) for each in told)


def _share(is_so: npt.NDArray[np.bool_]) -> str:
    return f"{100.0 * is_so.mean():.1f} %"


def _item(text: str) -> str:
    """Return an item of a list in lines of a page's width."""
    return (
        textwrap.fill(
            text, 100, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
        + "\n"
    )


def frontier(study: Study, scene: Scene) -> dict[str, tuple[float, float]]:
    """Return what ours and its neighbours cost at a fair price, and better the worst week by.

    In per cent of premium and points of NAV.
    """
    ran = study.scenes[scene]
    base = tail_mean(ran[NONE].worst[WEEK], 0.05).value
    found = {}
    for name, years in ran.items():
        if name in IDLE or name.startswith("φ") or (name in DESIGNS and name != OURS):
            continue
        net = (years.claims - years.repaid).mean() / years.premium.mean()
        price = 100.0 * (fair_phi(years, ran[NONE], scene.insurance) - net)
        found[name] = (price, 100.0 * (tail_mean(years.worst[WEEK], 0.05).value - base))
    return found


def blocks(study: Study) -> dict[str, Callable[[], str]]:
    """Return the writers of the page's blocks but that of recorded months."""
    return {
        "findings": lambda: findings(study),
        "made": lambda: made(study),
        "main": lambda: main_table(study),
        "insurance": lambda: insurance_table(study),
        "neighbours-light": lambda: neighbours_table(study, LIGHT),
        "neighbours-middle": lambda: neighbours_table(study, MIDDLE),
        "sizes": lambda: sizes_table(study),
        "lean": lambda: lean_table(study),
        "advances": lambda: advances_table(study),
    }


def draw_pictures(study: Study, folder: Path) -> None:
    """Draw the pictures of the simulated years."""
    from sims.chapters.waterfall_pictures import (  # noqa: PLC0415 - slow to load
        draw_frontier,
        draw_weeks,
    )

    shown = (NONE, FIRST_PAID, OURS)
    weeks = {
        _book(scene): {name: np.sort(study.scenes[scene][name].worst[WEEK]) for name in shown}
        for scene in (LIGHT, MIDDLE)
    }
    draw_weeks(folder / "waterfall-weeks.png", weeks)
    prices = {_book(scene): frontier(study, scene) for scene in (LIGHT, MIDDLE)}
    draw_frontier(folder / "waterfall-frontier.png", prices)


def write_page(
    page: Path, study: Study, more: Mapping[str, Callable[[], str]] | None = None
) -> None:
    """Write the blocks of a page; those nobody computes now stay as they are."""
    text = page.read_text()
    kept = {name: functools.partial(str, block) for name, block in blocks_of(text).items()}
    page.write_text(with_blocks(text, {**kept, **blocks(study), **(more or {})}))


def tell(what: str) -> None:
    """Say on standard error what comes next."""
    sys.stderr.write(f"{what}\n")


def main() -> None:
    """Write the page and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=YEARS)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    study = run_study(given.years, given.seed, tell)
    draw_pictures(study, PICTURES)
    write_page(PAGE, study)


if __name__ == "__main__":
    main()
