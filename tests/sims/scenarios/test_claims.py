"""Claims: what a file may claim, what becomes of a claim, and which market a stress is run with."""

import gzip
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sims.drawdown.outcome import DAILY, TOTALS, BlockOutcome
from sims.runs.parts import table_of
from sims.runs.results import Results, results_of
from sims.scenarios.file import ScenarioError, ScenarioFile, scenario_of
from sims.scenarios.markets import ReplayedMarket, ScriptedMarket
from sims.scenarios.reading import find_scenario
from sims.stress.verdicts import check_claims

DAYS = 3


def _file(*claims: dict[str, object], pools: tuple[str, ...] = ("TSLA.M",)) -> ScenarioFile:
    claimed = [{"says": "It holds."} | claim for claim in claims]
    tokens = [{"token": token} for token in pools]
    return scenario_of({"name": "claimed", "days": DAYS, "pools": tokens, "claims": claimed})


def _results(file: ScenarioFile, figures: list[list[float]], weights: list[float]) -> Results:
    """Results whose total `drawdown` is given, by pool and path; share prices fall by it daily."""
    drawdowns = np.array(figures)
    totals = np.zeros((*drawdowns.shape, len(TOTALS)))
    totals[:, :, TOTALS.index("drawdown")] = drawdowns
    daily = np.zeros((*drawdowns.shape, DAYS + 1, len(DAILY)), dtype=np.float32)
    daily[..., DAILY.index("share_price")] = 1.0 - drawdowns[..., None] * np.arange(DAYS + 1)
    outcome = BlockOutcome(0, np.array(weights), totals, daily)
    table: pa.Table = table_of(outcome, tuple(pool.token for pool in file.pools), 0)
    return results_of(file, [table])


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"figure": "luck", "at_most": 1}, r"claims\.0\.figure: 'luck' is none of share_price"),
        ({"figure": "shortfall", "days": [0, 1], "at_most": 1}, r"claims\.0\.figure"),
        ({"figure": "lowest", "statistic": "quantile", "at_most": 1}, r"claims\.0\.share"),
        ({"figure": "lowest", "share": 0.5, "at_most": 1}, r"claims\.0\.share"),
        ({"figure": "lowest", "pool": "CRCL.M", "at_most": 1}, r"claims\.0\.pool: .*'CRCL\.M'"),
        ({"figure": "stock", "days": [2, 9], "at_most": 1}, r"claims\.0\.days: .*0 to 3"),
        ({"figure": "stock", "days": [2, 2], "at_most": 1}, r"claims\.0\.days"),
        ({"figure": "lowest"}, r"claims\.0: neither at_least nor at_most"),
        ({"figure": "lowest", "statistic": "best", "at_most": 1}, r"claims\[0\]\.statistic"),
    ],
)
def test_a_claim_that_says_nothing_is_refused(claim: dict[str, object], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        _file(claim)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ({"statistic": "mean"}, 0.175),
        ({"statistic": "least"}, 0.0),
        ({"statistic": "most"}, 0.4),
        ({"statistic": "median"}, 0.1),
        ({"statistic": "quantile", "share": 0.9}, 0.4),
    ],
)
def test_statistics_go_by_the_weights_of_the_paths(claim: dict[str, object], value: float) -> None:
    at_most = {"figure": "drawdown", "at_most": value}
    results = _results(_file(claim | at_most), [[0.0, 0.1, 0.2, 0.4]], [1.0, 2.0, 0.0, 1.0])
    verdict = check_claims(results)[0]
    if claim["statistic"] == "mean":
        assert verdict.figure.value == pytest.approx((0.2 + 0.4) / 4.0)
        assert verdict.figure.error > 0.0
    else:
        assert verdict.figure.value == value
        assert verdict.holds
    below = _file(claim | at_most | {"at_most": verdict.figure.value - 1e-9})
    assert not check_claims(_results(below, [[0.0, 0.1, 0.2, 0.4]], [1.0, 2.0, 0.0, 1.0]))[0].holds


