"""The channels there are, and the way of their messages to readers."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from time import monotonic

from api.stream.channels import (
    KEPT_S,
    Channel,
    EventChannel,
    Name,
    StateChannel,
    channel_of,
)
from api.stream.counts import Counts
from api.stream.messages import PRIVATE
from api.stream.session import Session

FAN_OUT = 200
"""Readers a message is sent to before others have their turn."""


class Registry:
    """Channels by their names.

    Attributes:
        counts: Of everything that is streamed.
        accounts: Those that have channels, and how many.
    """

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.accounts: Counter[str] = Counter()
        self._channels: dict[Name, Channel] = {}
        self._floor = 0
        self._news: dict[Channel, None] = {}
        self._has_news = asyncio.Event()

    def __len__(self) -> int:
        return len(self._channels)

    def states(self) -> Iterator[StateChannel]:
        """Yield the channels that show state."""
        return (each for each in self._channels.values() if isinstance(each, StateChannel))

    def states_of(self, account: str) -> Iterator[StateChannel]:
        """Yield those of an account."""
        found = (self._channels.get(Name(kind, account)) for kind in PRIVATE)
        return (each for each in found if isinstance(each, StateChannel))

    def events(self, name: Name) -> EventChannel | None:
        """Return a channel of events, None where nobody has asked for it lately."""
        channel = self._channels.get(name)
        return channel if isinstance(channel, EventChannel) else None

    def open(self, name: Name) -> StateChannel | EventChannel:
        """Return a channel; a new one goes on counting above all that were forgotten."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = channel_of(name, self._floor)
            channel.idle_since = monotonic()
            if name.kind in PRIVATE:
                self.accounts[name.of] += 1
        assert isinstance(channel, StateChannel | EventChannel)
        return channel

    def attach(self, session: Session, channel: Channel) -> None:
        """Have what comes after a channel's last message sent to a reader."""
        if session.is_over:
            return
        self.counts.subscriptions += channel.name not in session.channels
        session.channels[channel.name] = None
        channel.readers[session] = channel.seq

    def detach(self, session: Session, name: Name) -> None:
        """Send a reader no more of a channel."""
        if name not in session.channels:
            return
        del session.channels[name]
        self.counts.subscriptions -= 1
        channel = self._channels[name]
        del channel.readers[session]
        if not channel.readers:
            channel.idle_since = monotonic()
            if not channel.is_lossless:
                self._drop(channel)

    def forget(self) -> None:
        """Forget messages nobody should ask for any more, and channels long without readers."""
        before_s = monotonic() - KEPT_S
        for channel in list(self._channels.values()):
            if isinstance(channel, EventChannel):
                channel.forget(before_s)
            if not channel.readers and channel.idle_since < before_s:
                self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        name = channel.name
        # One more: what comes meanwhile is numbered by nobody, so who has all there was lacks it.
        self._floor = max(self._floor, channel.seq + 1)
        del self._channels[name]
        self._news.pop(channel, None)
        if name.kind in PRIVATE:
            self.accounts[name.of] -= 1
            self.accounts += Counter()  # without those that have none left

    # -- messages

    def tell(self, channel: Channel) -> None:
        """Have what a channel has gathered sent."""
        if channel.has_news:
            self._news[channel] = None
            self._has_news.set()

    def seal(self, channel: Channel) -> None:
        """Number what a channel has gathered, so that it is in the past of who comes now."""
        channel.seal(monotonic())
        self.tell(channel)

    async def spread(self) -> None:
        """Send messages to readers, for good; while one is sent, the next gathers rows."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            while self._news:
                channel = next(iter(self._news))
                del self._news[channel]
                channel.seal(monotonic())
                while channel.outgoing:
                    await _send(channel, *channel.outgoing.popleft())


async def _send(channel: Channel, seq: int, frame: bytes) -> None:
    """Send a message to the readers that do not have it."""
    for count, session in enumerate(list(channel.readers), 1):
        if channel.readers.get(session, seq) < seq:
            channel.readers[session] = seq
            session.send(frame)
        if count % FAN_OUT == 0:
            await asyncio.sleep(0)
