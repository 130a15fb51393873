"""`evergamma feed watch`, as an operator runs it."""

import asyncio
import json
import socket
from threading import Thread

import pytest

from tests.api.conftest import Call
from tests.api.feeds.fakes import FakeDeribit
from tests.api.feeds.test_deribit import good


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--feed", "push"), "only pyth and deribit can be watched"),
        (("--feed", "moon"), "--feed 'moon'"),
        (("--seconds", "0"), "--seconds 0"),
        (("--seconds", "nan"), "--seconds nan"),
        (("--pyth-ids", "BTC=1"), "--pyth-ids"),
        (("--deribit-url", "http://host"), "--deribit-url"),
    ],
)
def test_what_cannot_be_watched_gets_one_line(
    call: Call, arguments: tuple[str, ...], words: str
) -> None:
    status, output, errors = call("feed", "watch", *arguments)
    assert (status, output) == (2, "")
    assert len(errors.splitlines()) == 1
    assert words in errors


def test_a_source_that_is_not_there_is_told_and_the_status_is_1(call: Call) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        status, output, _ = call(
            "feed", "watch", "--feed", "pyth", "--pyth-url", url, "--seconds", "0.3"
        )
    assert status == 1
    assert output.startswith("pyth: down, 0 messages, ")
    assert "no connection" in output


def test_prices_are_printed_and_then_the_health(call: Call) -> None:
    loop = asyncio.new_event_loop()
    deribit, begun = FakeDeribit(good), asyncio.Event()
    ended = asyncio.Event()

    async def serve() -> None:
        async with deribit.running():
            begun.set()
            await ended.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(begun.wait(), loop).result(10)
        asked = ("feed", "watch", "--feed", "deribit", "--deribit-url", deribit.url)
        status, output, _ = call(*asked, "--seconds", "1", "--json")
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
    price, health = map(json.loads, output.splitlines())
    assert status == 0
    assert (price["symbol"], price["price_e8"], price["sources"]) == ("BTC", 60_000_12 * 10**6, 1)
    assert (health["name"], health["state"]) == ("deribit", "part")
