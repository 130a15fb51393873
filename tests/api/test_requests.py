"""Requests of a provider: newest first, a page at a time, and when they can be expected."""

import pytest

from amm.units import HOUR_MS, MINUTE_MS, ONE
from api.exchange import Exchange
from api.memory import Token
from api.storage.store import open_store
from api.storage.url import DatabaseUrl
from api.views import pools
from api.views.pools import RequestKey, newest_requests, requests_at
from api.views.queue import places
from tests.api.conftest import START_MS, TOKEN, tick
from vaults.commands import Cancel, Credit, Flush, ListToken, Open, Request
from vaults.moves import RequestKind, RequestStatus
from vaults.params import Parameters

pytestmark = pytest.mark.databases
OTHER = "AAPL.M"
NOW = START_MS + MINUTE_MS + 1_000
DAY = Parameters().flush_period_ms
DEPOSIT, REDEEM = RequestKind.DEPOSIT_MAIN, RequestKind.REDEEM_MAIN
INSURE, LEAVE = RequestKind.DEPOSIT_INSURANCE, RequestKind.REDEEM_INSURANCE


def due_of(exchange: Exchange) -> int:
    """Return when the next flush is."""
    return int(exchange.memory.tokens[TOKEN].state.pool[0].next_flush_ms)


def ask(exchange: Exchange, token: str, kind: RequestKind, amount: int, at_ms: int) -> int:
    """Make a request of the provider and return its number."""
    done = exchange.execute(
        Request(token, "provider", kind, amount, at_ms), f"{token}{kind}{amount}{at_ms}"
    )
    assert done.outcome.code == 0
    return done.outcome.row


@pytest.fixture
def asked(exchange: Exchange) -> Exchange:
    """A provider with requests of every kind in two tokens, some at the same time, some closed."""
    exchange.execute(ListToken(OTHER, NOW), "other")
    for token in (OTHER, TOKEN):
        for account in ("stranger", "provider"):
            exchange.execute(Credit(token, account, 1_000 * ONE, NOW), f"{token}{account}")
        ask(exchange, token, DEPOSIT, 300 * ONE, NOW)
        ask(exchange, token, INSURE, 100 * ONE, NOW)
    due = due_of(exchange)
    for token in (OTHER, TOKEN):
        assert exchange.execute(Flush(token, due), token).outcome.done
    for step in range(12):
        for token in (OTHER, TOKEN):
            at_ms = due + 1 + step // 3
            stranger = Request(token, "stranger", DEPOSIT, step + 1, at_ms)
            exchange.execute(stranger, f"stranger{token}{step}")
            kind = (DEPOSIT, REDEEM, INSURE, LEAVE)[step % 4]
            number = ask(exchange, token, kind, (step + 1) * ONE, at_ms)
            if step % 5 == 0:
                exchange.execute(Cancel(token, "provider", number, at_ms), f"off{token}{step}")
    for step in range(3):  # after the cut-off: for the flush after
        ask(exchange, TOKEN, (REDEEM, LEAVE, DEPOSIT)[step], (step + 1) * ONE, due + DAY - 5 + step)
    exchange.commit()
    return exchange


def by_hand(exchange: Exchange, *, only_open: bool) -> list[RequestKey]:
    """Return the provider's requests, looking at every row."""
    found = []
    for name, token in exchange.memory.tokens.items():
        slot = exchange.memory.slot_of(name, "provider")
        for number in range(int(token.state.pool[0].request_count)):
            row = token.state.requests[number]
            if row.account == slot and not (only_open and row.status != RequestStatus.OPEN):
                found.append((int(row.created_ms), name, number))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("limit", [1, 2, 5, 31, 500])
def test_pages_are_the_list(asked: Exchange, limit: int) -> None:
    """Whatever their size, pages have every request once, the newest first."""
    found: list[RequestKey] = []
    while page := newest_requests(asked.memory, "provider", limit, found[-1] if found else None):
        assert len(page) <= limit
        found += page
    assert found == by_hand(asked, only_open=False)
    assert len(found) == 2 * (2 + 12) + 3
    assert newest_requests(asked.memory, "nobody", limit) == []


def test_all_open_requests_and_no_others(asked: Exchange) -> None:
    """What a provider is shown of what waits."""
    found = newest_requests(asked.memory, "provider", None)
    assert found == by_hand(asked, only_open=True)
    assert len(found) == 2 * 9 + 3
    shown = requests_at(asked.memory, found, NOW)
    assert [(each.requested, each.id) for each in shown] == [
        (at_ms, f"{name}-{number}") for at_ms, name, number in found
    ]
    assert {each.status for each in shown} == {"open"}


