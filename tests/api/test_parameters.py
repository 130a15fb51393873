"""Versions of parameters: announced, adopted when due, and kept whatever happens."""

import asyncio
from typing import Any

import pytest

from amm.units import DAY_MS, MINUTE_MS, ONE
from api.clock import Clock
from api.exchange import Exchange
from api.operating import adoptable
from api.recovery import check_database
from api.service import Service
from api.storage.store import open_store
from tests.api.conftest import START_MS, TOKEN, tick, until
from vaults.capacity import backing
from vaults.commands import (
    AdoptParameters,
    Cancel,
    Close,
    Flush,
    Open,
    Outcome,
    Pause,
    Request,
    Resume,
    SetParameters,
    Withdraw,
)
from vaults.moves import RequestKind
from vaults.params import Parameters
from vaults.rejects import Reject

NOW = START_MS + MINUTE_MS + 1_000
LATER = NOW + MINUTE_MS
WIDE = {"account_share_ppm": 10**6, "series_share_ppm": 10**6, "stress_share_ppm": 700_000}


def in_force(exchange: Exchange) -> Parameters:
    """Return the parameters the kernels read."""
    token = exchange.memory.tokens[TOKEN]
    found = Parameters(*token.rules.parameters[0].item())
    assert found == token.versions.in_force.parameters
    return found


def announce(exchange: Exchange, effective_ms: int = LATER, **changes: Any) -> Outcome:
    """Announce what is in force with changes."""
    parameters = in_force(exchange)._replace(**changes)
    now_ms = max(NOW, int(exchange.memory.tokens[TOKEN].state.pool[0].now_ms))
    command = SetParameters(TOKEN, parameters, effective_ms, now_ms)
    return exchange.execute(command, f"set-{effective_ms}-{changes}").outcome


def adopt(exchange: Exchange, version: int, now_ms: int = LATER) -> Outcome:
    """Try to put a version in force."""
    return exchange.execute(AdoptParameters(TOKEN, version, now_ms), f"{version}@{now_ms}").outcome


def opening(notional: int, now_ms: int = NOW) -> Open:
    """Return an order that a pool with nothing but its seed can take."""
    return Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, notional, ONE, now_ms)


def test_a_version_is_announced_and_then_in_force(exchange: Exchange) -> None:
    assert announce(exchange, fee=0.001).row == 2
    assert in_force(exchange).fee == Parameters().fee
    assert adopt(exchange, 2, LATER - 1).code == Reject.NOT_DUE
    assert adopt(exchange, 1).code == Reject.NOT_DUE
    assert adopt(exchange, 2).code == 0
    assert in_force(exchange) == Parameters(fee=0.001)
    assert adopt(exchange, 2, LATER + 1).code == Reject.NOT_DUE
    versions = exchange.memory.tokens[TOKEN].versions
    assert [each.version for each in versions.adopted] == [1, 2]
    assert versions.announced is None
    assert (versions.in_force.effective_ms, versions.in_force.adopted_ms) == (LATER, LATER)


def test_a_newer_announcement_takes_the_place_of_one_that_waits(exchange: Exchange) -> None:
    assert announce(exchange, fee=0.001).row == 2
    assert announce(exchange, fee=0.002).row == 3
    assert adopt(exchange, 2).code == Reject.NOT_DUE
    assert adopt(exchange, 3, LATER + 1).code == 0
    assert in_force(exchange).fee == 0.002


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2 * ONE},
        {"token_vol": 0.7},
        {"fee": 5.0},
        {"exit_fee_ppm": 50_000, "exit_fee_max_ppm": 1_000},
        {"correlation_spread": 1.0, "self_funding_ms": 30 * 86_400_000},
        {"effective_ms": NOW - 1},
    ],
)
def test_what_cannot_be_is_refused(exchange: Exchange, changes: dict[str, Any]) -> None:
    before = exchange.memory.tokens[TOKEN].versions
    assert announce(exchange, **changes).code == Reject.PARAMETERS_INVALID
    assert exchange.memory.tokens[TOKEN].versions == before


