"""The tables: one for the journal, one for each kind of row a token's state has.

State tables take their columns from the rows of `vaults.state` themselves, so a field is named
once. All integers are 64 bit; STRICT tables refuse anything else.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects import postgresql

from amm.oracle import OracleState
from vaults.market import ShapeRow
from vaults.state import (
    AccountRow,
    AdvanceLot,
    BookRow,
    PoolRow,
    PositionRow,
    RequestRow,
    SeriesRow,
)

Word = BigInteger().with_variant(Integer(), "sqlite")
"""BIGINT on a server; INTEGER on SQLite, the only spelling its STRICT tables accept."""
Name = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
"""Text in the order of its characters, as SQLite has it, whatever a server's language is."""

METADATA = MetaData()


def _table(name: str, keys: dict[str, Any], fields: tuple[str, ...]) -> Table:
    columns = [
        Column(key, kind, primary_key=True, autoincrement=False) for key, kind in keys.items()
    ]
    columns += [Column(each, Word, nullable=False) for each in fields]
    return Table(name, METADATA, *columns, sqlite_strict=True, sqlite_with_rowid=False)


_ROW = {"token": Name, "slot": Word}

JOURNAL = Table(
    "journal",
    METADATA,
    Column("sequence", Word, primary_key=True, autoincrement=False),
    Column("key", Name, nullable=False, unique=True),
    Column("now_ms", Word, nullable=False),
    Column("kind", Name, nullable=False),
    Column("command", LargeBinary, nullable=False),
    Column("outcome", LargeBinary, nullable=False),
    Column("moves", LargeBinary, nullable=False),
    Column("oracle", LargeBinary, nullable=False),
    Column("rules_version", Name, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""Every command with its inputs, its answer and every integer it produced; only appended to."""

ENTRIES = Table(
    "entry",
    METADATA,
    Column("topic", Name, primary_key=True),
    Column("sequence", Word, primary_key=True, autoincrement=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""Which records of the journal belong to a topic; see `api.history`."""
SETTINGS = Table(
    "setting",
    METADATA,
    Column("name", Name, primary_key=True),
    Column("value", Name, nullable=False),
    sqlite_strict=True,
)
TOKENS = Table(
    "token",
    METADATA,
    Column("number", Word, primary_key=True, autoincrement=False),
    Column("token", Name, nullable=False, unique=True),
    Column("listing", LargeBinary, nullable=False),
    Column("is_paused", Word, nullable=False),  # 1: for openings; 2: for deposits; 3: for both
    Column("versions", LargeBinary, nullable=False),
    sqlite_strict=True,
)
ACCOUNTS = Table(
    "account_name",
    METADATA,
    Column("account_id", Word, primary_key=True, autoincrement=False),
    Column("name", Name, nullable=False, unique=True),
    sqlite_strict=True,
)
WAITING = Table(
    "waiting",
    METADATA,
    Column("number", Word, primary_key=True, autoincrement=False),
    Column("underlying", Word, nullable=False),
    Column("command", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""Closes that wait for a fresh index, by the sequence of the record that queued them."""
REFERENCES = Table(
    "reference",
    METADATA,
    Column("reference", Name, primary_key=True),
    Column("sequence", Word, nullable=False),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
"""External references, each with the sequence of the record that used it."""
WITHDRAWALS = Table(
    "withdrawal",
    METADATA,
    Column("number", Word, primary_key=True, autoincrement=False),
    Column("token", Name, nullable=False),
    Column("account", Name, nullable=False),
    Column("amount", Word, nullable=False),
    Column("asked_ms", Word, nullable=False),
    Column("completed_ms", Word, nullable=False),
    Column("reference", Name, nullable=False),
    Column("destination", Name, nullable=False, server_default=""),
    sqlite_strict=True,
)
ACTIONS = Table(
    "corporate_action",
    METADATA,
    Column("number", Word, primary_key=True, autoincrement=False),
    Column("token", Name, nullable=False),
    Column("action", Name, nullable=False),
    Column("announced_ms", Word, nullable=False),
    Column("effective_ms", Word, nullable=False),
    Column("numerator", Word, nullable=False),
    Column("denominator", Word, nullable=False),
    Column("amount", Word, nullable=False),
    Column("applied_ms", Word, nullable=False),
    Column("reference", Name, nullable=False),
    Column("withdrawn_ms", Word, nullable=False),
    sqlite_strict=True,
)
ORACLES = _table("oracle", {"slot": Word}, OracleState._fields)
SHAPES = _table("shape", {"underlying": Word, "slot": Word}, ShapeRow._fields)
"""Surfaces: in force (slot 0), and what the next tick puts in force (slot 1)."""
MINUTES = _table(
    "minute", {"underlying": Word, "slot": Word}, ("minute", "low", "high", "last", "vol_e9")
)
STATE = {
    "pool": _table("pool", _ROW, PoolRow._fields),
    "books": _table("book", _ROW, BookRow._fields),
    "series": _table("series", _ROW, SeriesRow._fields),
    "accounts": _table("account", _ROW, AccountRow._fields),
    "positions": _table("position", _ROW, PositionRow._fields),
    "requests": _table("request", _ROW, RequestRow._fields),
    "vesting": _table("vesting", _ROW, ("amount", "day")),
    "advance_lots": _table("advance_lot", _ROW, AdvanceLot._fields),
    "flows": _table("flow", _ROW, ("amount",)),
    "closed_flows": _table("closed_flow", _ROW, ("amount",)),
}
"""The parts of `vaults.state.State` that are stored, by their name there."""
FLUSHES = Table(
    "flush",
    METADATA,
    Column("token", Name, primary_key=True),
    Column("number", Word, primary_key=True, autoincrement=False),
    Column("now_ms", Word, nullable=False),
    *(
        Column(each, Word, nullable=False)
        for each in (
            "nav_opened",
            "nav",
            "main_shares",
            "nav_after",
            "main_shares_after",
            "insurance_opened",
            "insurance_shares",
            "insurance_after",
            "insurance_shares_after",
        )
    ),
    Column("digest", Name, nullable=False),
    Column("bundle", LargeBinary, nullable=False),
    sqlite_strict=True,
)
"""Flushes that were done: what the pools were worth in each and after it, and its bundle as JSON.

What is `_opened` is what the flush before closed with, in units of a split since then.
`digest` is the bundle's SHA-256, in hexadecimal; the journal's outcome of the flush has it too.
"""
SAMPLES = _table(
    "sample",
    {"token": Name, "now_ms": Word},
    ("nav", "main_shares", "locked", "backing", "insurance", "buyers", "costs", "credited"),
)
"""Regular readings of each token, for histories and pictures."""
SERIES_SAMPLES = _table(
    "series_sample",
    {"token": Name, "slot": Word, "now_ms": Word},
    ("value_e15", "premium_rate_e15", "index_e8", "vol_e9", "open_notional"),
)
"""Readings of each series at the mark."""
