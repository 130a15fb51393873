"""The simulator has no rules of its own: the single writer, told the same, ends in the same state.

Every command a path carried out is carried out again by a real exchange on a real database, and
every integer of both states is compared.
"""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from api.exchange import Exchange
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from sims.drawdown.blocks import Desk, draw_market, draw_pool, path_of
from sims.drawdown.commands import Kind
from sims.drawdown.outcome import TOTALS
from sims.drawdown.scenario import Buyers, Informed, PoolPlan, Providers, Scenario
from tests.sims.drawdown.markets import Drifting
from tests.sims.drawdown.parity import Repeater
from vaults.invariants import states_are_equal
from vaults.market import Market
from vaults.params import Parameters

pytestmark = pytest.mark.compiled

CALM = Scenario(
    "calm",
    Drifting(),
    buyers=Buyers(orders_per_day=40.0, holding_days=1.5, size=0.01),
    informed=Informed(orders_per_day=24.0, vol_orders_per_day=2.0, lead_seconds=900.0),
    providers=Providers(main_outflow=0.03, insurance_outflow=0.02),
    days=14,
    paths=1,
    seed=11,
)
CRASH = Scenario(
    "crash",
    Drifting(pushes=((150, -0.35), (250, 0.4)), missing=(60, 61, 160)),
    pools=(PoolPlan(main=5_000.0, insurance=600.0, parameters=Parameters(cooldown_ms=0)),),
    buyers=Buyers(orders_per_day=240.0, holding_days=10.0, size=0.02, calls=0.2, momentum=0.0),
    providers=Providers(main_run=0.05, insurance_run=0.05),
    days=14,
    paths=1,
    seed=12,
)
RUIN = replace(
    CRASH,
    name="ruin",
    pools=(
        PoolPlan(
            main=5_000.0,
            insurance=600.0,
            parameters=Parameters(cooldown_ms=0, stress_share_ppm=700_000),
        ),
    ),
    market=Drifting(level=0.25, vol=0.25, pushes=((200, -0.4),)),
    buyers=Buyers(
        orders_per_day=400.0,
        holding_days=20.0,
        size=0.03,
        calls=0.02,
        momentum=0.0,
        strike_spread=0.02,
        take_profit=0.0,
        stop_loss=0.0,
        trailing=0.0,
    ),
)
MET = {
    "calm": ("informed_pnl",),
    "crash": ("cashed_out", "claims", "refused", "queue_days"),
    "ruin": ("claims", "stressed", "queue_days"),
}
"""What each path has to meet: none of it may be 0."""


def _run(scenario: Scenario) -> tuple[Desk, dict[str, float]]:
    """Run the first path of a scenario, written down."""
    drawn = draw_pool(scenario, 0, 0, draw_market(scenario, 0))
    desk = Desk(scenario, 0, commands=60_000)
    totals = desk.run(path_of(drawn, 0, -1))
    return desk, dict(zip(TOTALS, totals.tolist(), strict=True))


def _markets_are_equal(one: Market, other: Market) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in Market._fields)


@pytest.mark.parametrize("scenario", [CALM, CRASH, RUIN], ids=lambda scenario: scenario.name)
def test_the_single_writer_ends_in_the_same_state(scenario: Scenario, tmp_path: Path) -> None:
    desk, totals = _run(scenario)
    with closing(open_store(DatabaseUrl(tmp_path.resolve() / "exchange.sqlite"))) as store:
        exchange = Exchange(store)
        codes = Repeater(exchange, desk.pool, scenario.step_ms).repeat(desk.world)

    assert {Kind(kind) for kind in desk.world.commands[: len(codes), 0]} == set(Kind)
    assert totals["trades"] > 100
    assert all(totals[name] != 0.0 for name in MET[scenario.name])
    state = exchange.memory.tokens[desk.pool.token].state
    assert states_are_equal(desk.world.state, state)
    assert _markets_are_equal(desk.world.market, exchange.memory.market)
