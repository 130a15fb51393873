"""The seeded flow: reproducible, within what the exchange can be asked, and without foresight."""

import numpy as np
import pytest

from amm.units import MINUTE_MS, ONE
from sims.flows import LAST_MS, FlowRules, View, buyer, commands, farewell, opening_commands
from vaults.commands import CALL, Close, Credit, ListToken, Open, Request
from vaults.moves import FLOWS
from vaults.params import Parameters
from vaults.state import State, empty_state

NOW = 1_760_011_200_000
RULES = FlowRules(opens_per_day=1_440.0)


def view(now_ms: int = NOW, index: float = 100_000.0, day_ago: float = 100_000.0) -> View:
    """Return what the flow sees of a token without positions."""
    return View(
        token="TSLA.M",
        number=0,
        state=empty_state(FLOWS),
        indices={"BTC": index, "ETH": 4_000.0},
        day_ago={"BTC": day_ago, "ETH": 4_000.0},
        now_ms=now_ms,
        name_of=lambda slot: buyer("TSLA.M", slot),
    )


def openings(minutes: int, **changes: float) -> list[Open]:
    """Return what is opened in some minutes."""
    asked = [
        command
        for minute in range(minutes)
        for command in commands(5, RULES, view(NOW + minute * MINUTE_MS, **changes))
    ]
    return [command for command in asked if isinstance(command, Open)]


def with_position(state: State, notional: int) -> State:
    """Put one position of a 100,000 call into a state, as the flow reads it."""
    state.pool[0].position_count = 1
    state.pool[0].series_count = 1
    state.series[0].strike_e8 = 100_000 * ONE
    state.series[0].is_call = 1
    state.positions[0].position_id = 1
    state.positions[0].notional = notional
    return state


def test_a_minute_is_a_function_of_seed_time_and_state() -> None:
    """So an interrupted run goes on as it would have."""
    minutes = [commands(5, RULES, view(NOW + minute * MINUTE_MS)) for minute in range(20)]
    again = [commands(5, RULES, view(NOW + minute * MINUTE_MS)) for minute in range(20)]
    other = [commands(6, RULES, view(NOW + minute * MINUTE_MS)) for minute in range(20)]
    assert minutes == again
    assert minutes != other


def test_openings_come_at_their_rate_in_order_and_in_their_minute() -> None:
    """One a minute on average; strikes on the ladder near the index; sizes positive."""
    asked = openings(400)
    assert abs(len(asked) - 400) < 4 * np.sqrt(400)
    for order in asked:
        assert 0 <= (order.now_ms - NOW) % MINUTE_MS < LAST_MS
        step = (1_000 if order.underlying == "BTC" else 50) * ONE
        assert order.strike_e8 % step == 0
        assert order.notional > 0
    assert {order.underlying for order in asked} == {"BTC", "ETH"}


def test_buyers_follow_the_last_day() -> None:
    """After a rise more calls, after a fall more puts."""

    def calls(day_ago: float) -> float:
        bitcoin = [o for o in openings(600, day_ago=day_ago) if o.underlying == "BTC"]
        return float(np.mean([order.kind == CALL for order in bitcoin]))

    assert calls(90_000.0) > 0.7
    assert calls(112_000.0) < 0.3


def test_nothing_is_opened_without_an_index() -> None:
    """Before the first observation there is nothing to choose a strike by."""
    blind = view()._replace(indices={}, day_ago={})
    assert not any(
        commands(5, RULES, blind._replace(now_ms=NOW + m)) for m in range(0, 10**6, 60_000)
    )


def test_opening_commands_bring_everybody_in() -> None:
    """A listing first, then credits that cover the deposits asked for."""
    asked = list(opening_commands("TSLA.M", RULES, Parameters(), NOW))
    assert isinstance(asked[0], ListToken)
    credited = sum(each.amount for each in asked if isinstance(each, Credit))
    brought = RULES.buyers_bring + RULES.providers_bring + RULES.insurers_bring
    assert credited == brought
    asked_in = sum(each.amount for each in asked if isinstance(each, Request))
    assert 2 * asked_in == RULES.providers_bring + RULES.insurers_bring


@pytest.mark.parametrize("gain", [1.10, 1.0])
def test_profits_are_taken_in_the_money(gain: float) -> None:
    """A taker of profits leaves within minutes beyond 6 %, and hardly ever before."""
    seen = view(index=100_000.0 * gain)._replace(state=with_position(empty_state(FLOWS), ONE))
    quiet = RULES._replace(opens_per_day=0.0, provider_moves_per_day=0.0)
    minutes = [commands(5, quiet, seen._replace(now_ms=NOW + m * MINUTE_MS)) for m in range(60)]
    assert any(minutes) == (gain > 1.06)


def test_farewell_closes_everything() -> None:
    """Every live position, whole."""
    seen = view()._replace(state=with_position(empty_state(FLOWS), 7 * ONE))
    assert farewell(seen) == [Close("TSLA.M", buyer("TSLA.M", 0), 1, 7 * ONE, NOW)]
