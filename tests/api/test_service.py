"""Many callers at once: nobody is told a lie, whatever fails and whenever it does."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api import exchange as writer
from api.clock import Clock
from api.dispatch import Executed, execute
from api.exchange import BatchLostError, Exchange, KeyConflictError, QuarantinedError
from api.feeds import Observation
from api.recovery import check_database
from api.service import Service
from api.storage.writes import Writes
from tests.api.conftest import START_MS, TOKEN, until
from vaults.commands import Close, Command, Credit, Open
from vaults.rejects import Reject

pytestmark = pytest.mark.databases
ONE = 10**8
LOT = ONE // 100
MINUTE_MS = 60_000


def service_of(exchange: Exchange, fill_delay_ms: int = 0) -> Service:
    """Return callers' side of an exchange, its clock a second after the last tick."""
    return Service(exchange, Clock(start_ms=START_MS + MINUTE_MS + 1_000), None, fill_delay_ms)


def lived(service: Service, story: Callable[[Service], Awaitable[None]]) -> None:
    """Let a story happen between start and stop of a service."""

    async def run() -> None:
        await service.start()
        await story(service)
        await service.stop()

    asyncio.run(run())
    assert check_database(service.exchange.store).faults == []


def credit(number: int, amount: int = ONE) -> Command:
    return Credit(TOKEN, f"account-{number}", amount, START_MS)


def buy(limit: int = ONE) -> Open:
    return Open(TOKEN, "buyer", "BTC", "call", 100_000 * ONE, LOT, limit, START_MS)


def balance(exchange: Exchange, account: str) -> int:
    """Return an account's balance; 0 where there is no such account."""
    slot = exchange.memory.slot_of(TOKEN, account)
    state = exchange.memory.tokens[TOKEN].state
    return int(state.accounts[slot].balance) if slot >= 0 else 0


