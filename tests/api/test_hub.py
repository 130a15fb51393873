"""The hub on a service in this process: what is told, when, and what never is."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import pytest

from api.access.ring import KeyRing
from api.clock import Clock
from api.exchange import BatchLostError, Exchange
from api.http.gate import Principal
from api.instruments import parse_series
from api.service import Service
from api.storage.engines import access_engine
from api.storage.url import DatabaseUrl
from api.storage.writes import Writes
from api.stream import connections, registry, tickers, watch
from api.stream.channels import KEPT_MAX, EventChannel, Name, StateChannel
from api.stream.counts import Counts
from api.stream.hub import Hub
from api.stream.messages import SILENT, Login
from api.stream.session import Session
from api.views import accounts, market
from api.views.numbers import fixed
from api.wire import PublicTrade
from tests.api.conftest import START_MS, TOKEN, until
from vaults.commands import Close, Credit, Open, Tick

ONE = 10**8
LOT = ONE // 100
MINUTE_MS = 60_000
CALL = f"BTC-{TOKEN}-100000-C"
CALLS = [f"ticker.BTC-{TOKEN}-{thousands}000-C" for thousands in range(90, 102)]


class Ear:
    """The other end of a connection in the same process: it hears everything at once."""

    waiting = 0

    def __init__(self, address: str = "here", owner: Principal | None = None) -> None:
        self.address = address
        self.owner = owner
        self.messages: list[Any] = []
        self.pings = 0
        self.code = 0

    def write(self, data: bytes) -> None:
        """Take frames apart: the server's are not masked, nor in parts."""
        while data:
            if data[0] == 0x89:
                self.pings, data = self.pings + 1, data[2:]
                continue
            assert data[0] == 0x81
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            self.messages.append(json.loads(data[start : start + size]))
            data = data[start + size :]

    def end(self, code: int, reason: str) -> None:
        """Take note of the end."""
        assert reason
        self.code = code

    def pause(self) -> None:
        """There is nothing to read."""

    def go_on(self) -> None:
        """There is nothing to read."""

    async def drained(self) -> bool:
        """Everything was heard."""
        return True

    def login(self, asked: Login) -> Principal:
        """Log in whoever is at this end."""
        assert self.owner is not None, asked
        return self.owner

    def admit(self, principal: Principal | None, weight: int) -> None:
        """Everything is let in."""

    def of(self, channel: str) -> list[Any]:
        """Return what was heard of a channel."""
        return [each for each in self.messages if each.get("channel") == channel]

    def rows(self, channel: str) -> list[Any]:
        """Return every row of a channel."""
        return [row for each in self.of(channel) for row in each["data"]]


class Stage:
    """A service with its hub, and the buyer's connection."""

    def __init__(self, exchange: Exchange, keys: KeyRing) -> None:
        self.exchange = exchange
        clock = Clock(start_ms=START_MS + MINUTE_MS + 1_000)
        self.service = Service(exchange, clock, None, 0)
        self.hub = Hub(self.service, keys)
        key = keys.create("buyer", ["read"], None, START_MS)
        self.ear = Ear()
        self.session = Session(self.hub, self.ear, Principal(key.id, key.account, key.roles))

    async def subscribe(self, *channels: str) -> None:
        """Subscribe, and wait until every channel has begun."""
        asked = {"id": 1, "op": "subscribe", "channels": channels}
        self.session.receive(json.dumps(asked).encode())
        await until(lambda: all(self.ear.of(each) for each in channels))

    async def open(self, key: str) -> None:
        """Buy a little."""
        order = Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, LOT, ONE, START_MS)
        assert (await self.service.submit(order, key)).outcome.code == 0

    async def close(self, key: str) -> None:
        """Sell it again."""
        (held,) = accounts.positions(self.exchange.memory, "buyer", START_MS)
        number = int(held.id.rpartition("-")[2])
        await self.service.submit(Close(TOKEN, "buyer", number, LOT, START_MS, 0), key)


Story = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyRing]:
    ring = KeyRing(access_engine(DatabaseUrl(tmp_path / "keys.sqlite")), b"k" * 32)
    yield ring
    ring.close()


