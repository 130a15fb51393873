"""What orders, withdrawals and references ask of the writer beyond a token's state."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from amm.units import MINUTE_MS, ONE
from api import exchange as writer
from api.dispatch import Done, execute
from api.exchange import Exchange, QuarantinedError, QueueError, fill_key
from api.journal import read_outcome
from api.memory import Memory
from api.quoting import largest, quote_close, ticker_of
from api.recovery import check_database
from api.replay import state_digest
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from tests.api.conftest import START_MS, TOKEN, tick
from vaults.commands import (
    Cancel,
    Close,
    Command,
    Credit,
    Debit,
    ListToken,
    Open,
    Outcome,
    Pause,
    PublishSurface,
    Request,
    Resume,
    SetSelfFunding,
    Withdraw,
)
from vaults.moves import RequestKind
from vaults.rejects import Reject

NOW = START_MS + MINUTE_MS + 1_000
STALE = START_MS + 3 * MINUTE_MS
"""Two minutes after the only index."""
FRESH = START_MS + 4 * MINUTE_MS


def opening(**changes: object) -> Open:
    """Return an order the seed alone can take."""
    values = {
        "token": TOKEN,
        "account": "buyer",
        "underlying": "BTC",
        "kind": "call",
        "strike_e8": 100_000 * ONE,
        "notional": ONE // 10,
        "limit_total": ONE,
        "now_ms": NOW,
    }
    return Open(**(values | changes))  # type: ignore[arg-type]


def restarted(exchange: Exchange) -> Exchange:
    """Return an exchange that has read back what was committed; the other one is dead."""
    path = exchange.store.url
    exchange.store.close()
    return Exchange(open_store(path))


@pytest.fixture
def reopen(exchange: Exchange) -> Iterator[Callable[[], Exchange]]:
    """Kill the writer and start another on its database."""
    current = [exchange]

    def again() -> Exchange:
        current.append(restarted(current.pop()))
        return current[0]

    yield again
    current[0].store.close()


@pytest.fixture
def position(exchange: Exchange) -> int:
    """Hold a tenth of a call."""
    bought = exchange.execute(opening(), "open").outcome
    assert bought.code == 0
    exchange.commit()
    return bought.row


def sale(position: int, notional: int = ONE // 10, **changes: object) -> Close:
    """Return an order to sell on a stale mark."""
    return replace(Close(TOKEN, "buyer", position, notional, STALE), **changes)  # type: ignore[arg-type]


def fill_waiting(exchange: Exchange, underlying: str = "BTC") -> list[Outcome]:
    """Carry out what waits, as the loop does after each tick."""
    return [
        exchange.execute(close, fill_key(close.order)).outcome
        for close in exchange.waiting(underlying)
    ]


def assert_sound(exchange: Exchange) -> None:
    """The journal explains every row."""
    exchange.commit()
    assert check_database(exchange.store).faults == []


# -- the queue


def test_a_close_on_a_stale_mark_waits_for_the_next_index(
    exchange: Exchange, position: int
) -> None:
    """Nothing moves until then; the number of the order is that of its record."""
    before = state_digest(exchange)
    answer = exchange.execute(sale(position), "sell")
    assert answer.outcome == Outcome(row=position, queued=True, series=0)
    assert answer.moves == {}
    assert state_digest(exchange) == before
    assert exchange.waiting("BTC") == exchange.waiting("ETH") == []
    tick(exchange, FRESH, btc=101_000)
    assert exchange.waiting("ETH") == []
    (close,) = exchange.waiting("BTC")
    assert close == sale(position, order=answer.record.sequence, now_ms=FRESH)
    (filled,) = fill_waiting(exchange)
    assert (filled.code, filled.notional, filled.queued) == (0, ONE // 10, False)
    assert filled.index_e8 == 101_000 * ONE
    assert fill_waiting(exchange) == []
    assert exchange.execute(sale(position), "sell").outcome.queued
    assert_sound(exchange)


def test_it_is_filled_at_what_a_close_then_would_be(exchange: Exchange, position: int) -> None:
    """Waiting earns and costs nothing."""
    exchange.commit()
    exchange.execute(sale(position), "sell")
    tick(exchange, FRESH, btc=99_500)
    (close,) = exchange.waiting("BTC")
    queued = exchange.execute(close, f"/fill/{close.order}").outcome
    exchange._drop_batch()  # noqa: SLF001 - the same prices once more, without the queue
    tick(exchange, FRESH, btc=99_500)
    straight = exchange.execute(sale(position, now_ms=FRESH), "straight").outcome
    assert straight == queued


@pytest.mark.parametrize("commits", [(), ("queued",), ("queued", "ticked"), ("ticked",)])
def test_the_queue_survives_the_writer(
    exchange: Exchange,
    position: int,
    reopen: Callable[[], Exchange],
    commits: tuple[str, ...],
) -> None:
    """Killed after the queueing, or between the tick and the filling: what was committed waits."""
    exchange.execute(sale(position), "sell")
    if "queued" in commits:
        exchange.commit()
        exchange = reopen()
    tick(exchange, FRESH)
    if "ticked" in commits:
        exchange.commit()
        exchange = reopen()
    if not commits:
        exchange = reopen()
        assert exchange.memory.queue == {}
        assert exchange.waiting("BTC") == []
    else:
        assert [each.code for each in fill_waiting(exchange)] == [0]
        exchange.commit()
        exchange = reopen()
        assert exchange.memory.queue == {}
    assert_sound(exchange)


def test_orders_are_filled_as_they_came_and_the_second_finds_nothing_left(
    exchange: Exchange, position: int
) -> None:
    """Both asked for all of it; whether filled or refused, neither waits any more."""
    exchange.execute(sale(position), "first")
    exchange.execute(sale(position, ONE // 20), "second")
    exchange.commit()
    tick(exchange, FRESH)
    assert [each.code for each in fill_waiting(exchange)] == [0, Reject.POSITION_UNKNOWN]
    assert exchange.memory.queue == {}
    assert_sound(exchange)


def test_a_part_may_be_more_than_is_left(exchange: Exchange, position: int) -> None:
    exchange.execute(sale(position, ONE // 20), "first")
    exchange.execute(sale(position), "second")
    tick(exchange, FRESH)
    codes = [each.code for each in fill_waiting(exchange)]
    assert codes == [0, Reject.SIZE_EXCEEDS_POSITION]
    assert_sound(exchange)


def test_only_what_could_be_sold_is_queued(exchange: Exchange, position: int) -> None:
    """Account, position and size are checked before the index."""
    wrong = {
        sale(position, account="stranger"): Reject.ACCOUNT_UNKNOWN,
        sale(position, account="provider"): Reject.POSITION_UNKNOWN,
        sale(position, 0): Reject.AMOUNT_NOT_POSITIVE,
        sale(position, ONE): Reject.SIZE_EXCEEDS_POSITION,
        sale(position, expires_ms=STALE - 1): Reject.EXPIRED,
    }
    for number, (command, code) in enumerate(wrong.items()):
        assert exchange.execute(command, f"wrong-{number}").outcome.code == code
    assert exchange.memory.queue == {}


def test_a_close_may_ask_for_an_index_that_is_not_there_yet(
    exchange: Exchange, position: int
) -> None:
    """It waits for one published late enough, however fresh the one in force."""
    order = sale(position, now_ms=NOW, fill_after_ms=FRESH + 250)
    assert exchange.execute(order, "sell").outcome.queued
    tick(exchange, FRESH)
    assert exchange.waiting("BTC") == []
    tick(exchange, FRESH + 250)
    assert [each.code for each in fill_waiting(exchange)] == [0]
    straight = replace(opening(), now_ms=FRESH + 250)
    bought = exchange.execute(straight, "again").outcome.row
    exact = Close(TOKEN, "buyer", bought, ONE // 10, FRESH + 250, fill_after_ms=FRESH + 250)
    assert exchange.execute(exact, "at-once").outcome.notional == ONE // 10


def test_a_surface_that_is_not_in_force_yet_makes_a_close_wait(
    exchange: Exchange, position: int
) -> None:
    """As for whoever would trade on the old one."""
    shape = PublishSurface("BTC", 500_000_000, 5_000_000_000, -600_000_000, 10**9, NOW)
    assert exchange.execute(shape, "surface").outcome.code == 0
    assert exchange.execute(sale(position, now_ms=NOW), "sell").outcome.queued
    assert exchange.waiting("BTC", NOW) == []
    tick(exchange, FRESH)
    assert [each.code for each in fill_waiting(exchange)] == [0]


def test_what_waits_may_expire(exchange: Exchange, position: int) -> None:
    """It is refused then, and is queued no longer."""
    exchange.execute(sale(position, expires_ms=FRESH - 1), "sell")
    tick(exchange, FRESH)
    assert [each.code for each in fill_waiting(exchange)] == [Reject.EXPIRED]
    assert exchange.memory.queue == {}
    assert_sound(exchange)


def test_nothing_but_what_waits_is_carried_out(exchange: Exchange, position: int) -> None:
    """Neither another number nor another size, and not before its index is fresh."""
    number = exchange.execute(sale(position), "sell").record.sequence
    length = exchange.journal_length
    for order, key in ((sale(position, order=number), "early"), (sale(position, order=1), "none")):
        with pytest.raises(QueueError):
            exchange.execute(order, key)
    assert exchange.journal_length == length
    tick(exchange, FRESH)
    with pytest.raises(QueueError):
        exchange.execute(sale(position, ONE // 20, order=number, now_ms=FRESH), "part")
    assert list(exchange.memory.queue) == [number]
    key = f"/fill/{number}"
    filled = exchange.execute(sale(position, order=number, now_ms=FRESH), key).outcome
    assert exchange.execute(sale(position, order=number, now_ms=FRESH + 1), key).outcome == filled


def test_one_that_makes_a_kernel_fail_holds_nobody_up(
    exchange: Exchange, position: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays queued, and is left out until another process has looked at it."""
    other = exchange.execute(opening(strike_e8=101_000 * ONE), "other").outcome.row
    first = exchange.execute(sale(position), "first").record.sequence
    second = exchange.execute(sale(other), "second").record.sequence
    tick(exchange, FRESH)
    exchange.commit()

    def fails_for_the_first(memory: Memory, command: Command, sequence: int) -> Done:
        assert not (isinstance(command, Close) and command.position_id == position)
        return execute(memory, command, sequence)

    with monkeypatch.context() as patch:
        patch.setattr(writer, "execute", fails_for_the_first)
        assert [each.order for each in exchange.waiting("BTC")] == [first, second]
        with pytest.raises(QuarantinedError):
            fill_waiting(exchange)
        assert [each.order for each in exchange.waiting("BTC")] == [second]
        assert [each.code for each in fill_waiting(exchange)] == [0]
    assert list(exchange.memory.queue) == [first]
    assert_sound(exchange)