async def outcomes(calls: list[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*calls, return_exceptions=True)


def test_every_caller_gets_its_own_answer(exchange: Exchange) -> None:
    """A hundred at once, each twice with the same key, share few commits."""

    async def story(service: Service) -> None:
        calls = [service.submit(credit(n), f"k/{n}") for n in range(100) for _ in range(2)]
        answers = await outcomes(calls)
        assert all(isinstance(each, Executed) for each in answers)
        assert [each.record.sequence for each in answers[::2]] == [
            each.record.sequence for each in answers[1::2]
        ]
        conflict = await outcomes([service.submit(credit(0, 2 * ONE), "k/0")])
        assert isinstance(conflict[0], KeyConflictError)
        assert sum(service.counts.sizes.counts) < 20

    lived(service_of(exchange), story)
    assert all(balance(exchange, f"account-{n}") == ONE for n in range(100))


class FailingDisk:
    """A database whose commits fail while it is broken; each takes a moment."""

    def __init__(self, exchange: Exchange) -> None:
        self.is_broken = False
        self.at_commit = True
        self._stage = exchange.store.stage

    def stage(self, writes: Writes) -> Callable[[], None]:
        """Fail at once, or in the thread that commits."""
        if self.is_broken and not self.at_commit:
            raise OSError("disk full")
        staged = [self._stage(writes)]

        def slow() -> None:
            time.sleep(0.05)
            if self.is_broken:
                staged.clear()  # and with it goes the transaction
                raise OSError("disk full")
            staged.pop()()

        return slow


@pytest.mark.parametrize("at_commit", [True, False])
def test_a_batch_the_disk_does_not_take_takes_what_came_after_it_along(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, at_commit: bool
) -> None:
    """Everybody is told, nothing of it happened, and all of it can be sent again."""
    disk = FailingDisk(exchange)
    disk.at_commit = at_commit
    monkeypatch.setattr(exchange.store, "stage", disk.stage)

    async def story(service: Service) -> None:
        await service.submit(credit(0), "k/0")
        disk.is_broken = True
        first = [asyncio.ensure_future(service.submit(credit(n), f"k/{n}")) for n in range(1, 4)]
        await asyncio.sleep(0.02)
        later = [asyncio.ensure_future(service.submit(credit(n), f"k/{n}")) for n in range(4, 8)]
        assert service.counts.outcomes == {(Credit, 0): 1}
        lost = await outcomes([*first, *later])
        assert all(isinstance(each, BatchLostError) for each in lost)
        assert service.counts.outcomes == {(Credit, 0): 1}
        assert sum(service.counts.sizes.counts) == sum(service.counts.seconds.counts) == 1
        memory = await service.settled()
        assert list(memory.account_ids) == ["buyer", "provider", "account-0"]
        disk.is_broken = False
        again = await outcomes([service.submit(credit(n), f"k/{n}") for n in range(8)])
        assert all(isinstance(each, Executed) for each in again)

    lived(service_of(exchange), story)
    assert [balance(exchange, f"account-{n}") for n in range(8)] == [ONE] * 8


def test_a_commit_that_hangs_is_told_of_and_broken_off(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers do not wait for it, whoever asks is told, and at the end nobody does."""
    broken_off = threading.Event()

    def silent() -> None:
        broken_off.wait()
        raise OSError("broken off")

    for name in ("SETTLE_MAX", "COMMIT_LATE", "STOP_MAX", "END_MAX"):
        monkeypatch.setattr(f"api.service.{name}", 0.0)
    monkeypatch.setattr(exchange.store, "may_wait", True, raising=False)
    monkeypatch.setattr(exchange.store, "break_off", broken_off.set)

    async def story(service: Service) -> None:
        await service.start()
        assert service.is_ready
        with monkeypatch.context() as patch:
            patch.setattr(exchange.store, "stage", lambda _: silent)
            lost = asyncio.ensure_future(service.submit(credit(0), "k/0"))
            await until(lambda: service.commit_age > 0)
            assert not service.is_ready
            with pytest.raises(BatchLostError, match="does not answer"):
                await service.settled()
            await service.stop()
        with pytest.raises(BatchLostError):
            await lost
        assert service.commit_age == 0

    asyncio.run(story(service_of(exchange)))
    assert broken_off.is_set()
    assert check_database(exchange.store).faults == []


@pytest.mark.parametrize("is_away", [True, False])
def test_what_a_lost_commit_has_done_is_answered_and_told(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    """Its answer was lost, nothing else: nobody hears that it was not done, listeners hear of it.

    Where the database is away for a while, callers hear that it is not known.
    """
    stage, heard = exchange.store.stage, list[str]()

    def committed(writes: Writes) -> Callable[[], None]:
        commit = stage(writes)

        def lost() -> None:
            commit()
            raise OSError("connection lost")

        return lost

    def away(*_: object) -> Any:
        raise OSError("no connection")

    async def story(service: Service) -> None:
        service.on_commit.append(lambda batch: heard.extend(each.record.key for each in batch))
        await service.submit(credit(0), "k/0")
        with monkeypatch.context() as patch:
            patch.setattr(exchange.store, "stage", committed)
            if is_away:
                patch.setattr(writer, "load_rows", away)
            answers = await outcomes([service.submit(credit(n), f"k/{n}") for n in (1, 2)])
        kind = BatchLostError if is_away else Executed
        assert [type(each) for each in answers] == [kind, kind]
        again = await outcomes([service.submit(credit(n), f"k/{n}") for n in (1, 2, 3)])
        assert all(isinstance(each, Executed) for each in again)

    lived(service_of(exchange), story)
    assert [balance(exchange, f"account-{n}") for n in range(4)] == [ONE] * 4
    assert heard == ["k/0", "k/1", "k/2", "k/3"]


@pytest.mark.parametrize("is_committing", [True, False])
def test_a_kernel_that_fails_costs_its_batch_and_no_other(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, is_committing: bool
) -> None:
    """The batch being written stands; what shares that of the failure is told, nobody else."""
    disk = FailingDisk(exchange)
    if is_committing:
        monkeypatch.setattr(exchange.store, "stage", disk.stage)

    def fails(memory: Any, command: Command, sequence: int) -> Any:
        if isinstance(command, Credit) and command.account == "account-13":
            raise ZeroDivisionError
        return execute(memory, command, sequence)

    monkeypatch.setattr(writer, "execute", fails)

    async def story(service: Service) -> None:
        before = asyncio.ensure_future(service.submit(credit(1), "k/1"))
        await asyncio.sleep(0.02)
        shared = [service.submit(credit(n), f"k/{n}") for n in (12, 13, 14)]
        answers = await outcomes([before, *shared])
        assert isinstance(answers[0], Executed)
        told = [type(each) for each in answers[1:3]]
        assert told == [BatchLostError, BatchLostError]
        # The one behind it was not executed with it, and is carried out by the next batch.
        assert isinstance(answers[3], Executed)
        memory = await service.settled()
        assert "account-12" not in memory.account_ids
        again = await outcomes([service.submit(credit(n), f"k/{n}") for n in (12, 13, 14)])
        assert [type(each) for each in again] == [Executed, QuarantinedError, Executed]

    lived(service_of(exchange), story)
    held = [balance(exchange, f"account-{n}") for n in (1, 12, 13, 14)]
    assert held == [ONE, ONE, 0, ONE]


def test_a_reader_sees_nothing_that_could_still_be_lost(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While commands come in all the time: what is in memory is on disk whenever it is read."""
    monkeypatch.setattr(exchange.store, "stage", FailingDisk(exchange).stage)

    async def story(service: Service) -> None:
        done = 0

        async def write(first: int) -> None:
            for number in range(first, first + 6):
                await service.submit(credit(number), f"k/{number}")

        async def read() -> None:
            nonlocal done
            for _ in range(8):
                memory = await service.settled()
                last = exchange.store.last_record()
                assert last is not None
                assert last.sequence == exchange.journal_length
                assert len(memory.names) == len(exchange.memory.names)
                done += 1
                await asyncio.sleep(0.003)

        await asyncio.gather(*(write(100 * n) for n in range(5)), *(read() for _ in range(3)))
        assert done == 24

    lived(service_of(exchange), story)


def observed(service: Service, price: int = 100_000, late_ms: int = 0) -> Awaitable[Any]:
    """Hand in a price of BTC, published some time ago."""
    published_ms = service.clock.now_ms() - late_ms
    return service.observe([Observation("BTC", price * ONE, ONE, published_ms, 500_000_000)])


def test_orders_wait_for_an_index_that_was_published_after_them(exchange: Exchange) -> None:
    """One published earlier but seen later does not fill them; then they go in order of arrival."""

    async def story(service: Service) -> None:
        async def order(number: int) -> Executed:
            (answer,) = await service.order([(buy(), f"k/{number}")])
            assert isinstance(answer, Executed)
            return answer

        waiting = []
        for number in range(5):
            waiting.append(asyncio.ensure_future(order(number)))
            await asyncio.sleep(0)
        await asyncio.sleep(0.12)
        await observed(service, 100_100, late_ms=60)  # 60 ms after the orders came in
        assert service.waiting == 5
        assert not any(each.done() for each in waiting)
        await asyncio.sleep(0.05)
        asked_ms = service.clock.now_ms()
        tick = observed(service, 100_200)
        late = asyncio.ensure_future(order(5))
        await tick
        filled = await asyncio.gather(*waiting)
        assert [each.outcome.index_e8 for each in filled] == [100_200 * ONE] * 5
        numbers = [each.record.sequence for each in filled]
        assert numbers == list(range(numbers[0], numbers[0] + 5))
        assert all(each.record.now_ms >= asked_ms for each in filled)
        assert service.waiting == 1
        await asyncio.sleep(0.11)
        await observed(service, 100_300)
        assert (await late).outcome.index_e8 == 100_300 * ONE

    lived(service_of(exchange, fill_delay_ms=100), story)


def test_a_close_of_what_is_bought_by_the_same_tick_waits_for_the_next(exchange: Exchange) -> None:
    """Its position is not there when it comes in; it has no index before its own delay for that."""

    async def story(service: Service) -> None:
        bought = asyncio.ensure_future(service.order([(buy(), "k/buy")]))
        await asyncio.sleep(0.12)
        early = Close(TOKEN, "buyer", 1, LOT, START_MS)
        tick = observed(service)
        sold = asyncio.ensure_future(service.order([(early, "k/sell")]))
        await tick
        (answer,) = await bought
        assert isinstance(answer, Executed)
        assert answer.outcome.row == 1
        (queued,) = await sold
        assert isinstance(queued, Executed)
        unknown = queued.outcome.code == Reject.POSITION_UNKNOWN
        assert unknown or queued.outcome.queued
        assert queued.outcome.amount == 0

    lived(service_of(exchange, fill_delay_ms=100), story)


def test_a_key_that_waits_is_not_free(exchange: Exchange) -> None:
    """A longer batch, or one after a single order, under the same key does nothing at all."""

    async def story(service: Service) -> None:
        def batch(key: str, count: int) -> asyncio.Future[Any]:
            keys = [key, *(f"{key} {place}" for place in range(1, count))]
            return asyncio.ensure_future(service.order([(buy(), each) for each in keys]))

        sent = [batch(key, count) for key, count in (("a", 2), ("a", 3), ("b", 1), ("b", 2))]
        await asyncio.sleep(0.12)
        before = exchange.journal_length
        await observed(service)
        pair, longer, single, second = await asyncio.gather(*sent)
        assert [type(each) for each in pair + single] == [Executed] * 3
        assert [type(each) for each in longer + second] == [KeyConflictError] * 5
        assert exchange.journal_length == before + 1 + 3
        shorter = batch("a", 1)
        assert [type(each) for each in await shorter] == [KeyConflictError]
        again = await batch("a", 2)
        assert [each.record.sequence for each in again] == [each.record.sequence for each in pair]

    lived(service_of(exchange, fill_delay_ms=100), story)


def test_a_batch_with_an_order_that_makes_a_kernel_fail_does_nothing(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the first time, when it is not yet known, and not when it is sent again."""

    def fails(memory: Any, command: Command, sequence: int) -> Any:
        if isinstance(command, Open) and command.limit_total == 13:
            raise ZeroDivisionError
        return execute(memory, command, sequence)

    monkeypatch.setattr(writer, "execute", fails)

    async def story(service: Service) -> None:
        orders = [(buy(), "k"), (buy(13), "k 1"), (buy(), "k 2")]
        for kind in (BatchLostError, QuarantinedError, QuarantinedError):
            answers = await service.order(list(orders))
            assert [type(each) for each in answers] == [kind] * 3
            await service.settled()
            assert exchange.recall("k") is None

    lived(service_of(exchange), story)


class Feed:
    """A feed that fails once, and is there when it is asked again."""

    name = "frail"

    def __init__(self) -> None:
        self.asked = 0

    async def observations(self, clock: Clock) -> Any:
        """Fail the first time; then observe BTC."""
        self.asked += 1
        if self.asked == 1:
            raise ConnectionError("gone")
        while True:
            yield [Observation("BTC", 100_000 * ONE, ONE, clock.now_ms(), 500_000_000)]
            await asyncio.sleep(0.05)


def test_an_outage_of_the_database_ends_when_it_ends(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody hangs meanwhile, neither callers nor readers nor the feed; then all goes on."""

    def broken(*_: object) -> Any:
        raise OSError("input/output error")

    async def story(service: Service) -> None:
        await service.submit(credit(0), "k/0")
        with monkeypatch.context() as patch:
            patch.setattr(exchange.store, "stage", broken)
            patch.setattr(writer, "load_rows", broken)
            for number in range(1, 4):
                lost = await outcomes([service.submit(credit(number), f"k/{number}")])
                assert isinstance(lost[0], BatchLostError)
                assert not service.is_ready
            with pytest.raises(BatchLostError):
                await service.settled()
        again = await outcomes([service.submit(credit(n), f"k/{n}") for n in range(4)])
        assert all(isinstance(each, Executed) for each in again)
        assert service.is_ready
        before = exchange.journal_length
        await asyncio.sleep(1.3)
        assert exchange.journal_length > before

    service = Service(exchange, Clock(start_ms=START_MS + MINUTE_MS + 1_000), Feed(), 0)
    lived(service, story)
    assert [balance(exchange, f"account-{n}") for n in range(4)] == [ONE] * 4


def test_a_price_from_the_future_counts_from_when_it_came(exchange: Exchange) -> None:
    """A source whose clock is ahead does not fill orders that came after its price."""

    async def story(service: Service) -> None:
        await observed(service, late_ms=-1_500)
        order = asyncio.ensure_future(service.order([(buy(), "k")]))
        await asyncio.sleep(0.15)
        other = Observation("ETH", 4_000 * ONE, ONE, service.clock.now_ms(), 650_000_000)
        await service.observe([other])
        assert service.waiting == 1
        await asyncio.sleep(0.05)
        await observed(service, 100_200, late_ms=-1_700)
        (answer,) = await order
        assert isinstance(answer, Executed)
        assert answer.outcome.index_e8 == 100_200 * ONE

    lived(service_of(exchange, fill_delay_ms=100), story)


def test_the_whole_of_a_position_is_what_is_held_by_then(exchange: Exchange) -> None:
    """Not what was held when the order came in."""

    async def story(service: Service) -> None:
        await service.order([(buy(), "first")])
        held = exchange.memory.tokens[TOKEN].state.positions[0]
        whole = Close(TOKEN, "buyer", 1, int(held.notional), START_MS, is_whole=True)
        await service.order([(buy(), "second")])
        (sold,) = await service.order([(whole, "all")])
        assert isinstance(sold, Executed)
        assert sold.outcome.notional == 2 * LOT

    lived(service_of(exchange), story)
