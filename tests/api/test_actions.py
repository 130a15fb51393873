"""Corporate actions and generations through the writer: windows, queues, names, recovery."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from amm.units import MINUTE_MS, ONE
from api.actions import WINDOW_MS
from api.clock import Clock
from api.exchange import Exchange, QueueError
from api.instruments import Series, parse_numbered, parse_series, position_name
from api.recovery import check_database
from api.replay import state_digest
from api.service import Service
from api.storage.store import open_store
from tests.api.conftest import START_MS, TOKEN, tick, until
from vaults.commands import (
    DIVIDEND,
    SPLIT,
    AdoptParameters,
    AnnounceAction,
    ApplyAction,
    Cancel,
    Check,
    Close,
    Command,
    Credit,
    Debit,
    Flush,
    ListToken,
    MoveBalance,
    Open,
    Outcome,
    Request,
    SetParameters,
    SetSelfFunding,
    Withdraw,
    WithdrawAction,
)
from vaults.invariants import first_violation
from vaults.ledger import post
from vaults.moves import Flow, Move, RequestKind
from vaults.params import SUPPLY_MAX, Parameters
from vaults.rejects import Reject

NOW = START_MS + MINUTE_MS + 1_000
DUE = NOW + 5_000
NEXT = f"{TOKEN}~2"


def do(exchange: Exchange, command: Command) -> Outcome:
    """Execute a command under a key of its own and check the invariants."""
    outcome = exchange.execute(command, f"k{exchange.journal_length}").outcome
    memory = exchange.memory
    for token in memory.tokens.values():
        assert first_violation(token.state, token.rules, memory.market) == 0
    return outcome


def announce(exchange: Exchange, action: str = SPLIT, **changes: Any) -> Outcome:
    """Announce a split three for two, or what is given."""
    given = {"numerator": 3, "denominator": 2, "effective_ms": DUE, "now_ms": NOW} | changes
    return do(exchange, AnnounceAction(TOKEN, action, **given))


def apply(exchange: Exchange, now_ms: int = DUE, reference: str = "") -> Outcome:
    """Carry it out."""
    return do(exchange, ApplyAction(TOKEN, now_ms, reference))


def opening(notional: int = ONE // 10, now_ms: int = NOW, token: str = TOKEN) -> Open:
    """Return an order that a pool with nothing but its seed can take."""
    return Open(token, "buyer", "BTC", "call", 100_000 * ONE, notional, ONE, now_ms)


def balance(exchange: Exchange, account: str, token: str = TOKEN) -> int:
    """Return an account's balance."""
    slot = exchange.memory.slot_of(token, account)
    return int(exchange.memory.tokens[token].state.accounts[slot].balance)


def custody(exchange: Exchange, token: str = TOKEN) -> int:
    """Return a token's custody."""
    return exchange.memory.custody_of(token)


def exhaust(exchange: Exchange, token: str = TOKEN) -> None:
    """Latch a token as a flush would that finds nothing left."""
    post(exchange.memory.tokens[token].state, int(Move.EXHAUST), 0, 0, 0, 0, 0)


def assert_rebuilt(exchange: Exchange) -> None:
    """Check that the journal alone, and then the rows it was saved as, give what is in memory."""
    exchange.commit()
    digest, known = state_digest(exchange), exchange.memory
    exchange.store.close()
    for _ in range(2):
        again = Exchange(open_store(exchange.store.url))
        assert again.memory.differences(known) == []
        assert state_digest(again) == digest
        assert check_database(again.store).faults == []
        again.checkpoint()
        again.store.close()


# -- the window


HALTED: list[Command] = [
    Credit(TOKEN, "buyer", ONE, DUE, "0xlate"),
    opening(now_ms=DUE),
    Close(TOKEN, "buyer", 1, ONE // 100, DUE),
    Check(TOKEN, 1, DUE),
    Withdraw(TOKEN, "buyer", ONE, DUE),
    Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, ONE, DUE),
    Cancel(TOKEN, "provider", 0, DUE),
    SetSelfFunding(TOKEN, "buyer", 1, True, DUE),
    MoveBalance(TOKEN, NEXT, "buyer", ONE, DUE),
    Flush(TOKEN, DUE),
    SetParameters(TOKEN, Parameters(fee=0.001), DUE, DUE),
    AdoptParameters(TOKEN, 2, DUE),
    AnnounceAction(TOKEN, SPLIT, DUE + WINDOW_MS, DUE, 2, 1),
]


