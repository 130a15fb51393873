"""The single writer as many callers at once see it.

Callers hand in commands and wait. Whatever has come in by the time the writer has its turn is
executed in order of arrival; while one batch is being written by a thread, the next is executed.
Answers go out when their batch is durable. Who reads the memory waits with `settled` until what
is in it is durable too; nothing new is executed while somebody waits for that. Time is stamped on
a command when it is executed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter

from amm.oracle import OracleVerdict
from api.clock import Clock
from api.dispatch import Executed, own_position
from api.exchange import (
    BatchLostError,
    Exchange,
    KeyConflictError,
    QuarantinedError,
    fill_key,
)
from api.feeds import Feed, Observation
from api.jobs import Answer, Job, WaitingRoom
from api.journal import MalformedCommandError
from api.memory import Memory
from api.readings import Readings
from vaults.commands import Close, Command, Flush, Open, Outcome, Tick
from vaults.invariants import first_violation
from vaults.state import NONE

FLUSH_LOOK_MS = 250
"""How often it is looked whether a flush is due."""
GATHER_MAX = 0.002
"""Seconds an executed command waits at most for others to share its commit."""
STOP_MAX = 5.0
"""Seconds the last batch may take at the end."""
FEED_PAUSE_MAX = 30.0
"""Seconds at most until a feed that has failed is followed again."""
CHECK_EVERY = 10.0
"""Seconds between two checks of all invariants."""

_log = logging.getLogger("evergamma")


@dataclass(slots=True)
class Counts:
    """What the writer has done since it started."""

    commands: int = 0
    refused: int = 0
    batches: int = 0
    lost_batches: int = 0
    batch_seconds: float = 0.0
    last_batch_seconds: float = 0.0


class Service:
    """An exchange with a clock and a feed, for asynchronous callers of one event loop."""

    def __init__(
        self, exchange: Exchange, clock: Clock, feed: Feed | None = None, fill_delay_ms: int = 250
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self.feed = feed
        self.fill_delay_ms = fill_delay_ms
        self.started_ms = clock.wall_ms()
        self.counts = Counts()
        self.invariants = "hold"
        self.invariants_checked_ms = 0
        self._readings = Readings()
        self._queue: deque[Job] = deque()
        self._executed: list[Job] = []
        self._readers: list[asyncio.Future[None]] = []
        self._thread = ThreadPoolExecutor(1, "writer")
        self._callers = 0
        self._gathering_until = 0.0
        self._flushes_looked_at = 0
        self._room = WaitingRoom()
        self._index_times: dict[str, int] = {}
        self._is_scheduled = False
        self._is_stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._feed_task: asyncio.Task[None] | None = None

    # -- life

    async def start(self) -> None:
        """Begin to follow the feed and to look after what is due."""
        self._check_invariants()
        if self.feed is not None:
            self._feed_task = asyncio.create_task(self._follow(self.feed))
            self._tasks.append(self._feed_task)
        self._tasks.append(asyncio.create_task(self._look_after()))

    async def stop(self) -> None:
        """Finish the running batch and take no more commands."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        stopping = BatchLostError("the exchange is stopping")
        for job in self._room.leave_all():
            job.answer([stopping] * len(job.commands))
        with suppress(TimeoutError, BatchLostError):
            async with asyncio.timeout(STOP_MAX):
                while self._queue or not self.exchange.is_settled:
                    await self.settled()
                    self._turn()
        self._thread.shutdown()
        try:
            self.exchange.checkpoint()
        except Exception:  # noqa: BLE001 - the journal has it all; the next start takes longer
            _log.exception("the state could not be saved")

    @property
    def is_ready(self) -> bool:
        """Whether commands are taken, and prices come."""
        is_fed = self._feed_task is None or not self._feed_task.done()
        return self.exchange.is_current and is_fed and not self._is_stopping

    @property
    def waiting(self) -> int:
        """Orders that wait for an index, queued closes included."""
        return self._room.orders + len(self.exchange.memory.queue)

    # -- commands

    async def submit(self, command: Command, key: str) -> Executed:
        """Execute a command and return what was done once that is durable.

        Raises:
            KeyConflictError: The key was used for another command.
            MalformedCommandError: The journal cannot hold it.
            QuarantinedError: A kernel failed on it before.
            BatchLostError: Nothing was done; the same key can be sent again.
        """
        (answer,) = await self._put(Job([(command, key)], self._future()))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def order(self, orders: list[tuple[Open | Close, str]]) -> list[Answer]:
        """Carry out orders, one after another, at the first index published late enough.

        Whatever has been answered before is answered again at once. Exceptions, those of
        `submit`, are returned in place of the answer to their order.
        """
        sentinel = f"{orders[0][1]} {len(orders)}"
        if self.fill_delay_ms == 0 or self.exchange.knows(orders[0][1]):
            return await self._put(Job(list(orders), self._future(), sentinel))
        fill_after_ms = self.clock.now_ms() + self.fill_delay_ms
        delayed: list[tuple[Command, str]] = [
            (replace(order, fill_after_ms=fill_after_ms), key) for order, key in orders
        ]
        underlyings = frozenset(self._underlying_of(order) for order, _ in orders) - {""}
        job = Job(delayed, self._future(), sentinel, underlyings, fill_after_ms)
        if not underlyings:
            return await self._put(job)
        if self._is_stopping or self._room.is_full:
            raise BatchLostError("no more orders are taken now")
        self._room.enter(job)
        return await job.answers

    def _underlying_of(self, order: Open | Close) -> str:
        """Return whose index an order waits for; nothing for one that is refused at once."""
        memory = self.exchange.memory
        if isinstance(order, Open):
            return order.underlying if order.underlying in memory.underlyings else ""
        token = memory.tokens.get(order.token)
        if token is None:
            return ""
        slot = own_position(token, memory.slot_of(order.token, order.account), order.position_id)
        if slot == NONE:
            return ""
        series = int(token.state.positions["series"][slot])
        return memory.underlyings[int(token.state.series["underlying"][series])]

    @staticmethod
    def _future() -> "asyncio.Future[list[Answer]]":
        return asyncio.get_running_loop().create_future()

    async def _put(self, job: Job) -> list[Answer]:
        if self._is_stopping:
            raise BatchLostError("the exchange is stopping")
        self._queue.append(job)
        self._schedule()
        return await job.answers

    def _schedule(self) -> None:
        """Take a turn once everything that is ready to hand in commands has done so."""
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def settled(self) -> Memory:
        """Return the memory once nothing is in it that is not durable.

        It stays so until the caller next waits for anything.

        Raises:
            BatchLostError: The database cannot be read.
        """
        while not self.exchange.is_settled:
            waiting = asyncio.get_running_loop().create_future()
            self._readers.append(waiting)
            self._schedule()
            await waiting
        return self.exchange.memory

    # -- the writer's turn

    def _turn(self) -> None:
        """Execute what has come in, and begin a commit where none is running."""
        self._is_scheduled = False
        exchange = self.exchange
        if exchange.is_lost and not exchange.is_committing:
            self._begin_commit()  # those whose batch it was are told, before anything else is done
            return
        if not (self._readers or exchange.must_wait):
            now_ms = self.clock.now_ms()
            try:
                self._execute_queue(now_ms)
                self._flush_due(now_ms)
                self._readings.take(exchange, now_ms)
            except Exception:  # noqa: BLE001 - whatever it is, nobody is left without an answer
                _log.exception("the batch is dropped")
        if not exchange.is_committing and self._is_batch_ready():
            self._begin_commit()

    def _is_batch_ready(self) -> bool:
        """Whether half of those who were here last time are here, or have waited long enough.

        Every commit waits for the disk, so it pays to share it; while one half waits, the other is
        executed. A caller who is alone does not wait.
        """
        here = len(self._executed)
        if self._readers or here == 0 or 2 * here >= self._callers:
            return True
        loop = asyncio.get_running_loop()
        if self._gathering_until == 0.0:
            self._gathering_until = loop.time() + GATHER_MAX
            loop.call_at(self._gathering_until, self._schedule)
        return loop.time() >= self._gathering_until

    def _begin_commit(self) -> None:
        """Have the executed batch written by the thread; without one, answer what needs none."""
        jobs, self._executed = self._executed, []
        begun = perf_counter()
        self._gathering_until = 0.0
        try:
            writes = self.exchange.begin_commit()
        except Exception as error:  # noqa: BLE001 - the state may be unreadable just now
            self._lose(jobs, error)
            writes = []
        if not writes:
            self._finish(jobs)
            return
        try:
            commit = self.exchange.store.stage(writes)
        except Exception as error:  # noqa: BLE001 - whatever the database has, the batch is lost
            self._end_commit(jobs, begun, error)
            return
        written = asyncio.get_running_loop().run_in_executor(self._thread, commit)
        written.add_done_callback(lambda done: self._end_commit(jobs, begun, done.exception()))

    def _end_commit(self, jobs: list[Job], begun: float, error: BaseException | None) -> None:
        """Answer a batch that was written, or tell everybody that it was not."""
        if error is None:
            self.exchange.end_commit()
        else:
            self.exchange.abandon_commit()
            # What was executed after it stands on what is lost.
            jobs += self._executed
            self._executed = []
            self._lose(jobs, Exception("the database did not take the batch", error))
        self._count(perf_counter() - begun, jobs)
        self._callers = len(jobs) + len(self._executed) + len(self._queue)
        self._finish(jobs)

    def _lose(self, jobs: list[Job], error: Exception) -> None:
        """Tell whose commands were not carried out, and readers of a state that is unreadable."""
        self.counts.lost_batches += 1
        _log.error("a batch of %s was lost", len(jobs), exc_info=error)
        lost = BatchLostError("the batch was not carried out")
        for job in jobs:
            job.results = [lost] * len(job.commands)
        if not self.exchange.is_current:
            self._let_readers_go(BatchLostError("the state cannot be read"))

    def _let_readers_go(self, error: BatchLostError | None = None) -> None:
        """Let readers in, or tell them why not."""
        readers, self._readers = self._readers, []
        for reader in readers:
            if reader.done():
                continue
            if error is None:
                reader.set_result(None)
            else:
                reader.set_exception(error)

    def _finish(self, jobs: list[Job]) -> None:
        """Answer jobs; let readers in where all is durable; go on."""
        for job in jobs:
            missing = len(job.commands) - len(job.results)
            job.answer(job.results + [BatchLostError("the batch was dropped")] * missing)
        if self.exchange.is_settled:
            self._let_readers_go()
        if self._queue or self._executed or self._readers:
            self._schedule()

    def _execute_queue(self, now_ms: int) -> None:
        self._queue.extendleft(reversed(self._room.leave_overdue()))
        while self._queue and not self.exchange.is_batch_full:
            job = self._queue.popleft()
            self._executed.append(job)
            refusal = self._refusal_of(job)
            if refusal is not None:
                job.results = [refusal] * len(job.commands)
                continue
            for command, key in job.commands:
                job.results.append(self._execute(command, key, now_ms))
            if any(isinstance(command, Tick) for command, _ in job.commands):
                self._queue.extendleft(reversed(self._room.leave_ready(self._index_times)))

    def _refusal_of(self, job: Job) -> Exception | None:
        """Return why nothing of a job may be executed, None where all of it may.

        It is decided here, when the job's turn has come: what was sent before it with the same key
        may have waited until just now.
        """
        exchange, keys = self.exchange, [key for _, key in job.commands]
        for key in keys:
            if exchange.is_quarantined(key):
                return QuarantinedError(key)
        known = [exchange.knows(key) for key in keys]
        if (any(known) and not all(known)) or (job.sentinel and exchange.knows(job.sentinel)):
            return KeyConflictError(keys[0])
        return None

    def _execute(self, command: Command, key: str, now_ms: int) -> Answer:
        """Execute one command; the error in place of a record where it is nothing to execute.

        Raises:
            QuarantinedError: A kernel failed, and the batch is lost.
        """
        try:
            executed = self.exchange.execute(replace(command, now_ms=now_ms), key)
            self.counts.refused += executed.outcome.code != 0
        except (KeyConflictError, MalformedCommandError) as error:
            return error
        except QuarantinedError as error:
            if error.__cause__ is not None:
                raise
            return error
        if isinstance(command, Tick):
            self._fill_queued(command.underlying, executed.outcome, now_ms)
        return executed

    def _fill_queued(self, underlying: str, outcome: Outcome, now_ms: int) -> None:
        """Carry out the closes that waited for a fresh index, before anything else is done."""
        if outcome.code == 0 and outcome.verdict == OracleVerdict.USED:
            slot = self.exchange.memory.underlyings.index(underlying)
            published_ms = int(self.exchange.memory.market.oracle.index_ms[slot])
            self._index_times[underlying] = min(published_ms, now_ms)
            for close in self.exchange.waiting(underlying):
                self._execute(close, fill_key(close.order), now_ms)

    def _flush_due(self, now_ms: int) -> None:
        if now_ms // FLUSH_LOOK_MS == self._flushes_looked_at:
            return
        self._flushes_looked_at = now_ms // FLUSH_LOOK_MS
        for name, token in self.exchange.memory.tokens.items():
            due_ms = int(token.state.pool["next_flush_ms"][0])
            if now_ms >= due_ms:
                self._execute(Flush(name, now_ms), f"/flush/{name}/{due_ms}", now_ms)

    def _count(self, taken: float, jobs: list[Job]) -> None:
        counts = self.counts
        counts.batches += 1
        counts.commands += sum(len(job.commands) for job in jobs)
        counts.batch_seconds += taken
        counts.last_batch_seconds = taken

    # -- what happens by itself

    def observe(self, seen: Iterable[Observation]) -> "asyncio.Future[list[Answer]]":
        """Hand in observations as ticks."""
        now_ms, number = self.clock.now_ms(), self.exchange.journal_length
        ticks: list[tuple[Command, str]] = [
            (
                Tick(
                    each.symbol,
                    each.price_e8,
                    each.published_ms,
                    now_ms,
                    each.confidence_e8,
                    each.vol_e9,
                    each.sources,
                ),
                f"/tick/{each.symbol}/{each.published_ms}/{number}",
            )
            for each in seen
        ]
        job = Job(ticks, self._future())
        self._queue.append(job)
        self._schedule()
        return job.answers

    async def _follow(self, feed: Feed) -> None:
        """Hand in what a feed observes, to its end; one that fails is asked again after a pause."""
        pause = 1.0
        while True:
            try:
                async for seen in feed.observations(self.clock):
                    await self.observe(seen)
                    pause = 1.0
            except Exception:  # noqa: BLE001 - without prices the exchange goes on, and says so
                _log.exception("the feed %s has failed", feed.name)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(2.0 * pause, FEED_PAUSE_MAX)

    async def _look_after(self) -> None:
        """Let nothing wait for a caller: overdue orders, flushes, invariants."""
        loop = asyncio.get_running_loop()
        check_at = loop.time() + CHECK_EVERY
        while True:
            await asyncio.sleep(0.25)
            self._schedule()
            if loop.time() >= check_at:
                check_at = loop.time() + CHECK_EVERY
                try:
                    self._check_invariants()
                except Exception:  # noqa: BLE001 - what is due must be looked after all the same
                    _log.exception("the invariants cannot be checked")

    def _check_invariants(self) -> None:
        if self.exchange.must_wait:
            return  # what is in memory is about to be read again
        memory = self.exchange.memory
        broken = "hold"
        for token in memory.tokens.values():
            number = first_violation(token.state, token.rules, memory.market)
            if number:
                broken = f"I{int(number)}"
        if broken != "hold" and self.invariants == "hold":
            _log.error("invariant %s is broken", broken)
        self.invariants = broken
        self.invariants_checked_ms = self.clock.wall_ms()