@pytest.fixture
def lived(exchange: Exchange, keys: KeyRing) -> Callable[[Story], None]:
    """Let a story happen while the service and its hub run."""

    def live(story: Story) -> None:
        async def run() -> None:
            stage = Stage(exchange, keys)
            await stage.service.start()
            stage.hub.start()
            stage.hub.join(stage.session)
            await story(stage)
            stage.session.leave()
            await stage.hub.stop()
            await stage.service.stop()

        asyncio.run(run())

    return live


def test_nobody_hears_what_a_lost_batch_did(
    lived: Callable[[Story], None], exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as an event nor as state, though it was in memory for a while."""
    channels = ("account", "positions", "orders", "ledger", f"trades.{TOKEN}", f"ticker.{CALL}")
    begun, stage_writes = threading.Event(), exchange.store.stage

    def stage(writes: Writes) -> Callable[[], None]:
        staged = [stage_writes(writes)]

        def slow() -> None:
            begun.wait(20)
            staged.clear()  # and with it goes the transaction
            raise OSError("disk full")

        return slow

    async def story(stage_: Stage) -> None:
        await stage_.subscribe(*channels)
        count = len(stage_.ear.messages)
        monkeypatch.setattr(exchange.store, "stage", stage)
        losing = asyncio.ensure_future(stage_.open("k"))
        await until(lambda: exchange.is_committing)
        assert accounts.positions(exchange.memory, "buyer", START_MS)
        again = {"id": 2, "op": "subscribe", "channels": ["positions"]}
        stage_.session.receive(json.dumps(again).encode())
        await asyncio.sleep(2 * watch.BEAT_S)  # it might be looked at meanwhile
        begun.set()
        with pytest.raises(BatchLostError):
            await losing
        monkeypatch.undo()
        await until(lambda: len(stage_.ear.messages) == count + 2)
        await asyncio.sleep(2 * watch.BEAT_S)
        answer, snapshot = stage_.ear.messages[count:]
        assert (answer["id"], snapshot["type"], snapshot["data"]) == (2, "snapshot", [])
        await stage_.open("k")
        await until(lambda: all(len(stage_.ear.of(each)) >= 2 for each in channels))
        await until(lambda: stage_.ear.rows("positions"))
        (row,) = stage_.ear.rows("positions")
        now_ms = stage_.ear.of("positions")[-1]["time"]
        (held,) = accounts.positions(exchange.memory, "buyer", now_ms)
        assert row == msgspec.to_builtins(held)

    lived(story)


def test_events_are_all_told_and_state_as_it_is_last(lived: Callable[[Story], None]) -> None:
    """Of a hundred trades nobody misses one; the pool they changed is shown a few times."""
    pool, trades = f"pool.{TOKEN}", f"trades.{TOKEN}"

    async def story(stage: Stage) -> None:
        await stage.subscribe(pool, trades, "orders", "positions")
        for number in range(50):
            await stage.open(f"open/{number}")
            await stage.close(f"close/{number}")
        await stage.open("open")
        rows = stage.ear.rows
        await until(lambda: len(rows(trades)) == len(rows("orders")) == 101)
        assert [row["id"] for row in rows(trades)] == [row["id"] for row in rows("orders")]
        assert [row["side"] for row in rows(trades)] == [*["open", "close"] * 50, "open"]
        await until(lambda: rows("positions")[-1]["id"] == rows("orders")[-1]["position_id"])
        cash = fixed(stage.exchange.memory.tokens[TOKEN].state.pool[0].main)
        await until(lambda: rows(pool)[-1]["main"]["cash"] == cash)
        assert len(stage.ear.of(pool)) < 50
        for channel in (pool, trades, "orders", "positions"):
            told = stage.ear.of(channel)
            assert [each["type"] for each in told] == ["snapshot"] + ["delta"] * (len(told) - 1)
            first = told[0]["seq"]
            assert [each["seq"] for each in told] == list(range(first, first + len(told)))

    lived(story)


def test_a_position_that_is_sold_is_removed(lived: Callable[[Story], None]) -> None:
    async def story(stage: Stage) -> None:
        await stage.open("open")
        await stage.subscribe("positions")
        (held,) = stage.ear.of("positions")[0]["data"]
        await stage.close("close")
        await until(lambda: len(stage.ear.of("positions")) == 2)
        told = stage.ear.of("positions")[1]
        assert (told["data"], told["removed"]) == ([], [held["id"]])

    lived(story)


def test_a_channel_nobody_reads_costs_nothing_and_numbers_never_come_again(
    lived: Callable[[Story], None],
) -> None:
    async def story(stage: Stage) -> None:
        await stage.subscribe("account", "orders")
        await stage.service.submit(Credit(TOKEN, "buyer", ONE, START_MS), "credit")
        await until(lambda: len(stage.ear.of("account")) == 2)
        last = stage.ear.of("account")[-1]["seq"]
        asked = {"id": 2, "op": "unsubscribe", "channels": ["account", "orders"]}
        stage.session.receive(json.dumps(asked).encode())
        await until(lambda: stage.hub.counts.subscriptions == 0)
        await stage.open("k")
        await stage.subscribe("account", "orders")
        await until(lambda: len(stage.ear.of("account")) == 3)
        assert stage.ear.of("account")[-1]["seq"] > last
        # What is lossless goes on being counted for a while: somebody may come back for it.
        await until(lambda: len(stage.ear.of("orders")) == 2)
        assert [each["seq"] for each in stage.ear.of("orders")] == [0, 1]

    lived(story)


def test_who_gives_no_sign_of_life_is_disconnected(
    lived: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEARTBEAT_S", 0.05)

    async def story(stage: Stage) -> None:
        for count in range(1, 3):
            await until(lambda count=count: stage.ear.pings == count)
            stage.session.is_heard = True
        await until(lambda: stage.ear.code == SILENT)
        assert stage.ear.pings == 3
        heartbeats = [each for each in stage.ear.messages if each.get("type") == "heartbeat"]
        assert len(heartbeats) == 3
        assert stage.hub.counts.connections == 0

    lived(story)


def test_only_what_can_be_opened_or_is_held_has_a_ticker(exchange: Exchange) -> None:
    memory = exchange.memory
    held, near, far = (parse_series(f"BTC-{TOKEN}-{k}000-C") for k in (100, 101, 9_999))
    order = Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, LOT, ONE, START_MS + MINUTE_MS)
    bought = exchange.execute(order, "k").outcome
    assert bought.code == 0
    assert [market.is_tradable(memory, each) for each in (held, near, far)] == [True, True, False]
    memory.market.oracle.index_e8[memory.underlyings.index("BTC")] *= 10
    assert [market.can_open(memory, each) for each in (held, near, far)] == [False] * 3
    assert [market.is_tradable(memory, each) for each in (held, near, far)] == [True, False, False]


def test_tickers_have_what_others_leave_and_take_turns(
    lived: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is time for one in a look; who came first is not looked at twice before the last."""
    seen: list[str] = []
    refresh, others = StateChannel.refresh, ("index.BTC", f"pool.{TOKEN}", "positions")

    def slow(channel: StateChannel, *given: Any) -> None:
        seen.append(channel.name.on_the_wire)
        refresh(channel, *given)
        until_s = perf_counter() + watch.SLICE_S
        while perf_counter() < until_s:
            pass

    def looked_at() -> list[str]:
        return [each for each in seen if each.startswith("ticker.")]

    async def tick(stage: Stage, price: int) -> None:
        now_ms = stage.service.clock.now_ms()
        command = Tick("BTC", price * ONE, now_ms, now_ms, ONE, 5 * 10**8, 1)
        assert (await stage.service.submit(command, f"t/{price}")).outcome.code == 0

    async def story(stage: Stage) -> None:
        await stage.subscribe(*CALLS, *reversed(others))
        for name, value in (("BEAT_S", 0.05), ("LOOK_S", 0.0), ("SLICE_S", 0.001)):
            monkeypatch.setattr(watch, name, value)
        monkeypatch.setattr(StateChannel, "refresh", slow)
        await tick(stage, 100_001)
        await until(lambda: len(looked_at()) >= 2)
        index, pool, own = (seen.index(each) for each in others)
        assert max(index, pool) < own < seen.index(CALLS[0])
        await tick(stage, 100_002)
        await until(lambda: len(looked_at()) >= len(CALLS) + 2)
        assert looked_at()[: len(CALLS) + 2] == [*CALLS, *CALLS[:2]]
        again = [at for at, each in enumerate(seen) if each == "positions"]
        assert again[1] < seen.index(CALLS[-1])

    lived(story)


def test_different_tickers_are_bounded_by_caller_and_in_all(
    lived: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody reads already is nothing more in all; what is read no more is free."""
    monkeypatch.setattr(tickers, "OF_CALLER_MAX", 3)
    monkeypatch.setattr(tickers, "OF_ALL_MAX", 4)

    async def story(stage: Stage) -> None:
        here = stage.session, stage.ear
        buyer = stage.session.principal
        far_ear = Ear("far", buyer)
        far = Session(stage.hub, far_ear, None), far_ear
        stage.hub.join(far[0])

        async def ask(end: tuple[Session, Ear], op: str, *channels: str) -> Any:
            session, ear = end
            number = len(ear.messages)
            more = {"channels": channels} if channels else {}
            more |= {"key": "", "timestamp": 0, "signature": ""} if op == "login" else {}
            session.receive(json.dumps({"id": number, "op": op, **more}).encode())
            await until(lambda: any(each.get("id") == number for each in ear.messages))
            (answer,) = (each for each in ear.messages if each.get("id") == number)
            error = answer.get("error")
            return error and (error["code"], error["limit"], error["actual"])

        assert await ask(here, "subscribe", *CALLS[:4]) == ("RATE_LIMITED", "3", "4")
        assert await ask(here, "subscribe", *CALLS[:3], "index.BTC") is None
        assert await ask(here, "subscribe", CALLS[3]) == ("RATE_LIMITED", "3", "4")
        assert await ask(far, "subscribe", CALLS[2], CALLS[3]) is None
        assert await ask(far, "subscribe", CALLS[4]) == ("RATE_LIMITED", "4", "5")
        assert await ask(far, "login") == ("RATE_LIMITED", "3", "4")
        assert await ask(here, "unsubscribe", CALLS[0], CALLS[1]) is None
        assert await ask(far, "login") is None
        assert await ask(here, "subscribe", *CALLS[4:6]) == ("RATE_LIMITED", "3", "4")
        far[0].leave()
        assert await ask(here, "subscribe", *CALLS[4:6]) is None

    lived(story)


def row(number: int) -> PublicTrade:
    names = ("instrument", "notional", "total", "price", "index")
    return PublicTrade(
        id=str(number), exchange_time=START_MS, side="open", **dict.fromkeys(names, "1")
    )


def test_messages_are_kept_to_a_number_and_an_age() -> None:
    channel = EventChannel(Name("trades", TOKEN), 7)
    for number in range(KEPT_MAX + 5):
        channel.add(row(number), START_MS)
        channel.seal(float(number))
    last = 7 + KEPT_MAX + 5
    assert channel.seq == last
    assert channel.after(last) == []
    assert len(channel.after(last - KEPT_MAX) or []) == KEPT_MAX
    assert channel.after(last - KEPT_MAX - 1) is None
    assert channel.after(last + 1) is None
    channel.forget(KEPT_MAX + 3.0)
    assert channel.after(last - 2) is not None
    assert channel.after(last - 3) is None


@pytest.mark.parametrize("told", [0, 3])
def test_who_comes_back_to_a_forgotten_channel_lacks_what_nobody_kept(
    told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though somebody else reads it again by then, and nothing was told since."""
    channels, name = registry.Registry(Counts()), Name("orders", "buyer")
    before = channels.open(name)
    before.seq = told
    monkeypatch.setattr(registry, "KEPT_S", -1.0)
    channels.forget()
    assert channels.events(name) is None
    again = channels.open(name)
    assert isinstance(again, EventChannel)
    assert again.after(told) is None
    assert again.after(again.seq) == []
