"""A provider from the request to the money's way out, through two flushes."""

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest

from api.client import Client, ConflictError, RefusedError
from api.wire import FlushRecord, PoolRequest
from tests.api.http.harness import Server, balance_of, now_ms, until

TOKEN = "PROV.M"
PERIOD_MS, CUTOFF_MS = 5_000, 1_000
UNIT = Decimal("0.00000001")
EXIT_FEE = Decimal("0.001")
FUNDS = 1_000


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    """Somebody with a thousand tokens, whose pools are flushed every five seconds."""
    server.list_token(
        TOKEN,
        flush_period_ms=PERIOD_MS,
        flush_offset_ms=0,
        cutoff_ms=CUTOFF_MS,
        cooldown_ms=0,
    )
    server.credit("lena", TOKEN, str(FUNDS))
    yield server.client("lena")
    server.retire(TOKEN)


def before_cutoff(server: Server) -> int:
    """Wait until there is time before the next cut-off; return the number of the flush."""

    def has_time() -> bool:
        pool = server.operator.pool(TOKEN)
        return now_ms() < pool.cutoff - PERIOD_MS // 2

    until(has_time)
    return server.operator.pool(TOKEN).flushes + 1


def after_flush(server: Server, number: int) -> FlushRecord:
    """Wait for a flush and return its record."""
    until(lambda: server.operator.pool(TOKEN).flushes >= number)
    return record_of(server, number)


def record_of(server: Server, number: int) -> FlushRecord:
    """Return the line of a flush in the list of them."""
    return next(each for each in server.operator.flushes(TOKEN) if each.flush == number)


def held(client: Client) -> dict[str, Decimal]:
    return {name: Decimal(each) for name, each in balance_of(client.account(), TOKEN).items()}


def redeemed(shares: int, flush: FlushRecord) -> Decimal:
    """Return what shares are redeemed for at a flush with nothing at stake."""
    nav, supply = Decimal(flush.nav_mid) + UNIT, Decimal(flush.shares) + UNIT
    gross = (shares * nav / supply).quantize(UNIT, "ROUND_DOWN")
    return gross - (gross * EXIT_FEE).quantize(UNIT, ROUND_CEILING)


def test_from_the_request_to_the_way_out(server: Server, client: Client) -> None:
    first = before_cutoff(server)
    asked = ask(client, first)
    flushed = after_flush(server, first)
    see_shares(client, asked, flushed)

    second = before_cutoff(server)
    assert second > first
    some = client.redeem(TOKEN, "main", "100")
    cover = client.redeem(TOKEN, "insurance", "50")
    dear = client.redeem(TOKEN, "main", "10", "10")
    with pytest.raises(RefusedError, match="SHARES_EXCEED_HOLDING"):
        client.redeem(TOKEN, "main", "91")
    assert held(client)["main_shares"] == 90
    (main, _) = client.provider().holdings
    assert (main.shares, main.shares_waiting) == ("90", "110")
    until(lambda: client.request(some.id).status != "open")
    flushed = record_of(server, client.request(some.id).flush)
    some, cover, dear = (client.request(each.id) for each in (some, cover, dear))
    assert (some.status, some.filled, cover.status) == ("filled", "100", "filled")
    assert Decimal(some.received) == redeemed(100, flushed)
    # Ten shares are worth ten tokens, but not after the exit fee.
    assert (dear.status, dear.filled, dear.received) == ("returned", "0", "0")
    now = held(client)
    assert now["main_shares"] == 100
    assert now["insurance_shares"] == 0
    left = FUNDS - 250 + Decimal(some.received) + Decimal(cover.received)
    assert now["balance"] == left

    done = client.withdraw(TOKEN, str(left))
    server.operator.operator.complete_withdrawal(done.id)
    assert held(client)["balance"] == 0
    server.assert_conserved(TOKEN, [client])


