"""Server-sent events out of a stream of bytes."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

EVENT_MAX = 1 << 20
"""Bytes of one event at most."""


class EventTooLongError(ValueError):
    """An event that goes on and on."""


class Event(NamedTuple):
    """One event: its name, `message` where it has none, and its lines of data."""

    name: str
    data: bytes


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event]:
    """Yield the events of a stream; comments and an event cut off by the end are left out.

    Raises:
        EventTooLongError: One is longer than a megabyte.
    """
    rest, name, data, size = bytearray(), "message", list[bytes](), 0
    async for chunk in chunks:
        rest += chunk
        *lines, tail = rest.split(b"\n")
        rest = bytearray(tail)
        for each in lines:
            line = bytes(each.removesuffix(b"\r"))
            size += len(line)
            field, _, value = line.partition(b":")
            if not line:
                if data:
                    yield Event(name, b"\n".join(data))
                name, data, size = "message", [], 0
            elif field == b"data":
                data.append(value.removeprefix(b" "))
            elif field == b"event":
                name = value.removeprefix(b" ").decode("ascii", "replace")
        if size + len(rest) > EVENT_MAX:
            raise EventTooLongError("an event of more than a megabyte")
