"""What the operator says of stocks, as everybody sees it; and LPs' deposits that wait for it."""

import pytest

from amm.units import MINUTE_MS
from api.client import Client, RefusedError
from api.wire import Token
from tests.api.http.harness import Server, Wire, assert_problem, fresh, now_ms

TOKEN = "FOLLOW.M"
PLACE = "/v1/operator/stock-prices"


@pytest.fixture(scope="module")
def provider(server: Server) -> Client:
    """An account with something to provide."""
    server.list_token(TOKEN)
    server.credit("fay", TOKEN, "100")
    return server.client("fay")


def shown(server: Server) -> Token:
    (found,) = [each for each in server.operator.tokens() if each.token == TOKEN]
    return found


def test_a_session_is_shown(server: Server, provider: Client) -> None:
    """Which one depends on the day; see the tests of sessions."""
    session = shown(server).session
    assert session is not None
    assert session.changes is not None
    assert session.changes > now_ms()
    assert provider.pool(TOKEN).session == session


def test_a_price_is_shown(server: Server, provider: Client) -> None:
    operator = server.operator.operator
    at_ms = now_ms() - 20 * MINUTE_MS
    told = operator.publish_stock_price(
        TOKEN, "350.5", at_ms, multiplier="1.02", token_price="370", halted=True
    )
    stock = shown(server).stock
    assert stock == told.stock
    assert (str(stock.reference), str(stock.token), stock.away) == ("357.51", "370", True)
    assert stock.published == at_ms
    session = shown(server).session
    assert session is not None
    assert (session.name, session.next, session.changes) == ("HALTED", None, None)
    assert provider.pool(TOKEN).session == session
    told = operator.publish_stock_price(TOKEN, "350.5", at_ms + 1)
    assert told.stock.token is None
    assert not told.stock.away


def test_deposits_wait_while_a_token_is_far_from_its_stock(
    server: Server, provider: Client
) -> None:
    operator, begun_ms = server.operator.operator, now_ms() - 12 * MINUTE_MS
    provider.deposit(TOKEN, "main", "1")
    before = server.journal
    held = [
        operator.publish_stock_price(
            TOKEN, "100", begun_ms + minute * MINUTE_MS, token_price="96"
        ).deposits_held
        for minute in (0, 4, 8, 11)
    ]
    assert held == [False, False, False, True]
    assert server.journal >= before + 1
    assert shown(server).deposits_held
    for pool in ("main", "insurance"):
        with pytest.raises(RefusedError) as refused:
            provider.deposit(TOKEN, pool, "1")
        assert refused.value.code == "DEPOSITS_HELD"
    asked = next(iter(provider.requests()))
    assert provider.cancel_request(asked.id).status == "cancelled"
    provider.withdraw(TOKEN, "1")
    operator.allow_deposits(TOKEN)
    assert not shown(server).deposits_held
    assert provider.deposit(TOKEN, "main", "1").status == "open"


def test_a_price_that_is_none_is_refused(server: Server, provider: Client) -> None:
    del provider  # who has seen to it that the token is listed
    operator = Wire(server, server.key)
    good = {"token": TOKEN, "stock": "100", "published_at": now_ms()}
    assert operator.change("POST", PLACE, good).status_code == 200
    for changes, status, code in (
        ({"stock": "0"}, 400, "MALFORMED"),
        ({"multiplier": "0"}, 400, "MALFORMED"),
        ({"token_price": "-1"}, 400, "MALFORMED"),
        ({"token": "NONE.M"}, 404, "NOT_FOUND"),
        ({"published_at": now_ms() - 61 * MINUTE_MS}, 422, "OBSERVATION_REFUSED"),
        ({"published_at": now_ms() + MINUTE_MS}, 422, "OBSERVATION_REFUSED"),
        ({"published_at": good["published_at"] - 1}, 422, "OBSERVATION_REFUSED"),  # type: ignore[operator]
    ):
        answer = operator.send("POST", PLACE, good | changes, fresh("key"))
        assert_problem(answer, status, code)