def test_trading_waits_for_an_action(exchange: Exchange) -> None:
    """From its time on, ten minutes at most; what has been paid out and prices go on."""
    do(exchange, opening())
    do(exchange, Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, ONE, NOW))
    paid = do(exchange, Withdraw(TOKEN, "provider", ONE, NOW)).row
    announce(exchange)
    assert do(exchange, opening(ONE // 50, DUE - 1)).code == 0
    for at_ms in (DUE, DUE + WINDOW_MS - 1):
        for command in HALTED:
            before = state_digest(exchange)
            refused = do(exchange, replace(command, now_ms=at_ms))
            assert (refused.code, refused.limit) == (Reject.CORPORATE_ACTION, DUE + WINDOW_MS)
            assert state_digest(exchange) == before
    assert do(exchange, Debit(TOKEN, paid, DUE)).code == 0
    tick(exchange, DUE + WINDOW_MS)
    assert do(exchange, opening(ONE // 50, DUE + WINDOW_MS)).code == 0
    late = Credit(TOKEN, "buyer", ONE, DUE + WINDOW_MS, "0xlate")
    assert do(exchange, late).code == 0  # its reference was not spent on the refusal
    assert apply(exchange, DUE + WINDOW_MS).code == Reject.ACTION_UNKNOWN
    assert_rebuilt(exchange)


def test_when_an_action_can_be_done(exchange: Exchange) -> None:
    assert apply(exchange, NOW).code == Reject.ACTION_UNKNOWN
    announce(exchange)
    assert apply(exchange, DUE - 1).code == Reject.NOT_DUE
    assert apply(exchange).code == 0
    assert apply(exchange, DUE + 1).code == Reject.ACTION_UNKNOWN
    assert do(exchange, opening(now_ms=DUE + 1)).code == 0


def test_an_announcement_is_replaced_until_its_window(exchange: Exchange) -> None:
    assert announce(exchange).row == 1
    assert announce(exchange, numerator=2, denominator=1).row == 1
    (action,) = exchange.memory.actions
    assert (action.numerator, action.status(NOW), action.status(DUE)) == (2, "announced", "open")
    tick(exchange, DUE + WINDOW_MS)
    late = DUE + WINDOW_MS
    assert action.status(late) == "lapsed"
    rested = late + WINDOW_MS
    refused = announce(exchange, effective_ms=rested - 1, now_ms=late)
    assert (refused.code, refused.limit) == (Reject.CORPORATE_ACTION, rested)
    assert announce(exchange, effective_ms=rested, now_ms=late).row == 2
    assert apply(exchange, rested).code == 0
    assert [each.status(rested) for each in exchange.memory.actions] == ["lapsed", "applied"]
    assert_rebuilt(exchange)


def test_an_action_is_taken_back(exchange: Exchange) -> None:
    """Before its window at no cost, within it for the rest of it; then there is none."""
    assert do(exchange, WithdrawAction(TOKEN, NOW)).code == Reject.ACTION_UNKNOWN
    assert announce(exchange).row == 1
    assert do(exchange, WithdrawAction(TOKEN, NOW)).code == 0
    assert announce(exchange).row == 2
    assert do(exchange, opening(now_ms=DUE)).code == Reject.CORPORATE_ACTION
    exchange.checkpoint()
    assert do(exchange, WithdrawAction(TOKEN, DUE + 1)).code == 0
    assert apply(exchange, DUE + 1).code == Reject.ACTION_UNKNOWN
    assert do(exchange, WithdrawAction(TOKEN, DUE + 1)).code == Reject.ACTION_UNKNOWN
    assert do(exchange, opening(now_ms=DUE + 1)).code == 0
    again = announce(exchange, effective_ms=DUE + 2, now_ms=DUE + 1)
    assert (again.code, again.limit) == (Reject.CORPORATE_ACTION, DUE + 1 + WINDOW_MS)
    assert [each.status(DUE + 1) for each in exchange.memory.actions] == ["withdrawn"] * 2
    assert_rebuilt(exchange)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"numerator": 2, "denominator": 2}, Reject.RATIO),
        ({"numerator": 65, "denominator": 1}, Reject.RATIO),
        ({"numerator": 0}, Reject.RATIO),
        ({"effective_ms": NOW - 1}, Reject.PARAMETERS_INVALID),
        ({"action": "merger"}, Reject.PARAMETERS_INVALID),
        ({"action": DIVIDEND}, Reject.AMOUNT_NOT_POSITIVE),
        ({"action": DIVIDEND, "amount": SUPPLY_MAX + 1}, Reject.SUPPLY_LIMIT),
    ],
)
def test_what_cannot_be_announced(
    exchange: Exchange, changes: dict[str, Any], code: Reject
) -> None:
    assert announce(exchange, **changes).code == code
    assert exchange.memory.actions == []