# -- the order's own terms


def test_an_opening_waits_for_no_index(exchange: Exchange) -> None:
    """It is refused, with what it wanted and what there is; the caller decides when to send it."""
    order = opening(fill_after_ms=START_MS + MINUTE_MS + 1)
    refused = exchange.execute(order, "early").outcome
    assert refused.code == Reject.NO_FRESH_INDEX
    assert (refused.limit, refused.actual) == (order.fill_after_ms, START_MS + MINUTE_MS)
    exact = opening(fill_after_ms=START_MS + MINUTE_MS)
    filled = exchange.execute(exact, "late").outcome
    assert (filled.code, filled.index_e8) == (0, 100_000 * ONE)


def test_an_order_expires_after_its_time_and_not_at_it(exchange: Exchange, position: int) -> None:
    assert exchange.execute(opening(expires_ms=NOW), "in-time").outcome.code == 0
    late = exchange.execute(opening(expires_ms=NOW - 1), "late").outcome
    assert (late.code, late.limit, late.actual) == (Reject.EXPIRED, NOW - 1, NOW)
    sold = exchange.execute(sale(position, now_ms=NOW, expires_ms=NOW), "sold").outcome
    assert sold.code == 0


def test_when_an_order_was_taken_is_no_part_of_it(exchange: Exchange) -> None:
    """A key sent again has its answer, and the same record; what it is called does count."""
    first = exchange.execute(opening(client_id="mine"), "order")
    assert read_outcome(first.record.outcome) == first.outcome
    assert first.record.now_ms == NOW
    for _ in range(2):
        later = opening(client_id="mine", now_ms=NOW + 5, fill_after_ms=NOW + 255)
        again = exchange.execute(later, "order")
        assert (again.outcome, again.record) == (first.outcome, first.record)
        assert exchange.recall("order") == first.record
        exchange.commit()
    assert exchange.recall("nothing") is None


