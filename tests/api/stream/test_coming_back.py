"""Connections that are lost, a server that is started again: nothing is missed or told twice."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest

from api.client import AsyncClient, Client, NotFoundError, UnauthorizedError, Update
from api.wire import Key
from tests.api.http.harness import CALL, Server, until
from tests.api.stream.harness import Reader

TOKEN = "RETURN.M"


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    server.list_token(TOKEN)
    server.credit("stream-return", TOKEN, "5000")
    return TOKEN


@pytest.fixture(scope="module")
def key(server: Server, token: str) -> Key:
    del token
    return server.key_of("stream-return", "trade")


@pytest.fixture(scope="module")
def client(server: Server, key: Key) -> Client:
    return Client(server.url, key.id, key.secret, http=server.http)


def buy(client: Client, token: str, times: int) -> list[str]:
    """Buy a little, several times, and return the numbers of the orders."""
    call = CALL.format(token)
    return [client.open(call, "10", limit_total="1000").id for _ in range(times)]


def resumed(answer: Any) -> list[bool]:
    return [each["resumed"] for each in answer["result"]["channels"]]


def test_what_was_missed_is_sent_again(
    server: Server, token: str, key: Key, client: Client
) -> None:
    channels = [f"trades.{token}", "orders", "ledger", "positions"]
    with Reader(server, key) as reader:
        reader.subscribe(*channels)
        first = buy(client, token, 2)
        reader.until(lambda: [each["id"] for each in reader.rows("orders")] == first)
        reader.until(lambda: reader.seqs["ledger"] == reader.seqs["orders"])
        reader.catch_up()
    missed = buy(client, token, 3)
    with Reader(server, key) as again:
        assert again.welcome["epoch"] == reader.welcome["epoch"]
        again.seqs, again.tables = dict(reader.seqs), {each: {} for each in channels}
        asked = {"resume": reader.seqs, "epoch": reader.welcome["epoch"]}
        answer = again.ask("subscribe", channels=channels, **asked)
        assert resumed(answer) == [True, True, True, False]
        later = buy(client, token, 1)
        again.until(lambda: len(again.rows("orders")) == 4)
        assert [each["id"] for each in again.rows("orders")] == missed + later
        again.until(lambda: len(again.rows(channels[0])) == 4)
        assert [each["id"] for each in again.rows(channels[0])] == missed + later
        (held,) = client.positions()
        again.until(lambda: again.tables["positions"][held.id]["notional"] == held.notional)
        kinds = {each["type"] for each in again.heard if each["channel"] != "positions"}
        assert kinds == {"delta"}
        for wrong in (
            asked | {"epoch": "another"},
            asked | {"resume": {"orders": again.seqs["orders"] + 1}},
            {},
        ):
            assert resumed(again.ask("subscribe", channels=["orders"], **wrong)) == [False]
            again.until(lambda: again.heard[-1]["channel"] == "orders")
            assert again.heard[-1]["type"] == "snapshot"


def test_a_stopped_server_says_so_and_the_next_counts_anew(
    server: Server, token: str, key: Key, client: Client
) -> None:
    """A client of ours notices nothing but two snapshots more."""
    heard: list[Update] = []
    tables: dict[str, dict[str, Any]] = {"orders": {}, "positions": {}, f"trades.{token}": {}}

    def follow() -> None:
        with closing(client.stream(list(tables))) as updates:
            for update in updates:
                update.apply_to(tables[update.channel])
                heard.append(update)
                if any(row.client_id == "last" for row in tables["orders"].values()):
                    return

    following = threading.Thread(target=follow, daemon=True)
    following.start()
    until(lambda: len(heard) >= 3)
    with Reader(server, key) as reader:
        reader.subscribe("orders")
        with server.pusher.held():
            server.stop()
            assert reader.end_code() == 1012
            server.restart()
            server.pusher.push("BTC")
    with Reader(server, key) as again:
        assert again.welcome["epoch"] != reader.welcome["epoch"]
        asked = {"resume": reader.seqs, "epoch": reader.welcome["epoch"]}
        answer = again.ask("subscribe", channels=["orders"], **asked)
        assert resumed(answer) == [False]
    until(lambda: len(heard) >= 6)
    last = client.open(CALL.format(token), "10", limit_total="1000", client_id="last")
    following.join(30)
    assert not following.is_alive()
    assert tables["orders"][last.id] == last
    assert [each.type for each in heard if each.channel == f"trades.{token}"][:2] == [
        "snapshot"
    ] * 2
    newest = list(tables[f"trades.{token}"].values())
    assert newest[: len(newest)] == list(client.public_trades(token))[::-1][: len(newest)]


def test_an_asyncio_client_follows_too(
    server: Server, token: str, key: Key, client: Client
) -> None:
    async def story() -> list[Update]:
        heard = []
        async with AsyncClient(server.url, key.id, key.secret) as waiting:
            waiting.session.clock_offset_ms = -60_000  # it is set by the server's
            async with aclosing(waiting.stream(["ledger", "index.BTC"])) as updates:
                async for update in updates:
                    heard.append(update)
                    if update.channel == "ledger" and update.type == "snapshot":
                        await asyncio.to_thread(buy, client, token, 1)
                    if update.channel == "ledger" and update.rows:
                        return heard
        return heard

    heard = asyncio.run(story())
    assert {"open", "fee"} <= {each.flow for each in heard[-1].rows}
    lines = list(client.ledger())
    assert all(each in lines for each in heard[-1].rows)


def endless(updates: Iterator[Update]) -> None:
    with closing(updates):
        for _ in updates:
            pass


def test_what_will_not_change_is_raised(server: Server, client: Client) -> None:
    with Client(server.url) as anybody:
        with pytest.raises(UnauthorizedError, match="SIGNATURE_MISSING"):
            endless(anybody.stream(["account"]))
        with pytest.raises(NotFoundError, match="DOGE"):
            endless(anybody.stream(["index.DOGE"]))
    with (
        Client(server.url, client.session.key, "00") as forged,
        pytest.raises(UnauthorizedError, match="SIGNATURE_WRONG"),
    ):
        endless(forged.stream(["account"]))
    gone = server.key_of("stream-gone", "read")
    with Client(server.url, gone.id, gone.secret) as revoked:
        updates = revoked.stream(["account"])
        assert next(updates).type == "snapshot"
        server.operator.operator.revoke_key(gone.id)
        with pytest.raises(UnauthorizedError, match="KEY_REVOKED"):
            endless(updates)
