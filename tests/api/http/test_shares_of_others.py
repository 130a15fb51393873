"""Shares and balances move by keys of their own account alone, and by exactly what was asked."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from api.client import Client, RefusedError
from api.wire import PoolName
from tests.api.http.harness import Server, Wire, assert_problem, balance_of, until

TOKEN = "HELD.M"
POOLS: tuple[PoolName, ...] = ("main", "insurance")
HELD = {"main": "40", "insurance": "30"}


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[Client]:
    """Somebody with shares of both pools, which are flushed every two seconds, and a balance."""
    server.list_token(TOKEN, flush_period_ms=2_000, flush_offset_ms=0, cutoff_ms=0, cooldown_ms=0)
    server.credit("olive", TOKEN, "100")
    client = server.client("olive")
    asked = [client.deposit(TOKEN, pool, HELD[pool]) for pool in POOLS]
    until(lambda: all(client.request(each.id).status == "filled" for each in asked))
    assert held(client) == {
        "balance": "30",
        "escrowed": "0",
        "main_shares": "40",
        "insurance_shares": "30",
    }
    yield client
    server.retire(TOKEN)


@pytest.fixture(scope="module")
def stranger(server: Server) -> Wire:
    """Somebody else with every role, a little of the same token and no shares."""
    server.credit("oscar", TOKEN, "5")
    return server.wire("oscar", "read", "trade", "provide", "risk")


def held(client: Client) -> dict[str, str]:
    return balance_of(client.account(), TOKEN)


@pytest.mark.parametrize("pool", POOLS)
def test_shares_of_another_cannot_be_redeemed(owner: Client, stranger: Wire, pool: str) -> None:
    """No request names whose shares it is about; without own shares there is nothing to offer."""
    before = held(owner)
    target = f"/v1/pools/{TOKEN}/{pool}/redemptions"
    for shares in ("0.00000001", HELD[pool]):
        answer = stranger.change("POST", target, {"shares": shares})
        assert_problem(answer, 422, "SHARES_EXCEED_HOLDING")
    for name in ("account", "owner", "receiver"):
        answer = stranger.change("POST", target, {"shares": "1", name: "olive"})
        assert_problem(answer, 400, "MALFORMED")
        answer = stranger.change("POST", f"{target}?{name}=olive", {"shares": "1"})
        assert answer.status_code in {400, 422}
    assert held(owner) == before


@pytest.mark.parametrize("pool", POOLS)
def test_a_balance_of_another_cannot_be_offered(owner: Client, stranger: Wire, pool: str) -> None:
    """Neither to a pool nor to the world outside."""
    before = held(owner)
    for target, body in (
        (f"/v1/pools/{TOKEN}/{pool}/deposits", {"amount": "5.00000001"}),
        ("/v1/withdrawals", {"token": TOKEN, "amount": "5.00000001"}),
    ):
        assert_problem(stranger.change("POST", target, body), 422, "BALANCE")
        named = stranger.change("POST", target, body | {"account": "olive"})
        assert_problem(named, 400, "MALFORMED")
    assert held(owner) == before


@pytest.mark.parametrize("pool", POOLS)
def test_a_key_of_the_account_moves_exactly_what_it_asks(
    owner: Client, server: Server, pool: PoolName
) -> None:
    """Another key of the owner's, as a program would have: to the unit, and never beyond."""
    program = server.client("olive", "provide")
    name = f"{pool}_shares"
    before = {key: Decimal(each) for key, each in held(owner).items()}
    some = program.redeem(TOKEN, pool, "12.5")
    assert Decimal(held(owner)[name]) == before[name] - Decimal("12.5")
    with pytest.raises(RefusedError, match="SHARES_EXCEED_HOLDING"):
        program.redeem(TOKEN, pool, before[name] - Decimal("12.5") + Decimal("0.00000001"))
    until(lambda: owner.request(some.id).status == "filled")
    paid = Decimal(owner.request(some.id).received)
    assert Decimal("12.4") < paid <= Decimal("12.5")
    gained = {name: before[name] - Decimal("12.5"), "balance": before["balance"] + paid}
    assert {key: Decimal(each) for key, each in held(owner).items()} == before | gained
