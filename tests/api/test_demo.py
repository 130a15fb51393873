"""The example: ordinary commands, all or nothing, and an exchange that looks alive after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from amm.oracle import OracleVerdict
from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE
from api.access.ring import KeyRing
from api.demo import (
    CREDITS,
    DEMO,
    DEMO_TOKENS,
    INSURANCE_DEPOSIT,
    MAIN_DEPOSIT,
    OTHER_TRADER,
    PROVIDER,
    TRADER,
    DemoError,
    demo_keys,
    seed_demo,
)
from api.exchange import Exchange
from api.feeds.simulated import STARTS
from api.journal import read_outcome
from api.recovery import check_database
from api.replay import state_digest
from api.storage.engines import access_engine
from api.storage.store import open_store
from vaults.commands import CALL, Open
from vaults.invariants import first_violation
from vaults.market import WINDOW_MINUTES

DAY_START_MS = 1_760_054_400_000
"""Midnight, ten hours before a flush."""
NOW_MS = DAY_START_MS + 15 * HOUR_MS


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Exchange]:
    """An exchange without a record."""
    store = open_store(tmp_path / "demo.sqlite")
    yield Exchange(store)
    store.close()


def balance(exchange: Exchange, token: str, account: str) -> int:
    slot = exchange.memory.slot_of(token, account)
    return int(exchange.memory.tokens[token].state.accounts[slot].balance)


def test_pools_are_funded_and_positions_open(empty: Exchange) -> None:
    seed_demo(empty, NOW_MS)
    assert tuple(empty.memory.tokens) == DEMO_TOKENS
    for name, token in empty.memory.tokens.items():
        pool = token.state.pool[0]
        assert pool.main > MAIN_DEPOSIT
        assert pool.insurance > INSURANCE_DEPOSIT
        assert pool.flushes == 2
        assert pool.live_series == 3
        assert pool.next_flush_ms > NOW_MS
        assert balance(empty, name, TRADER) == CREDITS[TRADER]
        assert balance(empty, name, OTHER_TRADER) < CREDITS[OTHER_TRADER]
        assert balance(empty, name, PROVIDER) == 6_000 * ONE
        assert first_violation(token.state, token.rules, empty.memory.market) == 0
    assert check_database(empty.store).faults == []


def test_the_last_hour_is_full_of_marks(empty: Exchange) -> None:
    """A minute before now the last one, so that the feed's first one is new."""
    seed_demo(empty, NOW_MS)
    for slot, start in enumerate(STARTS):
        oracle = empty.memory.market.oracle[slot]
        assert empty.memory.market.windows[slot].marks == WINDOW_MINUTES
        assert oracle.index_ms == NOW_MS - MINUTE_MS
        assert abs(int(oracle.index_e8) / ONE / start.price - 1) < 0.02
        assert abs(int(oracle.mark_vol_e9) / 1e9 - start.vol) < 0.05
    first = next(empty.store.journal())
    assert first.now_ms < NOW_MS - DAY_MS


def test_it_is_done_once(empty: Exchange) -> None:
    seed_demo(empty, NOW_MS)
    before, length = state_digest(empty), empty.journal_length
    seed_demo(empty, NOW_MS + DAY_MS)
    assert (state_digest(empty), empty.journal_length) == (before, length)
    assert empty.store.setting(DEMO) == "seeded"


def test_another_exchange_is_left_alone(exchange: Exchange) -> None:
    before = state_digest(exchange)
    with pytest.raises(DemoError, match="no demo"):
        seed_demo(exchange, NOW_MS)
    assert state_digest(exchange) == before


@pytest.mark.parametrize("minute", [0, 1, 30, 59, 60, 61, 300])
def test_it_can_begin_at_any_time_of_the_day(empty: Exchange, minute: int) -> None:
    """Around a flush too, which then falls among the ticks."""
    now_ms = DAY_START_MS + 10 * HOUR_MS + minute * MINUTE_MS
    seed_demo(empty, now_ms, DEMO_TOKENS[:1])
    pool = empty.memory.tokens[DEMO_TOKENS[0]].state.pool[0]
    assert pool.main > MAIN_DEPOSIT
    assert pool.next_flush_ms > now_ms - MINUTE_MS
    assert pool.flushes in (2, 3)
    refused = [record for record in empty.store.journal() if read_outcome(record.outcome).code]
    assert refused == []


def test_it_takes_the_prices_it_is_given(empty: Exchange) -> None:
    starts = (
        STARTS[0]._replace(price=5_200.0, vol=1.1),
        STARTS[1]._replace(price=130.0, vol=1.1),
    )
    seed_demo(empty, NOW_MS, DEMO_TOKENS[:1], starts)
    oracle = empty.memory.market.oracle
    assert abs(int(oracle[0].index_e8) / ONE / 5_200 - 1) < 0.05
    assert empty.memory.tokens[DEMO_TOKENS[0]].state.pool[0].live_series == 3


def test_the_trader_can_trade_at_once(empty: Exchange) -> None:
    """At the time of the last tick, without a new one."""
    seed_demo(empty, NOW_MS)
    index = int(empty.memory.market.oracle[0].index_e8)
    strike = round(index / (1_000 * ONE)) * 1_000 * ONE
    order = Open(DEMO_TOKENS[0], TRADER, "BTC", CALL, strike, 10 * ONE, ONE, NOW_MS - MINUTE_MS)
    assert empty.execute(order, "first").outcome.code == 0
    verdicts = {read_outcome(record.outcome).verdict for record in empty.store.journal()}
    assert verdicts == {int(OracleVerdict.USED)}


def test_keys_are_made_once(empty: Exchange) -> None:
    """And again only where none is in force."""
    ring = KeyRing(access_engine(empty.store.url), bytes(32))
    made = demo_keys(ring, NOW_MS)
    assert [key.account for key in made] == [TRADER, PROVIDER, "operator"]
    assert made[0].roles == {"read", "trade", "provide"}
    assert demo_keys(ring, NOW_MS + 1) == made
    ring.revoke(made[0].id, NOW_MS + 2)
    assert demo_keys(ring, NOW_MS + 3) == made[1:]
    for key in made[1:]:
        ring.revoke(key.id, NOW_MS + 4)
    again = demo_keys(ring, NOW_MS + 5)
    assert len(again) == 3
    assert not {key.id for key in again} & {key.id for key in made}
    ring.close()
