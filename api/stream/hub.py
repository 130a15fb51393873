"""The hub: from batches that became durable to the messages of channels.

What happened is told from the batch itself, what is from the state (`api.stream.watch`). A message
is encoded once, and sent to its readers a few hundred at a time (`api.stream.registry`).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from secrets import token_hex

from amm.units import AmountError
from api.access.ring import KeyRing
from api.dispatch import Executed
from api.exchange import BatchLostError
from api.history import read_entries
from api.http.gate import Principal
from api.http.problems import ProblemError
from api.instruments import parse_series
from api.service import Service
from api.stream.channels import EventChannel, Name, StateChannel
from api.stream.connections import Connections
from api.stream.counts import Counts
from api.stream.events import accounts_of, event_rows, names_of_order, queued_orders
from api.stream.messages import PRIVATE, TRY_LATER, Answer, Begun, Subscribed, Welcome
from api.stream.registry import Registry
from api.stream.session import Session
from api.stream.tickers import Tickers
from api.stream.watch import Watch
from api.views import market, orders

LOOK_S = 0.25
"""How often it is looked at what time brings."""
TRADES_MAX = 50
"""Trades of a snapshot."""

_log = logging.getLogger("evergamma")


class Hub:
    """All connections and channels of a service."""

    def __init__(self, service: Service, keys: KeyRing) -> None:
        self.counts = Counts()
        self.epoch = token_hex(8)
        self.connections = Connections(keys)
        self._service = service
        self._channels = Registry(self.counts)
        self._tickers = Tickers()
        self._sequence = 0
        self._watch = Watch(service, self._channels)
        self._tasks: list[asyncio.Task[None]] = []

    def now_ms(self) -> int:
        """Return the exchange's time."""
        return self._service.clock.now_ms()

    # -- life

    def start(self) -> None:
        """Begin to listen to the writer."""
        self._sequence = self._service.exchange.journal_length
        self._service.on_commit.append(self.take)
        watch = self._watch
        for work in (self._channels.spread, watch.markets, watch.accounts, self._look_after):
            self._tasks.append(asyncio.create_task(work()))

    async def stop(self) -> None:
        """Tell nobody anything more."""
        self._service.on_commit.remove(self.take)
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def join(self, session: Session) -> None:
        """Welcome a connection."""
        self.connections.enter(session)
        self.counts.connections += 1
        account = None if session.principal is None else session.principal.account
        session.say(Welcome(epoch=self.epoch, exchange_time=self.now_ms(), account=account))

    def identify(self, session: Session, principal: Principal) -> None:
        """Take note of whose a connection is.

        Raises:
            ProblemError: The key has too many, or its account reads too many tickers.
        """
        self.connections.room_for("", principal)
        self._tickers.identify(session, principal)
        self.connections.identify(session, principal)

    def leave(self, session: Session) -> None:
        """Forget a connection."""
        for name in list(session.channels):
            self._channels.detach(session, name)
        self._tickers.leave(session)
        self.connections.leave(session)
        self.counts.connections -= 1

    async def _look_after(self) -> None:
        """Do what time brings: keys end, readers fall silent, old messages are forgotten."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.connections.expel_ended(self._service.clock.wall_ms())
            self.connections.give_signs_of_life(self.now_ms())
            self._channels.forget()

    # -- subscriptions

    def check(self, name: Name) -> None:
        """Make sure that there is such a channel.

        Raises:
            ProblemError: There is none.
        """
        memory, (kind, of) = self._service.exchange.memory, name
        is_there = kind in PRIVATE or of in (
            memory.underlyings if kind == "index" else memory.tokens
        )
        if kind == "ticker":
            with suppress(AmountError):
                series = parse_series(of)
                is_there = market.is_series(memory, series)
                if is_there and not market.is_tradable(memory, series):
                    detail = f"{of} cannot be opened now, and nobody holds it: it has no ticker."
                    raise ProblemError("NOT_FOUND", detail)
        if not is_there:
            raise ProblemError("NOT_FOUND", f"There is no channel {name.on_the_wire}.")

    async def subscribe(
        self, session: Session, number: int | str, names: list[Name], seqs: Mapping[str, int]
    ) -> None:
        """Answer a subscription, then send each channel's snapshot, or what was missed of it.

        Raises:
            ProblemError: Too many tickers are read.
            BatchLostError: The state cannot be read; nothing was subscribed to.
        """
        new = self._tickers.ask(session, names)
        try:
            await self._service.settled()
        except BatchLostError:
            self._tickers.leave(session, new)
            raise
        missed = {name: self._missed(name, seqs.get(name.on_the_wire)) for name in names}
        begun = [
            Begun(channel=name.on_the_wire, resumed=frames is not None)
            for name, frames in missed.items()
        ]
        session.say(Answer(id=number, result=Subscribed(epoch=self.epoch, channels=begun)))
        for name, frames in missed.items():
            if frames is not None:
                self._channels.attach(session, self._channels.open(name))
                for frame in frames:
                    session.send(frame)
        try:
            for name in (each for each, frames in missed.items() if frames is None):
                await self._begin(session, name)
                await session.keep_pace()
        except BatchLostError:  # it was answered that they follow
            session.end(TRY_LATER, "the state cannot be read now")

    def unsubscribe(self, session: Session, name: Name) -> None:
        """Send a connection no more of a channel."""
        self._channels.detach(session, name)
        self._tickers.leave(session, [name])

    def _missed(self, name: Name, seq: int | None) -> list[bytes] | None:
        """Return the messages after a number, None where there has to be a snapshot."""
        channel = self._channels.events(name)
        if seq is None or channel is None:
            return None
        self._channels.seal(channel)
        return channel.after(seq)

    async def _begin(self, session: Session, name: Name) -> None:
        """Send a snapshot, and have what comes after it sent."""
        if name.kind == "trades":
            await self._begin_trades(session, name)
            return
        memory = await self._service.settled()
        channel = self._channels.open(name)
        channel.time = self.now_ms()
        if isinstance(channel, StateChannel):
            channel.refresh(memory, channel.time)
            rows = channel.rows
        else:
            rows = queued_orders(memory, name.of) if name.kind == "orders" else {}
        self._channels.seal(channel)
        self._channels.attach(session, channel)
        session.send(channel.snapshot(list(rows.values()), channel.seq))

    async def _begin_trades(self, session: Session, name: Name) -> None:
        """Send the newest trades, which only the database has; more may be done meanwhile."""
        channel = self._channels.open(name)
        assert isinstance(channel, EventChannel)
        self._channels.seal(channel)
        seq, before = channel.seq, self._sequence + 1
        store, topic = self._service.exchange.store, f"trades/{name.of}"
        newest = partial(read_entries, store, topic, before, TRADES_MAX, is_current=True)
        entries = await asyncio.to_thread(newest)
        self._channels.seal(channel)
        frames = channel.after(seq)
        if frames is None:  # more was done meanwhile than is kept
            await self._begin_trades(session, name)
            return
        memory = self._service.exchange.memory
        rows = [orders.public_trade(memory, each) for each in reversed(entries)]
        channel.time = self.now_ms()
        self._channels.attach(session, channel)
        for frame in (channel.snapshot(rows, seq), *frames):
            session.send(frame)

    # -- what happened

    def take(self, batch: Sequence[Executed]) -> None:
        """Take a batch that has become durable."""
        if batch:
            self._sequence = batch[-1].record.sequence
        if not len(self._channels):
            return
        try:
            for done in batch:
                self._watch.note(done, self._tell_events(done))
        except Exception:  # noqa: BLE001 - the writer goes on, whatever its listeners do
            _log.exception("a batch could not be streamed")

    def _tell_events(self, done: Executed) -> list[str]:
        """Gather what happened for those who read it; return whose accounts it touched."""
        memory, read = self._service.exchange.memory, self._channels.accounts
        named = [each for each in accounts_of(memory, done) if each in read] if read else []
        for kind, of in (*names_of_order(done), *(("ledger", account) for account in named)):
            channel = self._channels.events(Name(kind, of))
            if channel is not None:
                for row in event_rows(kind, of, memory, done):
                    channel.add(row, done.record.now_ms)
                self._channels.tell(channel)
        return named
