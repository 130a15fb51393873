"""Profit and loss of the epoch a flush ends."""

from api.bundles import FlushBundle
from api.verification.checks import Checks, units
from api.verification.splits import Splits, dust
from api.wire import Attribution


def changes(bundle: FlushBundle) -> dict[str, int]:
    """Return what every flow has come to in the epoch, in base units."""
    opened, closed = bundle.opened.flows, bundle.closed.flows
    return {name: units(closed[name]) - units(opened[name]) for name in closed}


def _visits(bundle: FlushBundle, pool: str) -> tuple[int, int]:
    """Return what LPs brought to a pool and took from it, of the events."""
    brought = paid = 0
    for each in bundle.events:
        if each.target == pool and each.event == "deposit":
            brought += units(each.amount)
        if each.source == pool and each.event in ("redemption", "dissolution"):
            paid += units(each.amount)
    return brought, paid


def _check_flows(bundle: FlushBundle, change: dict[str, int], checks: Checks) -> None:
    """Check what LPs moved: shares are made and paid in flushes alone, deposits go back anytime."""
    checks.equal("claims", change["claim"], units(bundle.results.claim))
    moved = {
        flow: sum(units(each.amount) for each in bundle.events if each.event == flow)
        for flow in ("deposit", "redemption", "dissolution", "deposit_returned")
    }
    taken_back = change["deposit_returned"] - moved.pop("deposit_returned")
    checks.equal("flow deposit_returned", max(taken_back, 0), taken_back)
    checks.equal("flow deposit_asked", max(change["deposit_asked"], 0), change["deposit_asked"])
    for flow, amount in moved.items():
        checks.equal(f"flow {flow}", change[flow], amount)


def check_books(bundle: FlushBundle, splits: Splits, checks: Checks) -> None:
    """Check that both pools' profit and loss is told apart to the unit.

    Args:
        bundle: Of the flush.
        splits: Those of the epoch.
        checks: What is compared.
    """
    checks.begin("attribution")
    change, opened, closed = changes(bundle), bundle.opened, bundle.closed
    checks.equal("flows", sorted(opened.flows), sorted(closed.flows))
    main, insurance = _visits(bundle, "main"), _visits(bundle, "insurance")
    _check_flows(bundle, change, checks)
    fees = change["exit_fee"]
    lines = {
        "premium": change["premium_main"] + units(closed.accrued) - units(opened.accrued),
        "spread": change["spread"],
        "impact": change["impact_paid"]
        - change["impact_refunded"]
        + units(opened.refundable)
        - units(closed.refundable),
        "delta": change["delta"],
        "gamma": change["gamma"],
        "vega": change["vega"],
        "insurance": change["claim"] - change["repayment"] + change["paid_by_insurance"],
        "exit_fees": fees,
        "deposits": main[0],
        "redemptions": -main[1] - fees,
        "dividends": units(bundle.before.nav_after) - units(opened.nav),
        "split_dust": change["split_dust"],
    }
    total = units(closed.nav) - units(opened.nav)
    lines["other"] = total - sum(lines.values())
    _compare("main", bundle.main, (opened.nav, closed.nav), lines, checks)
    fees = change["exit_fee_insurance"]
    lines = {
        "premium": change["premium_insurance"],
        "claims": -change["claim"],
        "repayments": change["repayment"],
        "payouts": -change["paid_by_insurance"],
        "exit_fees": fees,
        "deposits": insurance[0],
        "redemptions": -insurance[1] - fees,
    }
    rest = units(closed.insurance) - units(opened.insurance) - sum(lines.values())
    is_dividend = change["dividend"] != 0
    lines |= {"dividends": rest if is_dividend else 0, "split_dust": 0 if is_dividend else rest}
    ends = opened.insurance, closed.insurance
    _compare("insurance", bundle.insurance, ends, lines, checks)
    shared = units(bundle.before.nav_after) - units(opened.nav) + lines["dividends"]
    most = change["dividend"] + dust(splits)
    checks.equal("dividends of both pools", 0 <= shared <= most, computed=True)
    if not splits:
        checks.equal("dust without a split", (change["split_dust"], lines["split_dust"]), (0, 0))


def _compare(
    pool: str, said: Attribution, ends: tuple[str, str], lines: dict[str, int], checks: Checks
) -> None:
    checks.equal(f"{pool} opened", units(said.opened), units(ends[0]))
    checks.equal(f"{pool} closed", units(said.closed), units(ends[1]))
    checks.equal(f"{pool} lines", sorted(said.lines), sorted(lines))
    for name, amount in lines.items():
        checks.amount(f"{pool} {name}", said.lines.get(name, "0"), amount)
    sums = sum(units(each) for each in said.lines.values())
    checks.equal(f"{pool} sum", sums, units(said.closed) - units(said.opened))
