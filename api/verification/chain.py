"""How a flush ties to the one before."""

from api.bundles import BooksGiven, FlushBundle
from api.verification.books import changes
from api.verification.checks import Checks, units
from api.verification.splits import Splits, scaled, scaled_limit, scaled_lots, scaled_parameters


def check_chain(
    bundle: FlushBundle, previous: FlushBundle | None, splits: Splits, checks: Checks
) -> None:
    """Check that a flush found what the one before had left, as far as only flushes change it.

    Args:
        bundle: Of the flush.
        previous: Of the flush before it; None for the first.
        splits: Those since then: they have changed every amount.
        checks: What is compared.
    """
    checks.begin("flush before")
    if previous is None:
        checks.equal("number", bundle.flush, 1)
        _check_waiting(0, bundle, splits, checks)
        return
    checks.equal("token", previous.token, bundle.token)
    checks.equal("number", previous.flush, bundle.flush - 1)
    checks.equal("time", previous.exchange_time < bundle.exchange_time, computed=True)
    _tie_parameters(previous, bundle, splits, checks)
    left, found = previous.after, bundle.before
    for name in ("flushes", "insurance_share", "rent_doubled", "exhausted", "written_off"):
        checks.equal(name, getattr(found, name), getattr(left, name))
    for name in ("main_shares", "main_seed_shares", "insurance_shares", "peak_shares"):
        checks.equal(name, units(getattr(found, name)), units(getattr(left, name)))
    checks.equal("next flush", found.next_flush >= left.next_flush, computed=True)
    if found.next_flush == left.next_flush:
        checks.equal("cutoff", found.cutoff, left.cutoff)
    for name in ("cover_insurance", "cover_nav", "cover_pnl", "cover_claimed", "peak_insurance"):
        _tie(name, getattr(left, name), getattr(found, name), splits, checks)
    _tie("nav reference", left.nav_reference, found.nav_reference, splits, checks)
    _tie_books(previous.closed, bundle.opened, splits, checks)
    _tie_requests(previous, bundle, splits, checks)
    _check_waiting(_waiting(previous), bundle, splits, checks)
    if changes(bundle)["paid_by_insurance"] == 0:
        lots = scaled_lots(previous.advances_after, left.written_off, splits)
        checks.equal("advances", scaled_lots(bundle.advances, 0, ()), lots)


def _tie_parameters(
    previous: FlushBundle, bundle: FlushBundle, splits: Splits, checks: Checks
) -> None:
    """Check the parameters, where no version but those that splits make lies between."""
    known = previous.splits
    checks.equal("splits", bundle.splits[: len(known)], known)
    for each in splits:
        in_epoch = previous.exchange_time <= each.applied <= bundle.exchange_time
        checks.equal("split in the epoch", in_epoch, computed=True)
    before = scaled_parameters(previous.parameters, splits)
    checks.equal("seed", bundle.parameters["seed"], before["seed"])
    if bundle.parameters_version == previous.parameters_version + len(splits):
        checks.equal("parameters", bundle.parameters, before)


def _tie(name: str, left: str, found: str, splits: Splits, checks: Checks) -> None:
    """Check that an amount is what it was, or what splits have made of it."""
    checks.amount(name, found, scaled(units(left), splits))


def _waiting(bundle: FlushBundle) -> int:
    """Return the deposits that wait on after a flush."""
    return sum(
        units(each.amount) - units(each.filled_now)
        for each in bundle.requests
        if (each.kind, each.status) == ("deposit", "open")
    )


def _check_waiting(before: int, bundle: FlushBundle, splits: Splits, checks: Checks) -> None:
    """Check that deposits asked for wait, were filled or went back; splits round each by itself."""
    if splits:
        return
    change = changes(bundle)
    gone = change["deposit"] + change["deposit_returned"]
    checks.equal("deposits that wait", _waiting(bundle), before + change["deposit_asked"] - gone)


def _tie_books(left: BooksGiven, found: BooksGiven, splits: Splits, checks: Checks) -> None:
    for name in ("nav", "insurance", "accrued", "refundable"):
        _tie(f"books {name}", getattr(left, name), getattr(found, name), splits, checks)
    for name in left.flows:
        _tie(f"books {name}", left.flows[name], found.flows.get(name, "0"), splits, checks)


def _tie_requests(
    previous: FlushBundle, bundle: FlushBundle, splits: Splits, checks: Checks
) -> None:
    """Check the requests that waited on; one that is gone was taken back."""
    waiting = {each.number: each for each in previous.requests if each.status == "open"}
    for each in bundle.requests:
        if each.number not in waiting:
            untouched = units(each.filled) == units(each.received) == 0
            is_new = each.created >= previous.exchange_time and untouched
            checks.equal(f"request {each.number} new", is_new, computed=True)
            continue
        before, where = waiting[each.number], f"request {each.number}"
        for name in ("pool", "kind", "flush", "created"):
            checks.equal(f"{where} {name}", getattr(each, name), getattr(before, name))
        filled = units(before.filled) + units(before.filled_now)
        left = units(before.amount) - units(before.filled_now)
        received = units(before.received) + units(before.received_now)
        least = units(before.min_out)
        if each.kind == "deposit":  # tokens for shares, which splits leave as they are
            filled, left = scaled(filled, splits), scaled(left, splits)
        else:
            received, least = scaled(received, splits), scaled_limit(least, splits)
        checks.amount(f"{where} filled before", each.filled, filled)
        checks.amount(f"{where} open", each.amount, left)
        checks.amount(f"{where} received before", each.received, received)
        checks.amount(f"{where} min_out", each.min_out, least)
