"""API keys, and lines of the audit trail."""

from typing import Any

from api.access.records import KeyRecord
from api.wire import AuditLine, Key


def key(record: KeyRecord, *, with_secret: bool = False) -> Key:
    """Return a key, its secret only where it is to be shown."""
    return Key(
        id=record.id,
        account=record.account,
        roles=sorted(record.roles),  # type: ignore[arg-type]
        label=record.label,
        created=record.created_ms,
        revoked=record.revoked_ms,
        expires=record.limits.expires_ms,
        networks=[str(each) for each in record.limits.networks],
        withdraw=record.limits.may_withdraw,
        rotated_from=record.rotated_from,
        made_by=record.made_by,
        secret=record.secret if with_secret else None,
    )


def audit_line(row: Any) -> AuditLine:
    """Return a row of the trail."""
    return AuditLine(
        id=str(row.number),
        time=row.at_ms,
        account=row.account,
        key=row.key,
        address=row.address,
        action=row.action,
        subject=row.subject,
        request_id=row.request_id,
        idempotency_key=row.idempotency_key,
        body_sha256=row.body_digest,
        status=row.status,
        code=row.code,
        shard=row.shard,
        journal_id=None if row.journal is None else str(row.journal),
    )