def ask(client: Client, flush: int) -> dict[str, PoolRequest]:
    """Make requests of every kind before a cut-off, and take one of them back."""
    asked = {
        "taken back": client.deposit(TOKEN, "main", "100"),
        "main": client.deposit(TOKEN, "main", "200"),
        "cover": client.deposit(TOKEN, "insurance", "50"),
        "dear": client.deposit(TOKEN, "main", "30", "30.1"),
    }
    assert {each.status for each in asked.values()} == {"open"}
    assert {each.flush for each in asked.values()} == {flush}
    assert held(client) == {
        "balance": FUNDS - 380,
        "escrowed": 380,
        "main_shares": 0,
        "insurance_shares": 0,
    }
    ids = {each.id for each in client.requests()}
    assert ids == {each.id for each in asked.values()}
    provider = client.provider()
    assert {each.id for each in provider.requests} == ids
    assert provider.holdings == []
    back = client.cancel_request(asked["taken back"].id)
    assert (back.status, back.filled, back.expected) == ("cancelled", "0", None)
    assert held(client)["escrowed"] == 280
    assert len(client.provider().requests) == 3
    return asked


def see_shares(client: Client, asked: dict[str, PoolRequest], flushed: FlushRecord) -> None:
    """Check that the first flush gave a share for a token, and returned what it could not."""
    now = {name: client.request(each.id) for name, each in asked.items()}
    assert {name: each.status for name, each in now.items()} == {
        "taken back": "cancelled",
        "main": "filled",
        "cover": "filled",
        "dear": "returned",
    }
    assert (now["main"].filled, now["main"].received) == ("200", "200")
    assert (now["cover"].filled, now["cover"].received) == ("50", "50")
    assert (now["dear"].filled, now["dear"].received) == ("0", "0")
    assert flushed.share_price == "1"
    assert Decimal(flushed.nav_mid_after) - Decimal(flushed.nav_mid) == 200
    assert Decimal(flushed.shares_after) - Decimal(flushed.shares) == 200
    assert held(client) == {
        "balance": FUNDS - 250,
        "escrowed": 0,
        "main_shares": 200,
        "insurance_shares": 50,
    }
    main, cover = client.provider().holdings
    assert (main.pool, main.shares, main.value) == ("main", "200", "200")
    assert (cover.pool, cover.shares, cover.value) == ("insurance", "50", "50")
    flows = [line.flow for line in client.ledger() if line.token == TOKEN]
    assert flows.count("deposit_asked") == 4
    assert flows.count("deposit_returned") == 2
    assert flows.count("deposit") == 2


def test_after_the_cutoff_it_is_too_late(server: Server, client: Client) -> None:
    """A request can no more be taken back; one that comes now is for the flush after."""
    server.credit("lena", TOKEN, "10")
    flush = before_cutoff(server)
    bound = client.deposit(TOKEN, "main", "4")
    until(lambda: now_ms() > server.operator.pool(TOKEN).cutoff)
    with pytest.raises(ConflictError, match="CUTOFF_PASSED"):
        client.cancel_request(bound.id)
    late = client.deposit(TOKEN, "main", "3")
    assert (bound.flush, late.flush) == (flush, flush + 1)
    assert late.expected == (bound.expected or 0) + PERIOD_MS
    after_flush(server, flush)
    assert (client.request(bound.id).status, client.request(late.id).status) == ("filled", "open")
    assert client.cancel_request(late.id).status == "cancelled"
    server.assert_conserved(TOKEN, [client])


def test_a_flush_is_listed_as_it_was(server: Server, client: Client) -> None:
    """Newest first; a page at a time or all at once, each is the same."""
    del client
    with server.pusher.held():
        done = server.operator.pool(TOKEN).flushes
        listed = {each.flush: each for each in server.operator.flushes(TOKEN)}
        paged: list[Any] = []
        for page in server.operator.flushes(TOKEN).pages(limit=1):
            paged += page.items
    assert {*range(1, done + 1)} <= set(listed)
    numbers = [each.flush for each in paged]
    assert numbers == sorted(numbers, reverse=True)
    for each in paged:
        assert listed.get(each.flush, each) == each
        bundle = server.operator.flush(TOKEN, each.flush)
        assert (bundle.flush, bundle.results.nav.mid) == (each.flush, each.nav_mid)
        assert (bundle.before.main_shares, bundle.after.main_shares) == (
            each.shares,
            each.shares_after,
        )
