"""A flush verified from what a server tells anybody."""

from hashlib import sha256
from typing import NamedTuple

import msgspec

from api.bundles import FlushBundle
from api.client import Client
from api.verification.checks import Checks, units
from api.verification.flush import verify
from api.wire import FlushRecord, TokenParameters

LIST_MAX = 500


class Published(NamedTuple):
    """What a server says of a flush.

    Attributes:
        body: The bundle as it came.
        record: Its line in the list of flushes; None where it has none.
        previous: The bundle of the flush before; None for the first.
        parameters: Those in force now.
    """

    body: bytes
    record: FlushRecord | None
    previous: bytes | None
    parameters: TokenParameters | None


def download(client: Client, token: str, number: int) -> Published:
    """Return what a server says of a flush.

    Raises:
        EvergammaError: It does not say; `NotFoundError` where there was no such flush.
    """
    body = bytes(client.flush_text(token, number))
    previous = bytes(client.flush_text(token, number - 1)) if number > 1 else None
    found = None
    for page in client.flushes(token).pages(limit=LIST_MAX):
        found = next((each for each in page.items if each.flush == number), None)
        if found is not None or not page.items or page.items[-1].flush < number:
            break
    parameters = next((each for each in client.parameters() if each.token == token), None)
    return Published(body, found, previous, parameters)


def verify_published(token: str, number: int, published: Published) -> Checks:
    """Compute a flush again and compare it with everything that is said of it.

    Raises:
        msgspec.DecodeError: The bundle is none.
    """
    bundle = msgspec.json.decode(published.body, type=FlushBundle)
    previous = None
    if published.previous is not None:
        previous = msgspec.json.decode(published.previous, type=FlushBundle)
    checks = verify(bundle, previous)
    checks.begin("what is said of it")
    checks.equal("token", bundle.token, token)
    checks.equal("number", bundle.flush, number)
    _compare_record(published.record, bundle, sha256(published.body).hexdigest(), checks)
    given = published.parameters
    if given is not None and given.version == bundle.parameters_version:
        checks.equal("parameters", bundle.parameters, given.parameters)
    return checks


def _compare_record(
    record: FlushRecord | None, bundle: FlushBundle, digest: str, checks: Checks
) -> None:
    checks.equal("listed", record is not None, computed=True)
    if record is None:
        return
    checks.equal("SHA-256", record.bundle, digest)
    checks.equal("time", record.exchange_time, bundle.exchange_time)
    for name, told, inside in (
        ("nav_mid", record.nav_mid, bundle.results.nav.mid),
        ("shares", record.shares, bundle.before.main_shares),
        ("nav_mid_after", record.nav_mid_after, bundle.after.nav_after),
        ("shares_after", record.shares_after, bundle.after.main_shares),
        ("insurance", record.insurance, bundle.after.insurance),
        ("insurance_shares", record.insurance_shares, bundle.after.insurance_shares),
    ):
        checks.equal(name, units(told), units(inside))
