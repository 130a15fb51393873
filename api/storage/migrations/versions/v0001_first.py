"""The tables of the first release."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0001"
down_revision = None

WORD = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
STRICT = {"sqlite_strict": True}
KEYED = STRICT | {"sqlite_with_rowid": False}


def _key(name: str, kind: Any = WORD) -> "sa.Column[Any]":
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _words(*names: str) -> "list[sa.Column[Any]]":
    return [sa.Column(name, WORD, nullable=False) for name in names]


def _names(*names: str) -> "list[sa.Column[Any]]":
    return [sa.Column(name, NAME, nullable=False) for name in names]


def _blobs(*names: str) -> "list[sa.Column[Any]]":
    return [sa.Column(name, sa.LargeBinary(), nullable=False) for name in names]


def upgrade() -> None:
    """Create everything."""
    op.create_table(
        "journal",
        _key("sequence"),
        sa.Column("key", NAME, nullable=False, unique=True),
        *_words("now_ms"),
        *_names("kind"),
        *_blobs("command", "outcome", "moves", "oracle"),
        *_names("rules_version"),
        *_blobs("digest"),
        **STRICT,
    )
    op.create_table("entry", _key("topic", NAME), _key("sequence"), **KEYED)
    op.create_table("setting", _key("name", NAME), *_names("value"), **STRICT)
    op.create_table(
        "token",
        _key("number"),
        sa.Column("token", NAME, nullable=False, unique=True),
        *_blobs("listing"),
        *_words("is_paused"),
        *_blobs("versions"),
        **STRICT,
    )
    op.create_table(
        "account_name",
        _key("account_id"),
        sa.Column("name", NAME, nullable=False, unique=True),
        **STRICT,
    )
    op.create_table("waiting", _key("number"), *_words("underlying"), *_blobs("command"), **STRICT)
    op.create_table("reference", _key("reference", NAME), *_words("sequence"), **KEYED)
    op.create_table(
        "withdrawal",
        _key("number"),
        *_names("token", "account"),
        *_words("amount", "asked_ms", "completed_ms"),
        *_names("reference"),
        **STRICT,
    )
    op.create_table(
        "corporate_action",
        _key("number"),
        *_names("token", "action"),
        *_words("announced_ms", "effective_ms", "numerator", "denominator", "amount", "applied_ms"),
        *_names("reference"),
        *_words("withdrawn_ms"),
        **STRICT,
    )
    op.create_table(
        "oracle",
        _key("slot"),
        *_words(
            "index_e8",
            "confidence_e8",
            "index_ms",
            "pending_count",
            "pending_side",
            "pending_ms",
            "bar_index_e8",
            "bar_ms",
            "variance_1d_e12",
            "variance_10d_e12",
            "variance_45d_e12",
            "variance_5m_e12",
            "target_vol_e9",
            "mark_vol_e9",
            "vol_ms",
        ),
        **KEYED,
    )
    op.create_table(
        "shape",
        _key("underlying"),
        _key("slot"),
        *_words("published_ms", "long_vol_e9", "reversion_e9", "skew_e9", "curvature_e9"),
        **KEYED,
    )
    op.create_table(
        "minute",
        _key("underlying"),
        _key("slot"),
        *_words("minute", "low", "high", "last", "vol_e9"),
        **KEYED,
    )
    op.create_table(
        "pool",
        _key("token", NAME),
        _key("slot"),
        *_words(
            "main",
            "insurance",
            "balances",
            "escrow_main",
            "escrow_insurance",
            "fees",
            "pending",
            "custody",
            "main_shares",
            "insurance_shares",
            "main_seed_shares",
            "insurance_seed_shares",
            "locked",
            "live_series",
            "impact_refundable",
            "advances",
            "written_off_ms",
            "nav_reference",
            "nav_after",
            "phi_ppm",
            "flushes",
            "next_flush_ms",
            "cutoff_ms",
            "rent_doubled",
            "exhausted",
            "cover_insurance",
            "cover_nav",
            "cover_pnl",
            "cover_claimed",
            "peak_insurance",
            "peak_shares",
            "closed_nav",
            "closed_insurance",
            "closed_accrued",
            "closed_refundable",
            "account_positions_max",
            "account_count",
            "series_count",
            "position_count",
            "position_free",
            "position_id",
            "request_count",
            "request_first",
            "now_ms",
        ),
        **KEYED,
    )
    op.create_table(
        "book",
        _key("token", NAME),
        _key("slot"),
        *_words(
            "tick_ms", "ticks", "rent_e15", "measured_index_e8", "measured_vol_e9", "measured_ms"
        ),
        **KEYED,
    )
    op.create_table(
        "series",
        _key("token", NAME),
        _key("slot"),
        *_words(
            "underlying",
            "is_call",
            "strike_e8",
            "cap_ppm",
            "funding_period_ms",
            "discount_rate_e9",
            "open_notional",
            "locked",
            "index_e15",
            "tick_index_e15",
            "remainder_e15",
            "receivable",
            "first_position",
        ),
        **KEYED,
    )
    op.create_table(
        "account",
        _key("token", NAME),
        _key("slot"),
        *_words(
            "account_id",
            "balance",
            "main_shares",
            "insurance_shares",
            "position_count",
            "first_position",
        ),
        **KEYED,
    )
    op.create_table(
        "position",
        _key("token", NAME),
        _key("slot"),
        *_words(
            "position_id",
            "account",
            "series",
            "notional",
            "entry_index_e15",
            "impact_paid",
            "self_funding",
            "allowance",
            "key_e15",
            "next_in_series",
            "previous_in_series",
            "next_in_account",
            "previous_in_account",
        ),
        **KEYED,
    )
    op.create_table(
        "request",
        _key("token", NAME),
        _key("slot"),
        *_words(
            "account",
            "kind",
            "amount",
            "min_out",
            "created_ms",
            "flush",
            "filled",
            "paid",
            "status",
        ),
        **KEYED,
    )
    op.create_table("vesting", _key("token", NAME), _key("slot"), *_words("amount", "day"), **KEYED)
    op.create_table(
        "advance_lot",
        _key("token", NAME),
        _key("slot"),
        *_words("amount", "since_ms", "until_ms", "remaining", "day"),
        **KEYED,
    )
    op.create_table("flow", _key("token", NAME), _key("slot"), *_words("amount"), **KEYED)
    op.create_table("closed_flow", _key("token", NAME), _key("slot"), *_words("amount"), **KEYED)
    op.create_table(
        "flush",
        _key("token", NAME),
        _key("number"),
        *_words(
            "now_ms",
            "nav_opened",
            "nav",
            "main_shares",
            "nav_after",
            "main_shares_after",
            "insurance_opened",
            "insurance_shares",
            "insurance_after",
            "insurance_shares_after",
        ),
        *_names("digest"),
        *_blobs("bundle"),
        **STRICT,
    )
    op.create_table(
        "sample",
        _key("token", NAME),
        _key("now_ms"),
        *_words(
            "nav", "main_shares", "locked", "backing", "insurance", "buyers", "costs", "credited"
        ),
        **KEYED,
    )
    op.create_table(
        "series_sample",
        _key("token", NAME),
        _key("slot"),
        _key("now_ms"),
        *_words("value_e15", "premium_rate_e15", "index_e8", "vol_e9", "open_notional"),
        **KEYED,
    )
