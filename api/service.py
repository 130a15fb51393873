"""The single writer as many callers at once see it.

Callers hand in commands and wait. Whatever has come in by the time the writer has its turn is
executed in order of arrival; while one batch is being written by a thread, the next is executed.
Answers go out when their batch is durable. Who reads the memory waits with `settled` until what
is in it is durable too; nothing new is executed while somebody waits for that. Time is stamped on
a command when it is executed.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

from amm.oracle import OracleVerdict
from api.clock import Clock
from api.dispatch import Executed, own_position
from api.exchange import (
    PASSING,
    BatchLostError,
    Exchange,
    KeyConflictError,
    QuarantinedError,
    fill_key,
)
from api.feeds import Feed, Observation
from api.feeds.health import FeedHealth
from api.jobs import Answer, Job, WaitingRoom, taken_at
from api.journal import MalformedCommandError
from api.memory import Memory
from api.operating import adoptable
from api.readings import Readings
from api.sessions import Session, Sessions
from api.storage.errors import StoreError, TokenElsewhereError
from api.tally import Tally
from vaults.commands import AdoptParameters, ApplyAction, Close, Command, Flush, Open, Outcome, Tick
from vaults.generations import base_of
from vaults.invariants import first_violation
from vaults.state import NONE

FLUSH_LOOK_MS = 250
"""How often it is looked whether a flush is due."""
GATHER_MAX = 0.002
"""Seconds an executed command waits at most for others to share its commit."""
STOP_MAX = 5.0
"""Seconds the last batch may take at the end."""
END_MAX = 1.0
"""Seconds the thread may take then to come back from the database, before that is broken off."""
SETTLE_MAX = 5.0
"""Seconds a reader waits at most for what is being written."""
COMMIT_LATE = 2.0
"""Seconds after which a commit that still runs is a fault."""
FEED_PAUSE_MAX = 30.0
"""Seconds at most until a feed that has failed is followed again."""
COMMIT_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024)
"""Bounds of the histogram of commits."""
LOOK_EVERY = 2.0
"""Seconds between two looks whether the database is still this process's to write to."""
CHECK_EVERY = 10.0
"""Seconds between two checks of all invariants."""

SHORT_COMMIT = 0.001
"""Seconds: a commit that is shorter is over before another thread has been woken for it."""
LONG_COMMIT = 0.005
"""Seconds: after one that is longer, the next have a thread again, until they are short."""

_log = logging.getLogger("evergamma")