def test_a_paused_token_takes_no_openings_and_keeps_nobody_in(
    exchange: Exchange, position: int, reopen: Callable[[], Exchange]
) -> None:
    """Closes, withdrawals and requests go on, across a restart, until it is resumed."""
    exchange.execute(ListToken("NVDA.M", NOW), "second")
    for number in range(2):
        assert exchange.execute(Pause(TOKEN, NOW), f"pause-{number}").outcome.code == 0
    exchange.commit()
    exchange = reopen()
    do = exchange.execute
    assert exchange.memory.paused == {TOKEN}
    assert do(opening(underlying="DOGE"), "paused").outcome.code == Reject.PAUSED
    assert do(sale(position, ONE // 20, now_ms=NOW), "sell").outcome.code == 0
    asked = do(Request(TOKEN, "provider", RequestKind.DEPOSIT_MAIN, ONE, NOW), "ask").outcome
    assert do(Cancel(TOKEN, "provider", asked.row, NOW), "cancel").outcome.code == 0
    assert do(Withdraw(TOKEN, "provider", ONE, NOW), "leave").outcome.code == 0
    assert_sound(exchange)
    assert do(Resume(TOKEN, NOW), "resume").outcome.code == 0
    assert do(opening(), "resumed").outcome.code == 0
    assert_sound(exchange)
    assert reopen().memory.paused == set()


def test_only_the_owner_says_how_a_position_pays(exchange: Exchange, position: int) -> None:
    """The flag is in the row, in the journal, and back again."""
    row = exchange.memory.tokens[TOKEN].state.positions[0]
    assert (int(row.position_id), int(row.self_funding)) == (position, 0)
    for value in (True, False, True):
        command = SetSelfFunding(TOKEN, "buyer", position, value, NOW)
        answer = exchange.execute(command, f"set-{value}-{exchange.journal_length}").outcome
        assert (answer.code, answer.row) == (0, position)
        assert exchange.memory.tokens[TOKEN].state.positions[0].self_funding == value
        assert_sound(exchange)
    foreign = SetSelfFunding(TOKEN, "provider", position, False, NOW)
    assert exchange.execute(foreign, "foreign").outcome.code == Reject.POSITION_UNKNOWN


# -- questions


def test_a_sale_is_quoted_by_names(exchange: Exchange, position: int) -> None:
    """As it is then done; whoever is not the owner is told no more than that."""
    before = state_digest(exchange)
    asked = (exchange.memory, TOKEN, "buyer", position, ONE // 20, NOW)
    told = quote_close(*asked)
    stranger = quote_close(exchange.memory, TOKEN, "stranger", position, ONE // 20, NOW)
    assert stranger.refusal.code == Reject.ACCOUNT_UNKNOWN
    assert state_digest(exchange) == before
    sold = exchange.execute(sale(position, ONE // 20, now_ms=NOW), "sell").outcome
    assert (sold.amount, sold.fee, sold.notional) == (told.total, told.fee, told.notional)
    with pytest.raises(KeyError):
        quote_close(exchange.memory, "NVDA.M", "buyer", position, 1, NOW)


def test_the_largest_order_is_found_by_names(exchange: Exchange) -> None:
    """It is taken, and a base unit more is not; without an account the pool alone decides."""
    most = largest(exchange.memory, opening())
    assert ONE // 10 < most < ONE
    assert largest(exchange.memory, opening(account="nobody")) == most
    over = opening(notional=most + 1, limit_total=1_000 * ONE)
    assert exchange.execute(over, "over").outcome.code == Reject.ACCOUNT_SHARE
    exact = opening(notional=most, limit_total=1_000 * ONE)
    assert exchange.execute(exact, "exact").outcome.code == 0
    assert largest(exchange.memory, opening()) == 0


@pytest.mark.usefixtures("position")
def test_a_series_is_shown_by_names(exchange: Exchange) -> None:
    """Traded or not, but not without an index."""
    memory = exchange.memory
    held = ticker_of(memory, TOKEN, "BTC", "call", 100_000 * ONE)
    assert (held.is_listed, held.open_notional) == (True, ONE // 10)
    put = ticker_of(memory, TOKEN, "ETH", "put", 4_000 * ONE)
    assert (put.is_listed, put.open_notional) == (False, 0)
    assert -1.0 < put.delta < 0.0 < held.delta < 1.0
    for underlying, kind, strike in (("BTC", "straddle", ONE), ("BTC", "call", 0)):
        with pytest.raises(ValueError, match="no mark of BTC"):
            ticker_of(memory, TOKEN, underlying, kind, strike)
    before_prices = Memory(("BTC", "ETH"))
    before_prices.list_token(ListToken(TOKEN, NOW))
    with pytest.raises(ValueError, match="no mark of ETH"):
        ticker_of(before_prices, TOKEN, "ETH", "put", 4_000 * ONE)


# -- money in and out


def test_a_reference_is_used_once_on_the_whole_exchange(
    exchange: Exchange, reopen: Callable[[], Exchange]
) -> None:
    """Whatever the token, the account or the direction; none at all is no reference."""
    exchange.execute(ListToken("NVDA.M", NOW), "second")
    credit = Credit(TOKEN, "buyer", ONE, NOW, "0xabc")
    sequence = exchange.execute(credit, "credit").record.sequence
    assert exchange.memory.references == {"0xabc": sequence}
    number = exchange.execute(Withdraw(TOKEN, "buyer", ONE, NOW), "withdraw").outcome.row
    again = (
        replace(credit, account="provider"),
        replace(credit, token="NVDA.M", amount=0),
        Debit(TOKEN, number, NOW, "0xabc"),
        Debit(TOKEN, 99, NOW, "0xabc"),
    )
    for attempt in range(2):
        before = state_digest(exchange)
        for place, command in enumerate(again):
            refused = exchange.execute(command, f"again-{attempt}-{place}").outcome
            assert refused.code == Reject.DUPLICATE_REFERENCE
        assert state_digest(exchange) == before
        assert_sound(exchange)
        exchange = reopen()
    for place in range(2):
        assert exchange.execute(Credit(TOKEN, "buyer", 1, NOW), f"none-{place}").outcome.code == 0
    refused = exchange.execute(Credit(TOKEN, "buyer", 0, NOW, "0xdef"), "refused").outcome
    assert refused.code == Reject.AMOUNT_NOT_POSITIVE
    assert exchange.execute(Credit(TOKEN, "buyer", 1, NOW, "0xdef"), "good").outcome.code == 0
    assert_sound(exchange)


def test_a_withdrawal_leaves_once(exchange: Exchange, reopen: Callable[[], Exchange]) -> None:
    """By its number, counted over all tokens, with the amount that was asked for."""
    do = exchange.execute
    do(ListToken("NVDA.M", NOW), "second")
    do(Credit("NVDA.M", "buyer", ONE, NOW), "fund")
    refused = do(Withdraw(TOKEN, "buyer", 10**6 * ONE, NOW), "too-much").outcome
    assert (refused.code, refused.row) == (Reject.BALANCE, -1)
    first = do(Withdraw(TOKEN, "buyer", 3 * ONE, NOW), "first").outcome
    second = do(Withdraw("NVDA.M", "buyer", ONE, NOW), "second-one").outcome
    assert (first.row, second.row) == (1, 2)
    exchange.commit()
    exchange = reopen()
    do = exchange.execute
    custody = int(exchange.memory.tokens[TOKEN].state.pool[0].custody)
    assert do(Debit(TOKEN, 2, NOW), "foreign").outcome.code == Reject.WITHDRAWAL_UNKNOWN
    left = do(Debit(TOKEN, 1, NOW + 1, "0x1"), "debit").outcome
    assert (left.code, left.row, left.amount) == (0, 1, 3 * ONE)
    assert exchange.memory.tokens[TOKEN].state.pool[0].custody == custody - 3 * ONE
    for number in range(2):
        again = do(Debit(TOKEN, 1, NOW + 2, f"0x{number + 2}"), f"again-{number}").outcome
        assert again.code == Reject.WITHDRAWAL_COMPLETED
        exchange.commit()
        exchange = reopen()
        do = exchange.execute
    one, two = exchange.memory.withdrawals
    assert one == (TOKEN, "buyer", 3 * ONE, NOW, NOW + 1, "0x1", "")
    assert two == ("NVDA.M", "buyer", ONE, NOW, 0, "", "")
    assert_sound(exchange)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("DELETE FROM waiting", "queued closes"),
        ("UPDATE reference SET sequence = sequence + 1", "external references"),
        ("UPDATE withdrawal SET amount = amount + 1", "withdrawals"),
        ("UPDATE token SET is_paused = 0", "paused tokens"),
    ],
)
def test_a_booking_changed_by_hand_is_found(
    exchange: Exchange, position: int, change: str, fault: str, database: DatabaseUrl
) -> None:
    """`db check` compares each of them with what the journal implies."""
    exchange.execute(Credit(TOKEN, "buyer", ONE, NOW, "0xabc"), "credit")
    exchange.execute(Withdraw(TOKEN, "buyer", ONE, NOW), "withdraw")
    exchange.execute(Pause(TOKEN, NOW), "pause")
    exchange.execute(sale(position), "sell")
    exchange.checkpoint()
    assert_sound(exchange)
    with exchange.store.transaction() as connection:
        connection.exec_driver_sql(change)
    assert exchange.store.url == database
    assert check_database(exchange.store).faults == [fault]


def test_one_account_cannot_fill_the_queue(exchange: Exchange, position: int) -> None:
    """A hundred of its closes may wait, of however little each."""
    for number in range(100):
        assert exchange.execute(sale(position, 1), f"wait-{number}").outcome.queued
    refused = exchange.execute(sale(position, 1), "one more").outcome
    assert (refused.code, refused.limit, refused.actual) == (Reject.QUEUE_LIMIT, 100, 101)
    tick(exchange, STALE + 1_000)
    assert len(fill_waiting(exchange)) == 100
    assert_sound(exchange)


def test_a_position_pays_as_its_last_order_said(exchange: Exchange, position: int) -> None:
    """So that who buys more without a day of premium has a position that needs none."""
    row = exchange.memory.tokens[TOKEN].state.positions[0]
    assert row.self_funding == 0
    more = exchange.execute(opening(notional=ONE // 50, self_funding=True), "more").outcome
    assert more.row == position
    assert exchange.memory.tokens[TOKEN].state.positions[0].self_funding == 1
    assert exchange.execute(opening(notional=ONE // 50), "still more").outcome.code == 0
    assert exchange.memory.tokens[TOKEN].state.positions[0].self_funding == 0
    assert_sound(exchange)


def test_a_quote_for_an_account_counts_its_balance(exchange: Exchange) -> None:
    """It says what the order would be refused for."""
    exchange.execute(Credit(TOKEN, "poor", 1_000, NOW), "credit")
    asked = opening(account="poor")
    refusal = exchange.quote(asked).refusal
    done = exchange.execute(asked, "order").outcome
    assert (refusal.code, refusal.limit, refusal.actual) == (done.code, done.limit, done.actual)
    assert done.code == Reject.BALANCE
    assert exchange.quote(opening()).refusal.code == 0
