"""Prices of Pyth, as its Hermes servers give them out: streamed, and asked for when that fails."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from time import monotonic

import httpx
import msgspec

from api.feeds import Observation
from api.feeds.belief import Belief
from api.feeds.exact import PayloadError, price_e8, time_ms, whole, width_e8
from api.feeds.places import PythSettings
from api.feeds.source import Message, Pace, Source, SourceError
from api.feeds.sse import EVENT_MAX, EventTooLongError, events

_STREAM, _LATEST = "/v2/updates/price/stream", "/v2/updates/price/latest"


class _Price(msgspec.Struct):
    price: str | int
    conf: str | int
    expo: int
    publish_time: int


class _Parsed(msgspec.Struct):
    id: str
    price: _Price


class _Update(msgspec.Struct):
    parsed: list[msgspec.Raw]


class PythReader:
    """Turns what Hermes says into observations, each with its exponent.

    Args:
        ids: Of each symbol the id of its price, 64 hexadecimal digits.
    """

    def __init__(self, ids: dict[str, str]) -> None:
        self._symbols = {name: symbol for symbol, name in ids.items()}

    def read(self, payload: bytes) -> Message:
        """Return the prices of an update, and what is wrong with those that are none."""
        try:
            items = msgspec.json.decode(payload, type=_Update).parsed
        except (ValueError, RecursionError):
            return Message([], ["an answer that is no price update"])
        message = Message([], [], {})
        for item in items:
            try:
                entry = msgspec.json.decode(item, type=_Parsed)
                seen = self._price(entry)
            except PayloadError as error:
                message.faults.append(str(error))
            except (ValueError, RecursionError):
                message.faults.append("an entry that is no price")
            else:
                if seen is not None:
                    message.prices.append(seen)
                    message.exponents[seen] = entry.price.expo
        return message

    def _price(self, item: _Parsed) -> Observation | None:
        """Return one price, None where nobody asked for it."""
        symbol = self._symbols.get(item.id.lower().removeprefix("0x"))
        if symbol is None:
            return None
        given = item.price
        try:
            return Observation(
                symbol,
                price_e8(whole(given.price), given.expo),
                width_e8(whole(given.conf), given.expo),
                time_ms(given.publish_time * 1_000),
            )
        except PayloadError as error:
            raise PayloadError(f"{symbol}: {error}") from None


class PythSource(Source):
    """Hermes: its stream, and where that fails its latest prices for a while, in turns.

    Args:
        settings: Where it is.
        pace: How long is waited.
        belief: What prices are measured by; shared with the other sources.
    """

    def __init__(
        self, settings: PythSettings, pace: Pace | None = None, belief: Belief | None = None
    ) -> None:
        super().__init__("pyth", tuple(settings.ids), pace or Pace(), belief or Belief())
        self._settings = settings
        self._reader = PythReader(settings.ids)
        self._streams = False
        self._tls = httpx.create_ssl_context()  # once: it takes long, and other tasks wait

    async def messages(self) -> AsyncGenerator[Message]:
        """Yield updates: streamed the first time, then asked for, and so on in turns."""
        self._streams = not self._streams
        asked = [("ids[]", each) for each in self._settings.ids.values()]
        headers = {"Accept-Encoding": "identity"}
        if self._settings.key is not None:
            headers["Authorization"] = f"Bearer {self._settings.key}"
        try:
            # A redirect is not followed: it would take the key elsewhere.
            async with httpx.AsyncClient(
                base_url=self._settings.url,
                verify=self._tls,
                headers=headers,
                timeout=self.pace.connect,
                follow_redirects=False,
            ) as http:
                spoken = self._stream(http, asked) if self._streams else self._poll(http, asked)
                async with aclosing(spoken):
                    async for message in spoken:
                        yield message
        except httpx.TimeoutException:
            raise SourceError("no answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SourceError(f"no connection: {error}") from None

    async def _stream(
        self, http: httpx.AsyncClient, asked: list[tuple[str, str]]
    ) -> AsyncGenerator[Message]:
        params = httpx.QueryParams([*asked, ("parsed", "true"), ("encoding", "base64")])
        kind = {"Accept": "text/event-stream"}
        async with http.stream("GET", _STREAM, params=params, headers=kind) as answer:
            _check(answer)
            try:
                async with aclosing(events(answer.aiter_bytes())) as heard:
                    async for event in heard:
                        if event.name == "error":
                            said = event.data.decode("utf-8", "replace")
                            raise SourceError(f"the stream: {said}")
                        yield self._reader.read(event.data)
            except EventTooLongError as error:
                raise SourceError(str(error)) from None
        raise SourceError("the stream has ended")

    async def _poll(
        self, http: httpx.AsyncClient, asked: list[tuple[str, str]]
    ) -> AsyncGenerator[Message]:
        params = httpx.QueryParams([*asked, ("parsed", "true"), ("encoding", "base64")])
        until = monotonic() + self.pace.poll_for
        while monotonic() < until:
            body = bytearray()
            async with http.stream("GET", _LATEST, params=params) as answer:
                _check(answer)
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > EVENT_MAX:
                        raise SourceError("an answer of more than a megabyte")
            yield self._reader.read(bytes(body))
            await asyncio.sleep(self.pace.poll)


def _check(answer: httpx.Response) -> None:
    """Raise what stands in the way where an answer is not one."""
    status = answer.status_code
    if status == httpx.codes.OK:
        return
    reasons = {401: "the key is refused", 403: "the key is refused", 404: "an id is unknown"}
    reason = reasons.get(status) or ("a redirect is not followed" if 300 <= status < 400 else "")
    after = answer.headers.get("Retry-After", "")
    wait = float(after) if after.isascii() and after.isdigit() and len(after) < 9 else 0.0
    raise SourceError(f"HTTP {status}" + (f": {reason}" if reason else ""), wait)