# -- splits


def test_a_split_reaches_all_there_is(exchange: Exchange) -> None:
    """Balances, positions, withdrawals, queued closes, parameters; what was completed stays."""
    bought = do(exchange, opening()).row
    done = do(exchange, Withdraw(TOKEN, "buyer", 7, NOW)).row
    do(exchange, Debit(TOKEN, done, NOW))
    for amount in (3, 5):
        do(exchange, Withdraw(TOKEN, "provider", amount, NOW))
    do(exchange, SetParameters(TOKEN, Parameters(fee=0.001), DUE + 9, NOW))
    stale = NOW + 20_000
    waits = Close(TOKEN, "buyer", bought, ONE // 10, stale, min_total=3)
    assert do(exchange, waits).queued
    exchange.checkpoint()  # so that the next one has to change what it saved
    held, all_custody = balance(exchange, "provider"), custody(exchange)
    announce(exchange, effective_ms=stale + 1, now_ms=stale)
    assert apply(exchange, stale + 2).code == 0
    assert balance(exchange, "provider") == held * 3 // 2
    assert custody(exchange) == all_custody * 3 // 2
    assert [each.amount for each in exchange.memory.withdrawals] == [7, 4, 7]
    (waiting,) = exchange.memory.queue.values()
    assert (waiting.command.notional, waiting.command.min_total) == (ONE // 10 * 3 // 2, 4)
    versions = exchange.memory.tokens[TOKEN].versions
    assert versions.in_force.parameters == Parameters(
        seed=3 * ONE // 2, notional_min=ONE // 100 * 3 // 2
    )
    assert versions.announced is not None
    assert versions.announced.parameters == versions.in_force.parameters._replace(fee=0.001)
    assert [each.version for each in versions.adopted] == [1, 3]
    assert versions.announced.version == 4
    tick(exchange, stale + 3)
    (ready,) = exchange.waiting("BTC")
    sold = exchange.execute(ready, f"/fill/{ready.order}").outcome
    assert (sold.code, sold.notional) == (0, ONE // 10 * 3 // 2)
    assert do(exchange, Debit(TOKEN, 2, stale + 3)).amount == 4
    assert do(exchange, Debit(TOKEN, 3, stale + 3)).amount == 7
    assert do(exchange, AdoptParameters(TOKEN, 4, stale + 3)).code == 0
    assert_rebuilt(exchange)


def test_a_queued_close_is_saved_as_a_split_has_left_it(exchange: Exchange) -> None:
    """Its row was written before."""
    bought = do(exchange, opening()).row
    stale = NOW + 20_000
    do(exchange, Close(TOKEN, "buyer", bought, ONE // 10, stale))
    exchange.checkpoint()
    announce(exchange, effective_ms=stale, now_ms=stale, numerator=2, denominator=1)
    apply(exchange, stale)
    (waiting,) = exchange.memory.queue.values()
    assert waiting.command.notional == ONE // 5
    assert_rebuilt(exchange)


def test_a_queued_close_waits_for_the_window_to_end(exchange: Exchange) -> None:
    bought = do(exchange, opening()).row
    stale = NOW + 20_000
    do(exchange, Close(TOKEN, "buyer", bought, ONE // 10, stale))
    announce(exchange, effective_ms=stale, now_ms=stale)
    tick(exchange, stale + 1)
    assert exchange.waiting("BTC") == []
    (waiting,) = exchange.memory.queue.values()
    with pytest.raises(QueueError):
        exchange.execute(replace(waiting.command, now_ms=stale + 1), "too early")
    apply(exchange, stale + 2)
    (ready,) = exchange.waiting("BTC")
    assert exchange.execute(ready, f"/fill/{ready.order}").outcome.code == 0


def test_a_split_that_cannot_be_changes_nothing(exchange: Exchange) -> None:
    """A position would become nothing: when it is announced, and when it is done."""
    do(exchange, SetParameters(TOKEN, Parameters(notional_min=1_000), NOW, NOW))
    do(exchange, AdoptParameters(TOKEN, 2, NOW))
    announce(exchange, numerator=1, denominator=1_000)
    assert do(exchange, opening(1_500)).code == 0
    assert announce(exchange, numerator=1, denominator=1_000).code == Reject.RATIO
    before = state_digest(exchange)
    assert apply(exchange).code == Reject.RATIO
    assert state_digest(exchange) == before
    assert exchange.memory.actions[0].applied_ms == 0
    assert_rebuilt(exchange)


def test_reverse_splits_add_up(exchange: Exchange) -> None:
    """Their product is bound by no parameter: the seed follows, the least notional stops."""
    for number in range(2):
        at_ms = DUE + number
        done = announce(exchange, numerator=1, denominator=200, effective_ms=at_ms, now_ms=at_ms)
        assert done.code == 0
        assert apply(exchange, at_ms).code == 0
    parameters = exchange.memory.tokens[TOKEN].versions.in_force.parameters
    assert (parameters.seed, parameters.notional_min) == (ONE // 40_000, 1_000)
    later = parameters._replace(fee=0.001)
    assert do(exchange, SetParameters(TOKEN, later, DUE + 2, DUE + 2)).code == 0
    assert do(exchange, AdoptParameters(TOKEN, 4, DUE + 2)).code == 0
    assert_rebuilt(exchange)


def test_a_withdrawal_of_which_nothing_is_left_can_be_completed(exchange: Exchange) -> None:
    """And requests can be cancelled: nobody is caught by a reverse split."""
    asked = do(exchange, Withdraw(TOKEN, "buyer", 1, NOW)).row
    kind = RequestKind.DEPOSIT_MAIN
    waits = do(exchange, Request(TOKEN, "provider", kind, 1, NOW)).row
    announce(exchange, numerator=1, denominator=30)
    assert apply(exchange).code == 0
    done = do(exchange, Debit(TOKEN, asked, DUE))
    assert (done.code, done.amount) == (0, 0)
    assert do(exchange, Cancel(TOKEN, "provider", waits, DUE)).code == 0
    assert_rebuilt(exchange)


def test_splits_do_not_overflow(exchange: Exchange) -> None:
    """Custody that credits have filled is split by 64 once, not twice."""
    room = SUPPLY_MAX - custody(exchange) - 1
    do(exchange, Credit(TOKEN, "rich", room, NOW))
    announce(exchange, numerator=64, denominator=1)
    assert apply(exchange).code == 0
    assert balance(exchange, "rich") == room * 64
    again = announce(exchange, numerator=64, denominator=1, effective_ms=DUE + 2, now_ms=DUE + 1)
    assert again.code == Reject.RATIO


def test_orders_that_wait_are_refused_and_not_filled_in_new_units(exchange: Exchange) -> None:
    """What was ordered before a split, and would be filled after it, is refused."""
    service = Service(exchange, Clock(start_ms=NOW), None, 250)

    async def story() -> None:
        await service.start()
        now_ms = service.clock.now_ms()
        order = asyncio.create_task(service.order([(opening(), "order")]))
        await asyncio.sleep(0.02)
        assert service.waiting == 1
        announced = AnnounceAction(TOKEN, SPLIT, now_ms + 60, now_ms, 2, 1)
        assert (await service.submit(announced, "announce")).outcome.code == 0
        await until(lambda: service.clock.now_ms() >= now_ms + 70)
        assert (await service.submit(ApplyAction(TOKEN, 0), "apply")).outcome.code == 0
        (answer,) = await order
        assert not isinstance(answer, Exception)
        assert answer.outcome.code == Reject.CORPORATE_ACTION
        assert service.waiting == 0
        await service.stop()

    asyncio.run(story())
    assert check_database(exchange.store).faults == []


def test_nothing_is_flushed_in_a_window_and_all_is_after_it(exchange: Exchange) -> None:
    """The key of a flush is not spent on a refusal."""
    due = int(exchange.memory.tokens[TOKEN].state.pool[0].next_flush_ms)
    tick(exchange, due - 1_000)
    announce(exchange, effective_ms=due, now_ms=due - 1)
    service = Service(exchange, Clock(start_ms=due), None, 0)

    async def story() -> None:
        await service.start()
        await asyncio.sleep(0.7)
        await service.settled()
        assert exchange.memory.tokens[TOKEN].state.pool[0].flushes == 0
        assert (await service.submit(ApplyAction(TOKEN, 0), "apply")).outcome.code == 0
        await until(lambda: exchange.memory.tokens[TOKEN].state.pool[0].flushes == 1)
        await service.stop()

    asyncio.run(story())


# -- dividends


def test_a_dividend_comes_once_and_to_everybody(exchange: Exchange) -> None:
    do(exchange, Withdraw(TOKEN, "provider", 100 * ONE, NOW))
    do(exchange, Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, 200 * ONE, NOW))
    do(exchange, Credit(TOKEN, "buyer", ONE, NOW, "0xused"))
    before, all_custody = balance(exchange, "provider"), custody(exchange)
    announce(exchange, DIVIDEND, amount=10 * ONE)
    assert apply(exchange, DUE, "0xused").code == Reject.DUPLICATE_REFERENCE
    assert apply(exchange, DUE, "0xdiv").amount == 10 * ONE
    part = 10 * ONE * 1_000 * ONE // all_custody
    assert balance(exchange, "provider") == before + part
    assert custody(exchange) == all_custody + 10 * ONE
    again = do(exchange, Credit(TOKEN, "buyer", ONE, DUE, "0xdiv"))
    assert again.code == Reject.DUPLICATE_REFERENCE
    assert_rebuilt(exchange)


def test_a_dividend_beyond_the_supply_is_refused(exchange: Exchange) -> None:
    announce(exchange, DIVIDEND, amount=SUPPLY_MAX)
    assert apply(exchange).code == Reject.SUPPLY_LIMIT


def test_a_dividend_for_more_accounts_than_a_log_has_room_for(exchange: Exchange) -> None:
    """Every account has its move."""
    for number in range(1_500):
        exchange.execute(Credit(TOKEN, f"many-{number}", ONE, NOW), f"c{number}")
    announce(exchange, DIVIDEND, amount=100 * ONE)
    assert apply(exchange).code == 0
    state = exchange.memory.tokens[TOKEN].state
    held = np.unique(state.accounts.balance[2 : int(state.pool[0].account_count)])
    assert len(held) == 1
    assert held[0] > ONE
    assert int(state.flows[Flow.DIVIDEND]) == 100 * ONE


# -- generations


@pytest.mark.parametrize("name", [f"{TOKEN}~3", f"{TOKEN}~1", f"{TOKEN}~02", "NVDA.M~2", "~2"])
def test_generations_are_listed_in_order(exchange: Exchange, name: str) -> None:
    exhaust(exchange)
    assert do(exchange, ListToken(name, NOW)).code == Reject.GENERATION


def test_the_next_generation_needs_an_exhausted_one(exchange: Exchange) -> None:
    assert do(exchange, ListToken(NEXT, NOW)).code == Reject.GENERATION
    exhaust(exchange)
    assert do(exchange, ListToken(NEXT, NOW)).code == 0
    assert do(exchange, ListToken(f"{TOKEN}~3", NOW)).code == Reject.GENERATION
    assert do(exchange, Credit(NEXT, "buyer", 5 * ONE, NOW)).code == 0
    tick(exchange, NOW + 1)
    assert do(exchange, opening(now_ms=NOW + 1, token=NEXT)).code == 0
    (position,) = exchange.memory.tokens[NEXT].state.positions[:1]
    assert int(position.notional) == ONE // 10


def test_series_and_positions_of_a_generation_have_names() -> None:
    name = f"BTC-{NEXT}-100000-C"
    assert parse_series(name) == Series("BTC", NEXT, "call", 100_000 * ONE)
    assert parse_numbered(position_name(NEXT, 7)) == (NEXT, 7)


def with_two_generations(exchange: Exchange) -> None:
    """Exhaust the first and list the second."""
    exhaust(exchange)
    assert do(exchange, ListToken(NEXT, NOW)).code == 0
    tick(exchange, NOW + 1)


def test_balances_move_between_generations(exchange: Exchange) -> None:
    do(exchange, opening())
    with_two_generations(exchange)
    before, held = custody(exchange), balance(exchange, "buyer")
    moved = do(exchange, MoveBalance(TOKEN, NEXT, "buyer", 3 * ONE, NOW + 1))
    assert (moved.code, moved.amount) == (0, 3 * ONE)
    assert balance(exchange, "buyer", NEXT) == 3 * ONE
    assert before - custody(exchange) == 3 * ONE
    assert 3 * ONE <= held - balance(exchange, "buyer") < 3 * ONE + 1_000  # and premium
    back = do(exchange, MoveBalance(NEXT, TOKEN, "buyer", ONE, NOW + 2))
    assert back.code == 0
    assert balance(exchange, "buyer", NEXT) == 2 * ONE
    exchange.memory.tokens[TOKEN].state.pool[0].exhausted = 0  # the journal never heard of it
    assert_rebuilt(exchange)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (MoveBalance(TOKEN, TOKEN, "buyer", ONE, NOW + 1), Reject.GENERATION),
        (MoveBalance(TOKEN, "NVDA.M", "buyer", ONE, NOW + 1), Reject.GENERATION),
        (MoveBalance(TOKEN, "AAPL.M", "buyer", ONE, NOW + 1), Reject.TOKEN_UNKNOWN),
        (MoveBalance(TOKEN, NEXT, "nobody", ONE, NOW + 1), Reject.ACCOUNT_UNKNOWN),
        (MoveBalance(TOKEN, NEXT, "buyer", 0, NOW + 1), Reject.AMOUNT_NOT_POSITIVE),
        (MoveBalance(TOKEN, NEXT, "buyer", 10**60 // 10**44, NOW + 1), Reject.AMOUNT_TOO_LARGE),
        (MoveBalance(TOKEN, NEXT, "buyer", 2_000 * ONE, NOW + 1), Reject.BALANCE),
        (MoveBalance(TOKEN, NEXT, "buyer", ONE, NOW - 1_000_000), Reject.TIME_NOT_INCREASING),
    ],
)
def test_what_cannot_move(exchange: Exchange, command: MoveBalance, code: Reject) -> None:
    with_two_generations(exchange)
    do(exchange, ListToken("NVDA.M", NOW + 1))
    before = state_digest(exchange)
    assert do(exchange, command).code == code
    assert state_digest(exchange) == before


def test_actions_and_the_supply_limit_are_for_all_generations(exchange: Exchange) -> None:
    with_two_generations(exchange)
    do(exchange, Credit(NEXT, "buyer", 500 * ONE, NOW + 1))
    held = [custody(exchange, name) for name in (TOKEN, NEXT)]
    announce(exchange, now_ms=NOW + 1)
    waits = do(exchange, opening(now_ms=DUE, token=NEXT))
    assert waits.code == Reject.CORPORATE_ACTION
    assert apply(exchange).code == 0
    split = [custody(exchange, name) for name in (TOKEN, NEXT)]
    assert split == [each * 3 // 2 for each in held]
    announce(exchange, DIVIDEND, amount=7 * ONE + 1, now_ms=DUE + 1, effective_ms=DUE + 1)
    assert apply(exchange, DUE + 1).code == 0
    paid = [custody(exchange, name) for name in (TOKEN, NEXT)]
    assert sum(paid) == sum(split) + 7 * ONE + 1
    assert paid[1] == split[1] + (7 * ONE + 1) * split[1] // sum(split)
    room = SUPPLY_MAX - sum(paid)
    full = do(exchange, Credit(NEXT, "rich", room + 1, DUE + 1))
    assert (full.code, full.actual) == (Reject.SUPPLY_LIMIT, SUPPLY_MAX + 1)
    assert do(exchange, Credit(NEXT, "rich", room, DUE + 1)).code == 0


def test_actions_are_announced_by_the_first_name(exchange: Exchange) -> None:
    with_two_generations(exchange)
    refused = do(exchange, AnnounceAction(NEXT, SPLIT, DUE, NOW + 1, 2, 1))
    assert refused.code == Reject.GENERATION
