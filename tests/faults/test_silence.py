"""Time that passes unseen: months without prices, and a clock that is set back."""

from pathlib import Path

import pytest

from amm.units import DAY_MS, MINUTE_MS, ONE
from api.exchange import Exchange
from api.recovery import check_database
from api.storage.store import open_store
from tests.api.conftest import START_MS, TOKEN
from vaults.commands import Credit, ListToken, Open, StartUnderlying, Tick
from vaults.invariants import first_violation
from vaults.params import BTC_TERMS, ETH_TERMS
from vaults.rejects import Reject

VARIANCE_E12 = 25 * 10**12
NOW = START_MS + MINUTE_MS
DEAR = tuple(terms._replace(funding_period_ms=DAY_MS) for terms in (BTC_TERMS, ETH_TERMS))
"""Holders pay for all of the time value in a day."""


def tick(exchange: Exchange, now_ms: int, vol_e9: int = 5 * 10**9) -> int:
    """Observe BTC at a vol of 500 % and return the code of the answer."""
    seen = Tick("BTC", 100_000 * ONE, now_ms, now_ms, vol_e9=vol_e9)
    return exchange.execute(seen, f"tick-{now_ms}").outcome.code


@pytest.mark.parametrize("days", [30, 400, 30_000])
def test_prices_come_back_after_any_silence(tmp_path: Path, days: int) -> None:
    """At the dearest terms and vols there can be, an account that could pay for a week of it."""
    store = open_store(tmp_path / "exchange.sqlite")
    exchange = Exchange(store)
    exchange.execute(StartUnderlying("BTC", START_MS, *(VARIANCE_E12,) * 3), "start")
    exchange.execute(ListToken(TOKEN, START_MS, terms=DEAR), "list")
    exchange.execute(Credit(TOKEN, "buyer", 100 * ONE, START_MS), "credit")
    tick(exchange, NOW)
    order = Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, ONE // 100, ONE, NOW)
    assert exchange.execute(order, "open").outcome.code == Reject.NONE
    later = NOW + days * DAY_MS
    assert tick(exchange, later) == Reject.NONE
    assert tick(exchange, later + MINUTE_MS) == Reject.NONE
    token = exchange.memory.tokens[TOKEN]
    assert first_violation(token.state, token.rules, exchange.memory.market) == 0
    exchange.commit()
    assert check_database(store).faults == []
    store.close()