def test_each_pool_is_judged_unless_one_is_named() -> None:
    every = {"figure": "drawdown", "at_most": 0.15}
    file = _file(every, every | {"pool": "CRCL.M"}, pools=("TSLA.M", "CRCL.M"))
    found = check_claims(_results(file, [[0.1, 0.1], [0.2, 0.2]], [1.0, 1.0]))
    assert [(each.token, each.holds) for each in found] == [
        ("TSLA.M", True), ("CRCL.M", False), ("CRCL.M", False),
    ]  # fmt: skip


def test_days_are_the_change_of_a_daily_figure() -> None:
    claim = {"figure": "share_price", "days": [1, 3], "at_least": -0.2}
    verdict = check_claims(_results(_file(claim), [[0.0, 0.1]], [1.0, 1.0]))[0]
    assert verdict.figure.value == pytest.approx(-0.1)
    assert verdict.holds


def test_one_path_has_no_error_and_no_number_keeps_no_limit() -> None:
    file = _file({"figure": "drawdown", "at_most": 1.0})
    one = check_claims(_results(file, [[0.3]], [1.0]))[0]
    assert one.holds
    assert math.isnan(one.figure.error)
    assert not check_claims(_results(file, [[math.nan]], [1.0]))[0].holds


def test_limits_are_shown_as_they_are_kept() -> None:
    both = _file({"figure": "lowest", "at_least": 0.5, "at_most": 2})
    assert both.claims[0].limit == "≥ 0.5, ≤ 2"
    assert _file({"figure": "lowest", "at_least": 0, "at_most": 0}).claims[0].limit == "= 0"


def test_claims_do_not_change_what_is_run_but_the_market_does() -> None:
    file = find_scenario("aug-2024")
    milder = file.with_settings({"claims.at_most": 1.0})
    assert milder.claims != file.claims
    assert milder.digest() == file.digest()
    assert file.resolved().digest() != file.digest()


def _history(folder: Path, month: int, close: float = 1_000.0) -> Path:
    """Write bars of the stress of August 2024, or of another month."""
    place = folder / "crypto" / "stress"
    place.mkdir(parents=True)
    begin = np.datetime64(f"2024-{month:02d}-01T00:00:00")
    times = begin + np.arange(15 * 96) * np.timedelta64(15, "m")
    lines = [f"{time}Z,1000,1000,1000,{close:g},1,0" for time in times]
    text = "\n".join(["ts,open,high,low,close,volume,seg", *lines]) + "\n"
    for symbol in ("BTC", "ETH"):
        path = place / f"{symbol}_2024-08_15m.csv.gz"
        path.write_bytes(gzip.compress(text.encode()))
    return folder


def test_history_is_replayed_where_it_is_there(tmp_path: Path) -> None:
    file = find_scenario("aug-2024")
    there = file.with_settings({"start": "2024-08-01T10:00:00Z"})
    assert isinstance(file.resolved(None).market, ScriptedMarket)
    history = _history(tmp_path / "there", 8)
    assert isinstance(there.resolved(history).market, ReplayedMarket)
    assert isinstance(file.resolved(_history(tmp_path / "other", 3)).market, ScriptedMarket)
    (tmp_path / "empty").mkdir()
    resolved = file.resolved(tmp_path / "empty")
    assert isinstance(resolved.market, ScriptedMarket)
    assert resolved.otherwise is None
    assert resolved.resolved(history) is resolved


def test_history_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    file = find_scenario("aug-2024")
    with pytest.raises(ScenarioError, match="no such folder"):
        file.resolved(tmp_path / "nowhere")
    damaged = _history(tmp_path / "damaged", 8, close=5.0)
    with pytest.raises(ScenarioError, match=r"BTC_2024-08_15m\.csv\.gz, line 2"):
        file.resolved(damaged)