def test_a_page_looks_up_only_what_is_on_it(
    asked: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How pools stand is worked out once a token with something open on the page, or not at all."""
    looked: list[str] = []
    standing_of = pools.standing_of

    def counted(memory: object, name: str, now_ms: int) -> object:
        looked.append(name)
        return standing_of(memory, name, now_ms)  # type: ignore[arg-type]

    monkeypatch.setattr(pools, "standing_of", counted)
    keys = newest_requests(asked.memory, "provider", 500)
    assert [each.status for each in requests_at(asked.memory, keys[-4:], NOW)] == ["filled"] * 4
    assert looked == []
    requests_at(asked.memory, keys[:3], NOW)
    assert looked == [TOKEN]
    requests_at(asked.memory, keys, NOW)
    assert sorted(looked) == [OTHER, TOKEN, TOKEN]


def line_by_hand(token: Token, number: int) -> tuple[int, int]:
    """Return what is asked for ahead of a request and beside it, looking at every row."""
    rows = [token.state.requests[each] for each in range(int(token.state.pool[0].request_count))]
    own = rows[number]
    alike = [row for row in rows if row.status == RequestStatus.OPEN and row.kind == own.kind]
    ahead = sum(int(row.amount) for row in alike if row.flush < own.flush)
    return ahead, sum(int(row.amount) for row in alike if row.flush == own.flush) - int(own.amount)


def test_places_are_those_of_every_row(asked: Exchange) -> None:
    """Many at once have the places each has by itself; strangers count."""
    token = asked.memory.tokens[TOKEN]
    keys = newest_requests(asked.memory, "provider", None)
    numbers = [number for _, name, number in keys if name == TOKEN]
    stands = pools.standing_of(asked.memory, TOKEN, NOW)
    found = places(token, numbers, stands)
    assert [(each.ahead, each.beside) for each in found] == [
        line_by_hand(token, number) for number in numbers
    ]
    assert any(each.ahead for each in found)
    assert any(each.beside % ONE for each in found)
    assert found == [places(token, [number], stands)[0] for number in numbers]


@pytest.fixture
def postponed(exchange: Exchange) -> int:
    """When the next flush is after one that found no good marks: an hour later than it was."""
    ask(exchange, TOKEN, DEPOSIT, 900 * ONE, NOW)
    due = due_of(exchange)
    for minute in range(30, -1, -1):
        tick(exchange, due - minute * MINUTE_MS)
    assert exchange.execute(Flush(TOKEN, due), "flush").outcome.done
    order = Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, ONE, 100 * ONE, due + 1_000)
    assert exchange.execute(order, "open").outcome.code == 0
    assert not exchange.execute(Flush(TOKEN, due + DAY), "postponed").outcome.done
    exchange.commit()
    assert due_of(exchange) == due + DAY + HOUR_MS
    return due + DAY + HOUR_MS


@pytest.mark.parametrize(("before_ms", "later_ms"), [(HOUR_MS - 1, 0), (1, DAY)])
def test_a_request_is_expected_at_the_flush_as_it_is(
    exchange: Exchange, database: DatabaseUrl, postponed: int, before_ms: int, later_ms: int
) -> None:
    """After a postponement too; asked again after a restart, the answer is the same."""
    command = Request(TOKEN, "provider", REDEEM, ONE, postponed - before_ms)
    done = exchange.execute(command, "out")
    answer = pools.request_asked(done)
    assert answer.expected == postponed + later_ms
    (now,) = pools.requests(exchange.memory, TOKEN, [done.outcome.row], postponed - before_ms)
    assert (now.id, now.flush, now.expected) == (answer.id, answer.flush, answer.expected)
    assert not exchange.execute(Flush(TOKEN, postponed), "put off again").outcome.done
    assert due_of(exchange) == postponed + HOUR_MS
    exchange.commit()
    exchange.store.close()
    store = open_store(database)
    again = Exchange(store).execute(command, "out")
    assert pools.request_asked(again) == answer
    store.close()


def test_a_refused_request_is_never_expected(exchange: Exchange) -> None:
    """Nothing was asked, so nothing is expected."""
    refused = exchange.execute(Request(TOKEN, "provider", REDEEM, ONE, NOW), "none").outcome
    assert (refused.code != 0, refused.expected_ms) == (True, 0)
