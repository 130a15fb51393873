"""An exchange behind its service: many callers at once, and what each of them was told."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from api.clock import Clock
from api.dispatch import Executed
from api.exchange import BatchLostError
from api.feeds import Observation
from api.service import Service
from tests.faults.boundaries import CrashError, Fault
from tests.faults.life import Life
from tests.faults.loop import SimulatedLoop
from tests.faults.traffic import START_MS, Asked
from tests.faults.witness import promise
from vaults.commands import Close, Open

CALLERS = 5
CALLS = 12
"""Calls of each before the service is stopped, if it lives so long."""
TRIES = 3
PASSES_MAX = 6
"""Commits before a fault, at most."""
FAILURES_MAX = 3
DELAYS_MS = (0, 250)
"""Fill delays a service is started with."""


class _Clock(Clock):
    """The time of a simulated loop, which can be let leap."""

    def __init__(self, loop: SimulatedLoop, start_ms: int) -> None:
        self._loop = loop
        self._start_ms = start_ms
        self._leaps_ms = 0
        super().__init__(start_ms=start_ms)

    def wall_ms(self) -> int:
        """Return the time of the loop, and of all leaps."""
        return self._start_ms + self._leaps_ms + int(self._loop.time() * 1_000)

    def fall_back(self, milliseconds: int) -> None:
        """Be set back, as a wall clock may be."""
        self._leaps_ms -= milliseconds

    def leap_to(self, time_ms: int) -> None:
        """Let it be as late as this at least."""
        if time_ms > self.now_ms():
            self._leaps_ms += time_ms - self.wall_ms()


class LifeServed(Life):
    """A life of a service: it is started, called, and dies or is stopped, over and over."""

    _died: "asyncio.Future[None] | None" = None

    def run(self, crashes: int) -> None:
        """Live until it has died so often.

        Raises:
            BrokenPromiseError: A caller was told what is not so, or anything does not add up.
        """
        self._unanswered: list[Asked] = []
        self.begin()
        while self.tally["crashes"] < crashes:
            self.met.clear()
            self._draw()
            with asyncio.Runner(loop_factory=lambda: SimulatedLoop(self.chance)) as runner:
                runner.get_loop().set_exception_handler(_ignore_crash)
                runner.run(self._serve())
            self.store.store.close()
            if not self.store.is_dead:
                self.database.crash()
            self.start()
            self.faults.clear()
            self.look()

    def _draw(self) -> None:
        """Choose some failures of the database, each with a relapse or not, and how it ends."""
        for _ in range(self.chance.randint(1, FAILURES_MAX)):
            self.faults.append(self.draw_fault(self.chance.randrange(PASSES_MAX)))
            if self.chance.random() < 0.2:
                self.faults.append(self.draw_relapse())

    def at_fault(self, fault: Fault) -> None:
        """Let the callers know when the process has died: nobody is answered any more."""
        super().at_fault(fault)
        if fault.is_crash and self._died is not None and not self._died.done():
            self._died.set_result(None)

    async def _serve(self) -> None:
        """Serve callers until they have had enough, or the process dies."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        self._died = loop.create_future()
        self._clock = _Clock(loop, max(self.traffic.now_ms, START_MS))
        delay_ms = self.chance.choice(DELAYS_MS)
        self._service = Service(self.exchange, self._clock, None, delay_ms)
        await self._service.start()
        self._retries, self._unanswered = self._unanswered, []
        beside = [asyncio.create_task(each) for each in (self._feed(), self._read())]
        calling = [asyncio.create_task(self._call()) for _ in range(CALLERS)]
        await asyncio.wait(
            [asyncio.gather(*calling, return_exceptions=True), self._died],
            return_when=asyncio.FIRST_COMPLETED,
        )
        await _end([*calling, *beside] if self.store.is_dead else beside)
        if not self.store.is_dead:
            await asyncio.gather(*calling)
            with suppress(CrashError):
                await self._service.stop()
        self._unanswered += self._retries

    # -- callers

    async def _call(self) -> None:
        """Send again what nobody answered before the last start; then something new."""
        while self._retries and not self.store.is_dead:
            await self._ask(self._retries.pop(0))
        for _ in range(CALLS):
            self.traffic.now_ms = max(self.traffic.now_ms, self._clock.now_ms())
            for asked in self.traffic.next(self.exchange):
                await self._ask(asked)
            if self.chance.random() < 0.05:
                self._clock.fall_back(self.chance.randrange(10_000))
            await asyncio.sleep(self.chance.choice((0.0, 0.001, 0.01)))

    async def _ask(self, asked: Asked) -> None:
        """Send a command until it is answered, or there is no patience left."""
        self._clock.leap_to(asked[0].now_ms)
        for _ in range(TRIES):
            answers = await self._send(asked)
            if self.store.is_dead:
                break  # what came now would not have reached anybody
            told = [each for each in answers if isinstance(each, Executed)]
            for executed in told:
                self.witness.acknowledge(asked[0], executed)
            if told:
                return
        self._unanswered.append(asked)

    async def _send(self, asked: Asked) -> list[Any]:
        """Send a command once, or over two connections at once, or without waiting long."""
        way = self.chance.random()
        if way < 0.7:
            calls: list[Awaitable[Any]] = [self._submit(asked)]
        elif way < 0.85:
            calls = [self._submit(asked), self._submit(asked)]
        else:
            calls = [self._submit_impatiently(asked)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if not isinstance(answer, Executed | BatchLostError | TimeoutError):
                raise answer
        return answers

    async def _submit(self, asked: Asked) -> Executed:
        command, key = asked
        if not isinstance(command, Open | Close):
            return await self._service.submit(command, key)
        (answer,) = await self._service.order([(command, key)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _submit_impatiently(self, asked: Asked) -> Executed:
        return await asyncio.wait_for(self._submit(asked), self.chance.uniform(0.001, 0.02))

    # -- what happens beside them

    async def _feed(self) -> None:
        """Observe prices, for orders wait for them."""
        while True:
            self.traffic.now_ms = max(self.traffic.now_ms, self._clock.now_ms())
            seen = [
                Observation(each.underlying, each.price_e8, 0, each.now_ms, each.vol_e9)
                for each in self.traffic.ticks()
            ]
            self._clock.leap_to(self.traffic.now_ms)
            self._service.observe(seen)
            await asyncio.sleep(self.chance.uniform(0.1, 0.6))

    async def _read(self) -> None:
        """Read the memory now and then: what is in it is durable."""
        while True:
            await asyncio.sleep(self.chance.uniform(0.0, 0.05))
            try:
                await self._service.settled()
            except BatchLostError:
                continue
            if not self.store.is_dead:
                last = self.store.store.last_record()
                durable = 0 if last is None else last.sequence
                promise(durable == self.exchange.journal_length, "a reader saw too much")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks; one that has failed before fails here."""
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


def _ignore_crash(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Let a dead process be silent."""
    if not isinstance(context.get("exception"), CrashError):
        loop.default_exception_handler(context)
