"""A database as Parquet files, for whatever reads columns: `evergamma db export`.

Everything is of one moment. Times are timestamps in UTC; amounts, prices and levels are exact
decimals with the scale they have inside, so that nothing is rounded on the way.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import LargeBinary, Table, Text

from api.history import Entry, entry_of
from api.journal import Record
from api.memory import Memory
from api.recovery import COUNT_EVERY, Count, load_memory
from api.storage.reading import Snapshot
from api.tables import FLUSHES, SAMPLES, SERIES_SAMPLES
from api.views.orders import trade
from vaults.commands import Close, Open
from vaults.moves import Bucket, Flow, Move
from vaults.state import NONE

ROWS = 20_000
"""Rows in memory at a time."""
TIME = pa.timestamp("ms", tz="UTC")
AMOUNT = pa.decimal128(19, 8)
"""Base units: every integer of 64 bit is a number of these."""
_KIND, _SOURCE, _TARGET, _ACCOUNT, _AMOUNT, _FLOW = range(6)

JOURNAL = pa.schema(
    {
        "sequence": pa.int64(),
        "key": pa.string(),
        "time": TIME,
        "kind": pa.string(),
        "command": pa.binary(),
        "outcome": pa.binary(),
        "moves": pa.binary(),
        "oracle": pa.binary(),
        "rules_version": pa.string(),
        "digest": pa.binary(),
    }
)
TRADES = pa.schema(
    {
        "sequence": pa.int64(),
        "time": TIME,
        "token": pa.string(),
        "account": pa.string(),
        "instrument": pa.string(),
        "side": pa.string(),
        "notional": AMOUNT,
        "total": AMOUNT,
        "fee": AMOUNT,
        "index": AMOUNT,
        "position_id": pa.string(),
        "client_id": pa.string(),
    }
)
LEDGER = pa.schema(
    {
        "sequence": pa.int64(),
        "line": pa.int64(),
        "time": TIME,
        "token": pa.string(),
        "account": pa.string(),
        "flow": pa.string(),
        "source": pa.string(),
        "target": pa.string(),
        "amount": AMOUNT,
    }
)
_SCALES = {"_e8": 8, "_e9": 9, "_e15": 15}
_COUNTS = {"number", "slot"}

Row = tuple[Any, ...]


def export_tables(snapshot: Snapshot, folder: Path, count: Count) -> dict[str, int]:
    """Write journal, trades, ledger, flushes and readings; return the rows of each.

    Args:
        snapshot: What is exported.
        folder: Where the files go; those of these names are replaced.
        count: Told now and then how many records were read.
    """
    memory = load_memory(snapshot, ("BTC", "ETH"))
    with (
        _File(folder, "journal", JOURNAL) as journal,
        _File(folder, "trades", TRADES) as trades,
        _File(folder, "ledger", LEDGER) as ledger,
        closing(snapshot.journal()) as records,
    ):
        for record in records:
            entry = entry_of(record)
            journal.add(record)
            trades.add_all(_trades(memory, entry))
            ledger.add_all(_lines(memory, entry))
            if record.sequence % COUNT_EVERY == 0:
                count(record.sequence)
        files = (journal, trades, ledger)
    rows = {each.name: each.rows for each in files}
    for name, table in (("flushes", FLUSHES), ("pools", SAMPLES), ("series", SERIES_SAMPLES)):
        with _File(folder, name, _schema_of(table)) as file:
            file.add_all(map(tuple, snapshot.table(table)))
        rows[name] = file.rows
    return rows


def _trades(memory: Memory, entry: Entry) -> Iterator[Row]:
    """Yield the trade of a record, if it is one."""
    command, outcome = entry.command, entry.outcome
    if not isinstance(command, Open | Close) or outcome.code or outcome.queued:
        return
    seen = trade(memory, entry)
    what = (command.token, command.account, seen.instrument, seen.side)
    amounts = (outcome.notional, outcome.amount, outcome.fee, outcome.index_e8)
    yield entry.sequence, entry.now_ms, *what, *amounts, seen.position_id, seen.client_id


def _lines(memory: Memory, entry: Entry) -> Iterator[Row]:
    """Yield the transfers of a record, in the order they were made; some are for no account."""
    line = 0
    for token, moves in entry.moves.items():
        for move in moves[moves[:, _KIND] == Move.TRANSFER].tolist():
            slot = move[_ACCOUNT]
            account = None if slot == NONE else memory.account_name(token, slot)
            names = Flow(move[_FLOW]).name, Bucket(move[_SOURCE]).name, Bucket(move[_TARGET]).name
            yield entry.sequence, line, entry.now_ms, token, account, *names, move[_AMOUNT]
            line += 1


def _schema_of(table: Table) -> pa.Schema:
    """Return how a table's columns are exported: by their types, and what their names say."""
    fields = []
    for column in table.columns:
        if isinstance(column.type, LargeBinary):
            fields.append((column.name, pa.binary()))
        elif isinstance(column.type, Text):
            fields.append((column.name, pa.string()))
        elif column.name in _COUNTS:
            fields.append((column.name, pa.int64()))
        elif column.name == "now_ms":
            fields.append(("time", TIME))
        else:
            suffix = next((each for each in _SCALES if column.name.endswith(each)), "")
            scale = _SCALES.get(suffix, 8)
            fields.append((column.name.removesuffix(suffix), pa.decimal128(19, scale)))
    return pa.schema(fields)


class _File:
    """A Parquet file that has its name once it is whole."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema) -> None:
        self.name, self.rows = name, 0
        self._path = folder / f"{name}.parquet"
        self._part = folder / f"{name}.parquet.part"
        self._schema = schema
        self._waiting: list[Row] = []
        self._writer = pq.ParquetWriter(self._part, schema, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is None:
            self._write()
        self._writer.close()
        if kind is None:
            self._part.rename(self._path)
        else:
            self._part.unlink()

    def add(self, row: Row | Record) -> None:
        """Add a row."""
        self._waiting.append(row)
        if len(self._waiting) >= ROWS:
            self._write()

    def add_all(self, rows: Iterable[Row]) -> None:
        """Add rows."""
        for row in rows:
            self.add(row)

    def _write(self) -> None:
        rows, self._waiting = self._waiting, []
        self.rows += len(rows)
        if rows:
            columns = zip(*rows, strict=True)
            arrays = [
                _array(each, field.type) for each, field in zip(columns, self._schema, strict=True)
            ]
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))


def _array(values: Row, kind: pa.DataType) -> pa.Array:
    """Return a column; integers become decimals as they are, 64 bit of 128."""
    if not pa.types.is_decimal(kind):
        return pa.array(values, kind)
    words = np.empty((len(values), 2), np.int64)
    words[:, 0] = values
    words[:, 1] = words[:, 0] >> 63
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(words.tobytes())])