def test_capacity_is_never_broken(exchange: Exchange) -> None:
    """Neither announced nor adopted; once there is room again it is adopted as announced."""
    changes = {"insurance_backing_ppm": 0, "account_share_ppm": 1_000_000}
    wide = announce(exchange, NOW, **WIDE)
    assert adopt(exchange, wide.row, NOW).code == 0
    assert announce(exchange, **changes).row == 3
    bought = exchange.execute(opening(22 * ONE // 10), "open").outcome
    assert bought.code == 0  # 1.1 tokens are locked, of 1 and a quarter
    refused = announce(exchange, effective_ms=LATER + 5, **changes)
    assert refused.code == Reject.BREAKS_CAPACITY
    assert refused.actual > refused.limit
    assert adopt(exchange, 3).code == Reject.BREAKS_CAPACITY
    assert in_force(exchange).insurance_backing_ppm == 500_000
    sell = Close(TOKEN, "buyer", bought.row, ONE, NOW)
    assert exchange.execute(sell, "close").outcome.code == 0
    assert adopt(exchange, 3, LATER + 1).code == 0
    assert in_force(exchange).insurance_backing_ppm == 0


def test_a_loss_of_backing_keeps_no_rules_in_force(exchange: Exchange) -> None:
    """Where locks are backed no more, what backs them as well as before can be changed."""
    wide = announce(exchange, NOW, **WIDE)
    assert adopt(exchange, wide.row, NOW).code == 0
    assert exchange.execute(opening(22 * ONE // 10), "call").outcome.code == 0
    put = Open(TOKEN, "buyer", "ETH", "put", 4_000 * ONE, ONE // 4, ONE, NOW)
    assert exchange.execute(put, "put").outcome.code == 0
    for minute in range(1, 5):  # calls are cashed out at the cap, and main is all but empty
        tick(exchange, NOW + minute * MINUTE_MS, btc=160_000)
    later = NOW + 5 * MINUTE_MS
    token = exchange.memory.tokens[TOKEN]
    pool = token.state.pool[0]
    assert pool.locked > backing(token.rules, pool.main, pool.insurance)
    less = announce(exchange, later, insurance_backing_ppm=0)
    assert less.code == Reject.BREAKS_CAPACITY
    other = announce(exchange, later, fee=0.001)
    assert other.code == 0
    assert adopt(exchange, other.row, later).code == 0
    assert in_force(exchange).fee == 0.001


# -- when the next flush is


def schedule_of(exchange: Exchange) -> tuple[int, int]:
    """Return the next flush and its cut-off."""
    pool = exchange.memory.tokens[TOKEN].state.pool[0]
    return int(pool.next_flush_ms), int(pool.cutoff_ms)


def provide(exchange: Exchange, now_ms: int = NOW) -> int:
    """Ask the main pool to take a token; return the request's number."""
    asked = Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, ONE, now_ms)
    outcome = exchange.execute(asked, f"deposit-{now_ms}").outcome
    assert outcome.code == 0
    return outcome.row


def test_a_flush_comes_sooner_where_a_new_schedule_has_it_sooner(exchange: Exchange) -> None:
    """With time to take requests back; replayed, it is the same."""
    rare = {"flush_period_ms": 100 * 365 * DAY_MS, "flush_offset_ms": 0}
    announce(exchange, NOW, **rare)
    assert adopt(exchange, 2, NOW).code == 0
    was, _ = schedule_of(exchange)  # no flush is put off
    assert was <= NOW + DAY_MS
    tick(exchange, was)
    assert exchange.execute(Flush(TOKEN, was), "flush").outcome.code == 0
    assert schedule_of(exchange)[0] > was + 40 * 365 * DAY_MS
    often = {"flush_period_ms": MINUTE_MS, "cutoff_ms": 50_000, "flush_offset_ms": 0}
    command = SetParameters(TOKEN, in_force(exchange)._replace(**often), was, was)
    assert exchange.execute(command, "often").outcome.row == 3
    assert adopt(exchange, 3, was + 20_000).code == 0
    next_ms, cutoff_ms = schedule_of(exchange)
    assert next_ms % MINUTE_MS == 0
    assert was + 20_000 < cutoff_ms == next_ms - 50_000 <= was + 20_000 + MINUTE_MS
    exchange.commit()
    known = exchange.memory
    exchange.store.close()
    again = Exchange(open_store(exchange.store.url))
    assert again.memory.differences(known) == []
    assert check_database(again.store).faults == []
    again.store.close()


def test_who_has_provided_is_flushed_once_a_week_at_least(exchange: Exchange) -> None:
    """Neither announced nor adopted; before anybody is in it can be, and a week always."""
    rare = {"flush_period_ms": 7 * DAY_MS + 1, "flush_offset_ms": 0}
    assert announce(exchange, **rare).row == 2
    asked = provide(exchange)
    assert adopt(exchange, 2).code == Reject.PARAMETERS_INVALID
    refused = announce(exchange, effective_ms=LATER + 1, **rare)
    assert (refused.code, refused.limit) == (Reject.PARAMETERS_INVALID, 7 * DAY_MS)
    assert announce(exchange, flush_period_ms=7 * DAY_MS).row == 3
    assert exchange.execute(Cancel(TOKEN, "provider", asked, NOW), "cancel").outcome.code == 0
    assert announce(exchange, effective_ms=LATER + 2, **rare).row == 4
    provide(exchange, NOW + 1)
    due, _ = schedule_of(exchange)
    tick(exchange, due)
    exchange.execute(Flush(TOKEN, due), "flush")
    assert adopt(exchange, 4, due).code == Reject.PARAMETERS_INVALID  # it holds shares now
    assert in_force(exchange).flush_period_ms == DAY_MS


def test_a_cooldown_can_be_raised_to_ten_days_at_most(exchange: Exchange) -> None:
    """Of those who have provided; longer waits that are in force may stay."""
    short = announce(exchange, NOW, cooldown_ms=20 * DAY_MS)
    assert adopt(exchange, short.row, NOW).code == 0
    provide(exchange)
    refused = announce(exchange, cooldown_ms=20 * DAY_MS + 1)
    assert (refused.code, refused.limit) == (Reject.PARAMETERS_INVALID, 20 * DAY_MS)
    assert announce(exchange, fee=0.001).code == 0
    shorter = announce(exchange, NOW, cooldown_ms=0)
    assert adopt(exchange, shorter.row, NOW).code == 0
    refused = announce(exchange, cooldown_ms=10 * DAY_MS + 1)
    assert (refused.code, refused.limit) == (Reject.PARAMETERS_INVALID, 10 * DAY_MS)
    assert announce(exchange, cooldown_ms=10 * DAY_MS).code == 0


def test_the_price_of_a_binding_request_is_not_changed(exchange: Exchange) -> None:
    """From its cut-off until after its flush; where no request is bound, at any time."""
    due, cutoff_ms = schedule_of(exchange)
    announce(exchange, NOW, exit_fee_ppm=100_000, exit_fee_max_ppm=100_000)
    provide(exchange)
    refused = adopt(exchange, 2, cutoff_ms + 1)
    assert (refused.code, refused.limit) == (Reject.NOT_DUE, cutoff_ms)
    assert adoptable(exchange.memory, TOKEN, cutoff_ms) == 2
    assert adoptable(exchange.memory, TOKEN, cutoff_ms + 1) == 0
    tick(exchange, due)
    exchange.execute(Flush(TOKEN, due), "flush")
    assert adoptable(exchange.memory, TOKEN, due) == 2
    assert adopt(exchange, 2, due).code == 0
    _, cutoff_ms = schedule_of(exchange)
    command = SetParameters(TOKEN, in_force(exchange)._replace(fee=0.001), due, due)
    exchange.execute(command, "fee")
    assert adopt(exchange, 3, cutoff_ms + 1).code == 0


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_versions_survive_a_restart(exchange: Exchange, is_checkpointed: bool) -> None:
    announce(exchange, fee=0.001)
    adopt(exchange, 2)
    announce(exchange, LATER + 5, fee=0.002, stress_move=0.4)
    exchange.execute(opening(ONE // 10, LATER), "open")
    if is_checkpointed:
        exchange.checkpoint()
    exchange.commit()
    known = exchange.memory
    exchange.store.close()
    again = Exchange(open_store(exchange.store.url))
    assert again.memory.differences(known) == []
    assert again.memory.tokens[TOKEN].rules.parameters == known.tokens[TOKEN].rules.parameters
    assert check_database(again.store).faults == []
    assert adopt(again, 3, LATER + 5).code == 0
    assert in_force(again).stress_move == 0.4
    again.store.close()


def test_derived_values_follow_what_was_adopted(exchange: Exchange) -> None:
    """A writer that adopts goes on as one that starts afterwards."""
    exchange.execute(opening(ONE // 10), "open")
    announce(exchange, stress_move=0.5, stress_vol=2.0, rent_from=0.0, fee=0.001)
    adopt(exchange, 2)
    exchange.commit()
    quoted = exchange.quote(opening(ONE // 10, LATER))
    exchange.store.close()
    again = Exchange(open_store(exchange.store.url))
    assert again.quote(opening(ONE // 10, LATER)) == quoted
    again.store.close()


def test_the_service_adopts_what_is_due(exchange: Exchange) -> None:
    """By itself, once, and not before capacity allows."""
    service = Service(exchange, Clock(start_ms=NOW), None, 0)

    async def story() -> None:
        await service.start()
        changed = in_force(exchange)._replace(fee=0.001)
        due_ms = service.clock.now_ms() + 50
        done = await service.submit(SetParameters(TOKEN, changed, due_ms, NOW), "set")
        assert done.outcome.code == 0
        await until(lambda: in_force(exchange).fee == 0.001)
        await service.settled()
        before = exchange.journal_length
        await asyncio.sleep(0.6)
        assert exchange.journal_length == before
        await service.stop()

    asyncio.run(story())
    assert exchange.memory.tokens[TOKEN].versions.in_force.version == 2
    assert check_database(exchange.store).faults == []


def test_a_pause_blocks_nobody_who_wants_to_leave(exchange: Exchange) -> None:
    """No opening is taken; closes, cancels, redemptions asked for and withdrawals are."""
    do = exchange.execute
    bought = do(opening(ONE // 10), "open").outcome
    asked = do(Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, ONE, NOW), "ask").outcome
    assert do(Pause(TOKEN, NOW), "pause").outcome.code == 0
    assert do(opening(ONE // 10), "again").outcome.code == Reject.PAUSED
    assert do(Cancel(TOKEN, "provider", asked.row, NOW), "cancel").outcome.code == 0
    sold = do(Close(TOKEN, "buyer", bought.row, ONE // 20, NOW), "close").outcome
    assert (sold.code, sold.queued) == (0, False)
    waits = Close(TOKEN, "buyer", bought.row, ONE // 20, NOW + 60_000)
    assert do(waits, "queue").outcome.queued  # on a stale index, as at any time
    tick(exchange, NOW + 61_000)
    (waited,) = exchange.waiting("BTC")
    assert do(waited, f"/fill/{waited.order}").outcome.code == 0
    assert do(Withdraw(TOKEN, "buyer", ONE, NOW + 61_000), "withdraw").outcome.code == 0
    assert do(Resume(TOKEN, NOW + 61_000), "resume").outcome.code == 0
    assert do(opening(ONE // 10, NOW + 61_000), "at last").outcome.code == 0