def error_of(act: Callable[[], object]) -> Exception | None:
    """Do something; return what went wrong."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - it is for the caller to judge
        return error
    return None


class CommitTimes:
    """How long commits take, the last ones above all."""

    def __init__(self) -> None:
        self._usual = 2 * SHORT_COMMIT

    @property
    def are_short(self) -> bool:
        """Whether the next one can be waited for."""
        return self._usual < SHORT_COMMIT

    def take(self, commit: Callable[[], None]) -> None:
        """Commit, and take note of the time."""
        begun = perf_counter()
        commit()
        taken = perf_counter() - begun
        is_stalled = taken > LONG_COMMIT
        self._usual = taken if is_stalled else self._usual + 0.05 * (taken - self._usual)


@dataclass(slots=True)
class Counts:
    """What the writer has done since it started."""

    lost_batches: int = 0
    last_batch_seconds: float = 0.0
    outcomes: defaultdict[tuple[type[Command], int], int] = field(
        default_factory=lambda: defaultdict(int)
    )
    sizes: Tally = field(default_factory=lambda: Tally(1, 2, 4, 8, 16, 32, 64, 128, 256))
    seconds: Tally = field(default_factory=lambda: Tally(*COMMIT_SECONDS))


class Service:
    """An exchange with a clock and a feed, for asynchronous callers of one event loop.

    Attributes:
        on_commit: What is called with each batch that has become durable, before its callers are
            answered; quick, and never raising.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        feed: Feed | None = None,
        fill_delay_ms: int = 250,
        sessions: Sessions | None = None,
    ) -> None:
        self.exchange = exchange
        self.clock = clock
        self.feed = feed
        self.fill_delay_ms = fill_delay_ms
        self._sessions = sessions
        self.started_ms = clock.wall_ms()
        self.counts = Counts()
        self.invariants = "hold"
        self.invariants_checked_ms = 0
        self.on_commit: list[Callable[[Sequence[Executed]], None]] = []
        self._readings = Readings()
        self._queue: deque[Job] = deque()
        self._executed: list[Job] = []
        self._readers: list[asyncio.Future[None]] = []
        self._thread = ThreadPoolExecutor(1, "writer")
        self._commit_times = CommitTimes()
        self._commit_begun: float | None = None
        self._look: asyncio.Future[None] | None = None
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

    def take_no_more(self) -> None:
        """Take no more commands; those that were taken are carried out as ever."""
        self._is_stopping = True

    async def stop(self) -> None:
        """Finish the running batch and take no more commands."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._sessions is not None:
            await self._sessions.close()
        stopping = BatchLostError("the exchange is stopping")
        for job in self._room.leave_all():
            job.answer([stopping] * len(job.commands))
        with suppress(TimeoutError, BatchLostError):
            async with asyncio.timeout(STOP_MAX):
                while self._queue or not self.exchange.is_settled:
                    await self.settled()
                    self._turn()
        await self._end_thread()
        if self.exchange.is_committing:
            _log.error("the last batch is still being written")
            return
        try:
            self.exchange.checkpoint()
        except StoreError as error:
            _log.error("the state could not be saved: %s", error)
        except Exception:  # noqa: BLE001 - the journal has it all; the next start takes longer
            _log.exception("the state could not be saved")

    async def _end_thread(self) -> None:
        """Wait for the thread, but not for a database that does not answer."""
        idle = asyncio.wrap_future(self._thread.submit(int))
        _, still = await asyncio.wait([idle], timeout=END_MAX)
        if still:
            self.exchange.store.break_off()
            await asyncio.wait([idle], timeout=END_MAX)
        self._thread.shutdown(wait=False)

    @property
    def is_ready(self) -> bool:
        """Whether commands are taken, and written, and prices come."""
        is_fed = self._feed_task is None or not self._feed_task.done()
        is_written = self.commit_age <= COMMIT_LATE
        return self.exchange.is_current and is_written and is_fed and not self._is_stopping

    @property
    def commit_age(self) -> float:
        """Seconds since the running commit has begun; 0 where none runs."""
        return 0.0 if self._commit_begun is None else perf_counter() - self._commit_begun

    @property
    def waiting(self) -> int:
        """Orders that wait for an index, queued closes included."""
        return self._room.orders + len(self.exchange.memory.queue)

    @property
    def queued(self) -> int:
        """Requests that wait for the writer."""
        return len(self._queue)

    def feed_health(self) -> list[FeedHealth]:
        """Return how each source of prices is; there is none where they are pushed."""
        return [] if self.feed is None else self.feed.health(self.clock.now_ms())

    async def session(self) -> Session | None:
        """Return the session of the tokens' stocks, None where nobody knows it."""
        return None if self._sessions is None else await self._sessions.at(self.clock.now_ms())

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
            BatchLostError: The database cannot be read, or does not answer.
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
                self._do_what_is_due(now_ms)
                self._readings.take(exchange, now_ms)
            except StoreError:  # the commit, which cannot be begun either, tells everybody
                pass
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
        timed = partial(self._commit_times.take, commit)
        if self._commit_times.are_short and not self.exchange.store.may_wait:
            self._end_commit(jobs, begun, error_of(timed))
            return
        self._commit_begun = begun
        written = asyncio.get_running_loop().run_in_executor(self._thread, timed)
        written.add_done_callback(lambda done: self._end_commit(jobs, begun, done.exception()))

    def _end_commit(self, jobs: list[Job], begun: float, error: BaseException | None) -> None:
        """Answer a batch that was written, or tell everybody that it was not."""
        self._commit_begun = None
        if error is None:
            self._tell_untold()
            self._tell(self.exchange.end_commit())
            self._count(perf_counter() - begun, jobs)
        else:
            self.exchange.abandon_commit()
            self._tell_untold()
            # What was executed after it stands on what is lost.
            jobs += self._executed
            self._executed = []
            self._lose(jobs, Exception("the database did not take the batch", error))
        self._callers = len(jobs) + len(self._executed) + len(self._queue)
        self._finish(jobs)

    def _tell_untold(self) -> None:
        """Tell of what lost commits have done; a database that is away again is asked later."""
        try:
            self._tell(self.exchange.untold())
        except Exception:  # noqa: BLE001 - callers are answered whatever it is
            _log.exception("what the last commits have done could not be read")

    def _lose(self, jobs: list[Job], error: Exception) -> None:
        """Tell whose commands were not carried out, and readers of a state that is unreadable."""
        if jobs or not isinstance(error, StoreError):
            self.counts.lost_batches += 1
            # What a database that is away says of itself is all there is to know.
            more = None if isinstance(error, StoreError) else error
            _log.error("a batch of %s was lost: %s", len(jobs), error, exc_info=more)
        for job in jobs:
            job.results = [self._answer_after_loss(command, key) for command, key in job.commands]
        if not self.exchange.is_current:
            self._let_readers_go(BatchLostError("the state cannot be read"))

    def _answer_after_loss(self, command: Command, key: str) -> Answer:
        """Return the answer to what was done after all, or that it was not as far as is known."""
        if self.exchange.is_current and self.exchange.knows(key):
            with suppress(Exception):  # the database may be away again
                return self.exchange.execute(command, key)
        return BatchLostError("the batch was not carried out, as far as is known")

    def _tell(self, executed: list[Executed]) -> None:
        """Count what has become durable, and tell those who listen."""
        for done in executed:
            self.counts.outcomes[type(done.command), done.outcome.code] += 1
        if executed:
            for listener in self.on_commit:
                listener(executed)

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
            halted = self._orders_before(job, now_ms)
            if halted:  # whoever gave one counted in the units that are about to change
                self._queue.extendleft([job, *reversed(halted)])
                continue
            self._executed.append(job)
            refusal = self._refusal_of(job)
            if refusal is not None:
                job.results = [refusal] * len(job.commands)
                continue
            for command, key in job.commands:
                job.results.append(self._execute(command, key, now_ms))
            if any(isinstance(command, Tick) for command, _ in job.commands):
                self._queue.extendleft(reversed(self._room.leave_ready(self._index_times)))

    def _orders_before(self, job: Job, now_ms: int) -> list[Job]:
        """Return the orders that wait and must be refused before a job is carried out."""
        bases = {
            command.token
            for command, _ in job.commands
            if isinstance(command, ApplyAction)
            and self.exchange.memory.is_halted(command.token, now_ms)
        }
        if not bases:
            return []
        return self._room.leave_those(
            lambda command: isinstance(command, Open | Close) and base_of(command.token) in bases
        )

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
            executed = self.exchange.execute(taken_at(command, now_ms), key)
        except (KeyConflictError, MalformedCommandError, TokenElsewhereError) as error:
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

    def _do_what_is_due(self, now_ms: int) -> None:
        """Flush, and put announced parameters in force; what a corporate action halts waits."""
        if now_ms // FLUSH_LOOK_MS == self._flushes_looked_at:
            return
        self._flushes_looked_at = now_ms // FLUSH_LOOK_MS
        memory = self.exchange.memory
        for name in [each for each in memory.tokens if not memory.is_halted(each, now_ms)]:
            version = adoptable(memory, name, now_ms)
            if version:
                adopt = AdoptParameters(name, version, now_ms)
                self._execute(adopt, f"/adopt/{name}/{version}", now_ms)
            due_ms = int(memory.tokens[name].state.pool["next_flush_ms"][0])
            if now_ms >= due_ms:
                self._execute(Flush(name, now_ms), f"/flush/{name}/{due_ms}", now_ms)

    def _count(self, taken: float, jobs: list[Job]) -> None:
        counts = self.counts
        counts.sizes.note(sum(len(job.commands) for job in jobs))
        counts.seconds.note(taken)
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
                f"{PASSING}{each.symbol}/{each.published_ms}/{number}",
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
                async with aclosing(feed.observations(self.clock)) as stream:
                    async for seen in stream:
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
        check_at, look_at = loop.time() + CHECK_EVERY, loop.time() + LOOK_EVERY
        while True:
            await asyncio.sleep(0.25)
            self._schedule()
            if loop.time() >= look_at:
                look_at = loop.time() + LOOK_EVERY
                if self._look is None or self._look.done():
                    self._look = loop.run_in_executor(self._thread, self.exchange.store.look)
            if self.commit_age > SETTLE_MAX:
                self._let_readers_go(BatchLostError("the database does not answer"))
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
