"""What may have changed in the state, and when it is looked at.

The memory is read while nothing is in it that is not durable (`Service.settled`), a few
milliseconds at a time; a channel nobody reads costs nothing. Tickers, of which there may be
thousands, have what the others leave of a look's time, and take turns.
"""

import asyncio
import logging
from collections import OrderedDict
from math import inf
from time import monotonic, perf_counter

from api.dispatch import Executed
from api.exchange import BatchLostError
from api.service import Service
from api.stream.channels import Name, StateChannel
from api.stream.messages import PRIVATE
from api.stream.registry import Registry
from vaults.commands import ApplyAction, Command, MoveBalance, Tick

BEAT_S = 0.25
"""How often state that belongs to nobody alone is looked at."""
AGEING_S = 1.0
"""How often indices and pools are looked at though nothing was done: they grow stale."""
PROMPT_S = 0.02
"""How long an account's own changes are gathered."""
SLICE_S = 0.004
"""How long channels are looked at before others have three times as long."""
LOOK_S = 0.04
"""How long a look may take with its tickers; they have a slice of every look at least."""

Due = OrderedDict[StateChannel, None]
"""Channels to be looked at, in this order."""

_log = logging.getLogger("evergamma")


class Watch:
    """Keeps the channels of state up to date."""

    def __init__(self, service: Service, channels: Registry) -> None:
        self._service = service
        self._channels = channels
        self._symbols: set[str] = set()
        self._tokens: set[str] = set()
        self._accounts: set[str] = set()
        self._has_accounts = asyncio.Event()
        self._tickers: Due = OrderedDict()

    def note(self, done: Executed, accounts: list[str]) -> None:
        """Note of what, and of whose accounts, the state may have changed."""
        command: Command = done.command
        if done.outcome.code:
            return
        if accounts:
            self._accounts.update(accounts)
            self._has_accounts.set()
        if isinstance(command, Tick):
            self._symbols.add(command.underlying)
        elif isinstance(command, ApplyAction | MoveBalance):
            self._tokens.update(self._service.exchange.memory.generations(command.token))
        elif (token := getattr(command, "token", None)) is not None:
            self._tokens.add(token)

    async def markets(self) -> None:
        """Look at the channels of what may have changed, a few times a second."""
        ages_at = beat_at = 0.0
        while True:
            await asyncio.sleep(max(beat_at - monotonic(), 3 * SLICE_S))
            symbols, self._symbols = self._symbols, set()
            tokens, self._tokens = self._tokens, set()
            now_s = monotonic()
            beat_at = now_s + BEAT_S
            is_ageing = now_s >= ages_at
            ages_at = now_s + AGEING_S if is_ageing else ages_at
            seen, states = (symbols, tokens, is_ageing), self._channels.states()
            await self._look([each for each in states if _may_have_changed(each.name, *seen)])

    async def _look(self, found: list[StateChannel]) -> None:
        """Look at indices and pools, at accounts, then at the tickers there is time for."""
        others: Due = OrderedDict()
        for each in sorted(found, key=lambda each: each.name.kind in PRIVATE):
            due = self._tickers if each.name.kind == "ticker" else others
            due.setdefault(each)  # a ticker that still waits keeps its place
        taken_s = await self._refresh(others)
        await self._refresh(self._tickers, max(LOOK_S - taken_s, SLICE_S))

    async def accounts(self) -> None:
        """Look at the accounts that commands were of, at once."""
        while True:
            await self._has_accounts.wait()
            self._has_accounts.clear()
            accounts, self._accounts = self._accounts, set()
            found = (each for account in accounts for each in self._channels.states_of(account))
            await self._refresh(OrderedDict.fromkeys(found))
            await asyncio.sleep(PROMPT_S)

    async def _refresh(self, due: Due, most_s: float = inf) -> float:
        """Look at channels, a slice of time after another; return the seconds that took."""
        taken_s = 0.0
        while due and taken_s < most_s:
            try:
                memory = await self._service.settled()
            except BatchLostError:
                await asyncio.sleep(BEAT_S)
                continue
            begun, now_ms = perf_counter(), self._service.clock.now_ms()
            while due and perf_counter() < begun + SLICE_S:
                channel, _ = due.popitem(last=False)
                if channel.readers:
                    try:
                        channel.refresh(memory, now_ms)
                    except Exception:  # noqa: BLE001 - the others go on
                        _log.exception("%s cannot be shown", channel.name)
                    self._channels.tell(channel)
            taken_s += perf_counter() - begun
            if due:
                await asyncio.sleep(3 * SLICE_S)
        return taken_s


def _may_have_changed(name: Name, symbols: set[str], tokens: set[str], is_ageing: bool) -> bool:
    """Whether a channel may look otherwise after these were ticked or traded in."""
    match name.kind:
        case "index":
            return is_ageing or name.of in symbols
        case "pool":
            return is_ageing or bool(symbols) or name.of in tokens
        case "ticker":
            symbol, token, *_ = name.of.split("-")
            return symbol in symbols or token in tokens
        case _:
            return bool(symbols or tokens)
