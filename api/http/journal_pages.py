"""Pages of what is read from the journal, record by record, newest first."""

from collections.abc import Callable
from typing import TypeVar

from api.history import Entry, read_entries
from api.http.context import Place, decode_cursor, encode_cursor
from api.storage.reading import Reading
from api.wire import Page

Item = TypeVar("Item")
CHUNK = 500
"""Records read at a time."""
SCANNED_MAX = 5_000
"""Records looked at for one page; a page may be short for that, and yet not the last."""


def pages_of(
    store: Reading,
    topic: str,
    items_of: Callable[[Entry], list[Item]],
    cursor: str | None,
    limit: int,
) -> Page[Item]:
    """Return a page of the items that records of a topic stand for.

    A cursor is a record and how many of its items have been given.
    """
    before, given = decode_cursor(cursor, tuple[Place, Place]) or (None, 0)
    found: list[Item] = []
    scanned = 0
    while scanned < SCANNED_MAX:
        entries = read_entries(store, topic, before, CHUNK)
        for each in entries:
            items = items_of(each)[given:]
            room = limit - len(found)
            if len(items) > room:
                place = (each.sequence + 1, given + room)
                return Page(items=found + items[:room], next=encode_cursor(place))
            found += items
            before, given = each.sequence, 0
        scanned += len(entries)
        if len(entries) < CHUNK:
            return Page(items=found)
    return Page(items=found, next=encode_cursor((before, 0)))
