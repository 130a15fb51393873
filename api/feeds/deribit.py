"""Indices and vol indices of Deribit, from its public WebSocket."""

import ssl
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from api.dispatch import FED_VOL_MAX_E9, FED_VOL_MIN_E9
from api.feeds import Observation
from api.feeds.belief import Belief
from api.feeds.exact import PayloadError, parts, price_e8, time_ms
from api.feeds.places import DERIBIT_URL
from api.feeds.source import RULES, Message, Pace, Source, SourceError

HEARTBEAT_S = 10
MESSAGE_MAX = 1 << 18
_PRICE, _VOL = "deribit_price_index", "deribit_volatility_index"


class _Data(msgspec.Struct):
    timestamp: int
    price: Decimal | None = None
    volatility: Decimal | None = None


class _Params(msgspec.Struct):
    channel: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Said(msgspec.Struct):
    method: str = ""
    params: _Params = msgspec.field(default_factory=_Params)
    error: Any = None


class DeribitReader:
    """Turns what Deribit says into observations: each index with the last vol of its symbol.

    Args:
        symbols: As BTC, whose channels are those of btc_usd.
    """

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self._symbols = {f"{symbol.lower()}_usd": symbol for symbol in symbols}
        self._vols: dict[str, tuple[int, int]] = {}
        self.is_asked = False
        """Whether the last message asked for a sign of life."""

    @property
    def channels(self) -> list[str]:
        """What is subscribed to."""
        return [f"{kind}.{name}" for name in self._symbols for kind in (_PRICE, _VOL)]

    def read(self, payload: str | bytes) -> Message:
        """Return the price in a message, and what is wrong with it where it is none."""
        self.is_asked = False
        try:
            said = msgspec.json.decode(payload, type=_Said)
        except (ValueError, RecursionError):
            return Message([], ["a message that is none"])
        if said.error is not None:
            return Message([], [f"an error: {said.error}"])
        self.is_asked = said.method == "heartbeat" and said.params.type == "test_request"
        if said.method != "subscription":
            return Message([], [])
        kind, _, name = said.params.channel.partition(".")
        symbol = self._symbols.get(name)
        if symbol is None:
            return Message([], [])
        try:
            seen = self._told(kind, symbol, msgspec.json.decode(said.params.data, type=_Data))
        except PayloadError as error:
            return Message([], [f"{symbol}: {error}"])
        except (ValueError, RecursionError):
            return Message([], [f"{symbol}: a notification that is none"])
        return Message([] if seen is None else [seen], [])

    def _told(self, kind: str, symbol: str, data: _Data) -> Observation | None:
        """Return a price; remember a vol."""
        at_ms = time_ms(data.timestamp)
        if kind == _VOL:
            vol_e9 = _vol_e9(data.volatility)
            if at_ms >= self._vols.get(symbol, (0, 0))[1]:
                self._vols[symbol] = vol_e9, at_ms
            return None
        if data.price is None:
            raise PayloadError("an index without a price")
        vol_e9, vol_ms = self._vols.get(symbol, (0, 0))
        if at_ms - vol_ms > RULES.vol_age_max_ms:
            vol_e9, vol_ms = 0, 0
        return Observation(symbol, price_e8(*parts(data.price)), 0, at_ms, vol_e9, vol_ms=vol_ms)


def _vol_e9(percent: Decimal | None) -> int:
    """Return a vol index, which is in per cent, in 1e-9."""
    if percent is None:
        raise PayloadError("a vol index without a value")
    vol_e9 = price_e8(*parts(percent)) // 10
    if not FED_VOL_MIN_E9 <= vol_e9 <= FED_VOL_MAX_E9:
        raise PayloadError("the vol is not between 5 % and 1000 %")
    return vol_e9


class DeribitSource(Source):
    """Deribit: what it sends by itself.

    Args:
        url: Of its WebSocket.
        symbols: Whose index and vol index are subscribed to.
        pace: How long is waited.
        belief: What prices are measured by; shared with the other sources.
    """

    def __init__(
        self,
        url: str = DERIBIT_URL,
        symbols: tuple[str, ...] = ("BTC", "ETH"),
        pace: Pace | None = None,
        belief: Belief | None = None,
    ) -> None:
        super().__init__("deribit", symbols, pace or Pace(), belief or Belief())
        self._url = url
        self._reader = DeribitReader(symbols)
        self._tls = ssl.create_default_context() if url.startswith("wss:") else None

    async def messages(self) -> AsyncGenerator[Message]:
        """Subscribe, and yield what comes; answer when it is asked whether anybody is there."""
        try:
            async with connect(
                self._url,
                ssl=self._tls,
                open_timeout=self.pace.connect,
                close_timeout=1.0,
                max_size=MESSAGE_MAX,
                user_agent_header=None,
            ) as socket:
                await _ask(socket, 1, "set_heartbeat", {"interval": HEARTBEAT_S})
                await _ask(socket, 2, "subscribe", {"channels": self._reader.channels})
                while True:
                    yield self._reader.read(await socket.recv())
                    if self._reader.is_asked:
                        await _ask(socket, 3, "test", {})
        except TimeoutError:
            raise SourceError("no connection in time") from None
        except ConnectionClosed as error:
            raise SourceError(f"the connection is closed: {error}") from None
        except WebSocketException as error:
            raise SourceError(f"no connection: {error}") from None


async def _ask(socket: ClientConnection, number: int, method: str, params: dict[str, Any]) -> None:
    asked = {"jsonrpc": "2.0", "id": number, "method": f"public/{method}", "params": params}
    await socket.send(msgspec.json.encode(asked).decode())
