"""What a batch writes: rows of tables, in the words of no database in particular."""

from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Table

Words = npt.NDArray[np.int64]


class Doing(Enum):
    """What is done with rows."""

    APPEND = auto()
    PUT = auto()
    DELETE = auto()


class Write(NamedTuple):
    """Rows, as tuples of all columns of a table; to delete, of the first of its key alone."""

    doing: Doing
    table: Table
    rows: list[tuple[Any, ...]]


Writes = list[Write]


def put(writes: Writes, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Have rows inserted, given as tuples of all columns, replacing those with the same key."""
    values = list(rows)
    if values:
        writes.append(Write(Doing.PUT, table, values))


def upsert(writes: Writes, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    """Have rows inserted, given by the names of columns, replacing those with the same key."""
    names = [column.name for column in table.columns]
    put(writes, table, (tuple(row[name] for name in names) for row in rows))


def delete(writes: Writes, table: Table, keys: Iterable[int]) -> None:
    """Have the rows with these keys deleted."""
    gone = [(key,) for key in keys]
    if gone:
        writes.append(Write(Doing.DELETE, table, gone))


def append(writes: Writes, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Have rows inserted, given as tuples of all columns; a key that exists is an error."""
    values = list(rows)
    if values:
        writes.append(Write(Doing.APPEND, table, values))


def rows_that_differ(words: Words, saved: Words | None) -> list[int]:
    """Return the rows that are new or not as they were saved; both of shape (rows, fields)."""
    if saved is None:
        return list(range(len(words)))
    known = min(len(words), len(saved))
    differs = np.flatnonzero((words[:known] != saved[:known]).any(axis=1))
    return [*differs.tolist(), *range(known, len(words))]


def as_rows(token: str, words: Words, slots: Iterable[int]) -> Iterator[tuple[Any, ...]]:
    """Yield rows of a state array, given as words, as its table wants them."""
    for slot in slots:
        yield (token, slot, *words[slot].tolist())
