"""Stresses of the library: all there, run by the engine, and failed by a worse pool."""

from pathlib import Path

import numpy as np
import pytest

from sims.chapters.page import blocks_of, rows_of
from sims.drawdown.outcome import DAILY, TOTALS
from sims.runs.run import run
from sims.runs.workers import Threads
from sims.scenarios.file import ScenarioError
from sims.scenarios.reading import find_scenario, stress_scenarios
from sims.stress.library import Stressed, find_stresses, run_stress

PAGE = Path(__file__).parents[3] / "docs" / "stresses.md"
LIBRARY = {
    "march-2020", "may-2021", "ftx-2022", "aug-2024", "oct-2025", "btc-plus-40", "btc-minus-40",
    "vol-spike", "grind-up", "whipsaw", "bank-run", "oracle-stall", "informed-flow", "stock-gap",
}  # fmt: skip
RULES = "pools.parameters"
Settings = dict[str, object]
UNCOVERED: Settings = {f"{RULES}.cover_epoch_ppm": 0}
FULLER: Settings = {f"{RULES}.stress_share_ppm": 700_000}
"""A pool that takes openings until the base stress would cost most of it."""
TWICE: Settings = (
    UNCOVERED
    | FULLER
    | {
        "pools.insurance": 10_000,
        f"{RULES}.insurance_backing_ppm": 1_000_000,
        f"{RULES}.main_backing_ppm": 1_000_000,
        "buyers.orders_per_day": 120,
    }
)
"""A pool that backs a book twice as large with insurers' money, who do not pay for its losses."""
FREE: Settings = {
    f"{RULES}.{name}": 0 for name in ("fee", "spread_floor", "vol_spread", "correlation_spread")
}
PUTS: Settings = {"buyers.calls": 0.1, "buyers.momentum": 0}
WORSE: list[tuple[str, str, Settings]] = [
    ("march-2020", "worst_week", TWICE),
    ("march-2020", "claims", UNCOVERED),
    ("march-2020", "utilisation_max", {f"{RULES}.stress_share_ppm": 10_000}),
    ("may-2021", "worst_week", TWICE),
    ("ftx-2022", "worst_week", UNCOVERED),
    ("aug-2024", "worst_week", TWICE),
    ("oct-2025", "worst_week", TWICE | PUTS),
    ("btc-plus-40", "worst_day", FULLER),
    ("btc-minus-40", "worst_day", FULLER),
    ("vol-spike", "worst_week", TWICE),
    ("grind-up", "main_pnl", FULLER),
    (
        "grind-up",
        "insurance_pnl",
        FULLER | {f"{RULES}.cover_epoch_ppm": 1_000_000, f"{RULES}.insurance_reserve_ppm": 0},
    ),
    ("grind-up", "queue_days", {f"{RULES}.free_stress": 10.0}),
    ("whipsaw", "shortfall", TWICE),
    ("whipsaw", "below_reserve", TWICE),
    ("bank-run", "worst_week", TWICE),
    ("bank-run", "queue_days", FULLER),
    ("oracle-stall", "postponed", {"market.legs.1.is_seen": True}),
    ("oracle-stall", "share_price", {"market.legs.1.is_seen": True}),
    ("oracle-stall", "written_off", {"market.legs.1.hours": 252}),
    ("informed-flow", "informed_pnl", FREE),
    ("stock-gap", "worst_week", TWICE | PUTS | {"market.legs.1.returns": [-0.3, -0.35]}),
]
"""What fails the claims about a figure: a worse pool, or a market it does not claim to bear."""


def _run(name: str, settings: Settings) -> Stressed:
    """Run some paths of a stress by its script, whatever data there are."""
    file = find_scenario(name).with_settings({"paths": 4} | settings)
    return run_stress(file, workers=Threads(1))


def _holds(stressed: Stressed, figure: str) -> bool:
    judged = [each.holds for each in stressed.verdicts if each.claim.figure == figure]
    assert judged
    return all(judged)


def test_the_library_is_whole_and_every_stress_claims_something() -> None:
    assert stress_scenarios().keys() == LIBRARY
    for file in find_stresses([]):
        assert file.name in LIBRARY
        assert len(file.claims) > 1
        assert file.scenario().pools  # without any data


def test_the_page_has_the_claims_of_the_files() -> None:
    shown = rows_of(blocks_of(PAGE.read_text("utf-8"))["claims"])
    claimed = [
        [file.name, claim.says, claim.limit] for file in find_stresses([]) for claim in file.claims
    ]
    assert [[stress, says, limit] for stress, _, says, _, limit, _ in shown] == claimed


def test_a_file_without_claims_is_no_stress() -> None:
    with pytest.raises(ScenarioError, match=r"default: claims: there are none"):
        find_stresses(["bank-run", "default"])


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["btc-plus-40", "ftx-2022", "oracle-stall"])
def test_the_default_pool_keeps_its_claims(name: str) -> None:
    stressed = _run(name, {})
    assert stressed.is_whole
    assert [each.claim.says for each in stressed.verdicts if not each.holds] == []


@pytest.mark.compiled
@pytest.mark.parametrize(("name", "figure", "settings"), WORSE)
def test_a_worse_pool_fails(name: str, figure: str, settings: Settings) -> None:
    stressed = _run(name, settings)
    assert not _holds(stressed, figure)
    assert not stressed.holds


@pytest.mark.compiled
def test_a_gap_of_the_stock_changes_nothing_but_its_price() -> None:
    file = find_scenario("stock-gap").with_settings({"paths": 3})
    steady = file.with_settings({"market.legs.1.stocks": {"TSLA": 0.0}})
    gapped, other = (run(each, workers=Threads(1)) for each in (file, steady))
    for name in TOTALS:
        np.testing.assert_array_equal(gapped.total(name), other.total(name), err_msg=name)
    for name in DAILY:
        is_same = np.array_equal(gapped.daily(name), other.daily(name))
        assert is_same == (name != "stock"), name
