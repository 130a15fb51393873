"""A scenario file says everything a study depends on, and what it may not say is told by field."""

from pathlib import Path

import pytest

from sims.markets.brownian import Brownian
from sims.markets.chosen import Chosen
from sims.markets.regimes import Regimes
from sims.markets.tilt import Tilt
from sims.scenarios.file import ScenarioError, ScenarioFile, scenario_of
from sims.scenarios.reading import find_scenario, read_scenario, shipped_scenarios

WHOLE = """
name = "whole"
description = "Every table there is."
start = 2026-01-05T00:00:00+01:00
days = 2
step_minutes = 15
paths = 7
seed = 3

[market]
model = "brownian"
prices = [50_000, 2_000]
vols = [0.4, 0.5]
stocks.TSLA = { price = 400, vol = 0.5, correlation = 0.4 }

[[pools]]
token = "TSLA.M"
stock = "TSLA"
main = 2_000
parameters = { fee = 0.001, cutoff_ms = 6e5 }
terms.BTC = { cap_ppm = 400_000 }

[[pools]]
token = "CRCL.M"

[buyers]
calls = 0.3
holding = "fixed"

[informed]
orders_per_day = 2

[providers]
main_run = 0.02
"""


def _written(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_file_becomes_what_is_run(tmp_path: Path) -> None:
    scenario = read_scenario(_written(tmp_path, WHOLE)).scenario()
    assert scenario.clock == (1_767_567_600_000, 900_000, 192)
    assert isinstance(scenario.market, Brownian)
    assert scenario.market.stocks[0].price == 400.0
    tesla, circle = scenario.pools
    assert (tesla.stock, circle.stock) == (0, -1)
    assert tesla.parameters.fee == 0.001
    assert tesla.parameters.cutoff_ms == 600_000
    assert isinstance(tesla.parameters.cutoff_ms, int)
    assert [terms.cap_ppm for terms in tesla.terms] == [400_000, 500_000]
    assert circle.main == 10_000.0
    assert scenario.buyers.holding == "fixed"
    assert scenario.informed.orders_per_day == 2.0
    assert scenario.providers.main_run == 0.02


def test_what_is_not_said_is_the_default() -> None:
    scenario = scenario_of({"name": "least"}).scenario()
    assert isinstance(scenario.market, Regimes)
    assert scenario.days == 30


def test_a_market_may_start_at_a_level_and_have_its_far_paths_chosen() -> None:
    market = {
        "model": "regimes",
        "level": 0.45,
        "tilt": {"days": 2, "push": 1.5},
        "choice": {"candidates": 4, "falls": 1.0},
    }
    told = scenario_of({"name": "rare", "market": market}).scenario().market
    tilted = Regimes(level=0.45, tilt=Tilt(days=2, push=1.5))
    assert told == Chosen(tilted, candidates=4, falls=1.0)
    del market["choice"]
    assert scenario_of({"name": "rare", "market": market}).scenario().market == tilted


@pytest.mark.parametrize("name", shipped_scenarios())
def test_shipped_scenarios_can_be_run(name: str) -> None:
    assert find_scenario(name).name == name
    assert find_scenario(name).scenario().clock.steps > 0


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("buyers.sizes", 1, "buyers: Object contains unknown field `sizes`"),
        ("buyers.size", -1, "buyers.size: Expected `float` > 0.0"),
        ("buyers.take_profit", 1, "buyers: take_profit, stop_loss and trailing"),
        ("market.vol_scale", float("nan"), "nan and inf"),
        ("market.vol_scale", "x", "market.vol_scale: Expected `float`, got `str`"),
        ("market", {"model": "lucky"}, "market.model: Invalid value 'lucky'"),
        ("pools.parameters.fee", 1, "pools: fee is 1, must be from 0.0 to 0.02"),
        ("pools.parameters.fees", 1, "pools: fees is no parameter"),
        ("pools.parameters.cutoff_ms", 1.5, "pools: cutoff_ms is 1.5, must be a whole number"),
        ("pools.terms.ETH", {"funding_period_ms": 7e9, "correlation": 1}, "is too long for"),
        ("pools.0.token", "tesla", "pools[0].token"),
        ("pools.1.main", 5, "pools[0]: Object contains unknown field `1`"),
        ("pools.stock", "ACME", "pools: the market has no stock ACME"),
        ("pools", [{"token": "A.M"}, {"token": "A.M"}], "named twice"),
        ("pools", [], "pools: Expected `array` of length >= 1"),
        ("step_minutes", 7, "step_minutes does not divide a day"),
        ("paths", 0, "paths: Expected `int` >= 1"),
        ("start", "2026-01-05T00:00:00", "start"),
        ("start", "2026-01-05T00:00:30Z", "start is no whole minute"),
        ("market", {"model": "replayed"}, "market: this market needs price history"),
        ("market", {"model": "scripted", "legs": []}, "market.legs"),
        ("seed.x", 1, "seed.x: leads nowhere"),
        ("name", "A b", "name"),
    ],
)
def test_what_cannot_be_is_told_by_field(setting: str, value: object, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        find_scenario("default").with_settings({setting: value}).scenario()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"), [("name = ", "Invalid value"), ("", "missing required field `name`")]
)
def test_a_file_that_is_none_is_told_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = _written(tmp_path, text)
    with pytest.raises(ScenarioError, match=said) as caught:
        read_scenario(path)
    assert str(path) in str(caught.value)


def test_a_name_that_is_none_tells_those_there_are() -> None:
    with pytest.raises(ScenarioError, match=r"nothing: neither a \.toml file nor one of .*default"):
        find_scenario("nothing")


def test_the_digest_is_that_of_what_is_run() -> None:
    file = find_scenario("default")
    same = file.with_settings({"name": "other", "description": "", "buyers.size": 0.008})
    assert same.digest() == file.digest()
    for setting, value in (("seed", 2), ("pools.main", 9_999), ("market.drift", 0.1)):
        assert file.with_settings({setting: value}).digest() != file.digest()


def test_settings_without_a_number_are_of_every_pool(tmp_path: Path) -> None:
    file: ScenarioFile = read_scenario(_written(tmp_path, WHOLE))
    changed = file.with_settings({"pools.main": 50, "pools.1.insurance": 5})
    assert [(pool.main, pool.insurance) for pool in changed.pools] == [(50.0, 1_500.0), (50.0, 5.0)]
    assert [pool.main for pool in file.pools] == [2_000.0, 10_000.0]


def test_another_market_begins_with_its_own_defaults() -> None:
    settings = {"market.vols": [0.1, 0.2], "market.model": "brownian", "pools.stock": None}
    market = find_scenario("default").with_settings(settings).scenario().market
    assert market == Brownian(vols=(0.1, 0.2))
