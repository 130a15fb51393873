"""A whole flush again: cover, prices, fills, the epoch's books, and what the flush before left."""

from amm.units import DAY_MS
from api.bundles import BUNDLE_VERSION, FlushBundle, PoolFigures, Valuation
from api.verification.books import check_books
from api.verification.chain import check_chain
from api.verification.checks import Checks, units, up
from api.verification.figures import (
    PPM,
    Cover,
    Pools,
    advance,
    cover_of,
    free_main,
    lots_of,
    part,
    part_up,
    pools_before,
    repay,
    stress_needed,
    write_off,
)
from api.verification.fills import (
    Asked,
    Expected,
    Side,
    Walk,
    flush_insurance,
    flush_main,
    let_insurers_go,
    requests_of,
)
from api.verification.marks import (
    Liabilities,
    Nav,
    accrued_to_main,
    base_stress,
    check_values,
    check_windows,
    liabilities,
    net_asset_value,
    unvested,
)
from api.verification.splits import splits_between

EXHAUSTED_PARTS = 10_000


def verify(bundle: FlushBundle, previous: FlushBundle | None) -> Checks:
    """Compute a flush again and compare every figure of its bundle.

    Args:
        bundle: Of the flush.
        previous: Of the flush before it; None for the first.
    """
    checks = Checks()
    try:
        _verify(bundle, previous, checks)
    except (ArithmeticError, ValueError, TypeError, KeyError, IndexError) as error:
        checks.equal("bundle", f"{type(error).__name__}: {error}", "figures that can be computed")
    return checks


def _verify(bundle: FlushBundle, previous: FlushBundle | None, checks: Checks) -> None:
    checks.begin("what it is")
    checks.equal("version", bundle.version, BUNDLE_VERSION)
    checks.equal("number", bundle.flush, bundle.before.flushes + 1)
    checks.equal("due", bundle.exchange_time >= bundle.before.next_flush, computed=True)
    check_windows(bundle, checks)
    check_values(bundle, checks)
    _Flush(bundle, checks).run()
    splits = splits_between(bundle, previous)
    check_books(bundle, splits, checks)
    check_chain(bundle, previous, splits, checks)


class _Flush:
    """One flush, step by step."""

    def __init__(self, bundle: FlushBundle, checks: Checks) -> None:
        self.bundle = bundle
        self.checks = checks
        self.parameters = bundle.parameters
        self.pools: Pools = pools_before(bundle)
        self.walk = Walk(bundle, self.pools, checks)
        self.book: Liabilities = liabilities(bundle)
        self.phi_ppm = units(bundle.before.insurance_share, 6)
        self.refundable = units(bundle.before.impact_refundable)
        self.receivable = sum(units(each.receivable) for each in bundle.series)
        self.stress = base_stress(bundle)
        self.unvested = unvested(bundle)
        self.exhausted = bundle.before.exhausted
        self.fees = {"main": 0, "insurance": 0}

    def run(self) -> None:
        """Go through it: premium is paid up before anything is valued."""
        self.walk.pay_premium()
        self.checks.begin("net asset value")
        results = self.bundle.results
        self.checks.amount("base stress", results.stress, self.stress)
        locked = sum(units(each.locked) for each in self.bundle.series)
        self.checks.amount("locked", self.bundle.before.locked, locked)
        today = self.bundle.exchange_time // DAY_MS
        is_past = all(lot.day <= today for lot in self.bundle.vesting)
        self.checks.equal("days of spread are past", is_past, computed=True)
        before = self._nav(self.receivable)
        self._compare_nav("NAV before", results.before, before)
        self._settle_cover(before)
        self.checks.begin("prices and fills")
        nav = self._nav(self.receivable)
        self._compare_nav("NAV priced with", results.nav, nav)
        requests = requests_of(self.bundle)
        condition = self._end_if_worthless(nav, requests)
        self.checks.equal("condition", results.condition, condition)
        if condition == "EXHAUSTED":
            self.fees["insurance"] = let_insurers_go(self.bundle, requests, self.walk).fees
            self.walk.end()
        else:
            self._let_come_and_go(nav, requests, condition)
        self._compare_requests(requests)
        self._begin_epoch(before, requests)

    def _nav(self, receivable: int) -> Nav:
        unearned = self.unvested + self.pools.advances
        accrued = accrued_to_main(receivable, self.phi_ppm)
        return net_asset_value(self.book, self.pools.main, accrued, self.refundable, unearned)

    def _compare_nav(self, where: str, said: Valuation, nav: Nav) -> None:
        self.checks.amount(f"{where} mid", said.mid, nav.mid)
        self.checks.amount(f"{where} low", said.low, nav.low)
        self.checks.amount(f"{where} high", said.high, nav.high)

    # -- cover

    def _period(self, gain: int) -> tuple[int, int, int, int]:
        row = self.bundle.before
        return (
            units(row.cover_nav),
            units(row.cover_insurance),
            units(row.cover_pnl) + gain,
            units(row.cover_claimed),
        )

    def _note_peak(self) -> None:
        pools = self.pools
        now = float(pools.insurance) * float(pools.peak_shares)
        if now > float(pools.peak_insurance) * float(pools.insurance_shares):
            pools.peak_insurance, pools.peak_shares = pools.insurance, pools.insurance_shares

    def _settle_cover(self, nav: Nav) -> None:
        """Let insurance pay, or main pay back; then what is owed fades."""
        checks, said, bundle = self.checks, self.bundle.results, self.bundle
        checks.begin("cover")
        self._note_peak()
        gain = nav.mid - units(bundle.before.nav_after)
        cover = cover_of(self.pools, self.parameters, self._period(gain))
        for name in ("pnl", "peak", "deductible", "layer", "available", "claimed"):
            checks.amount(f"cover {name}", getattr(said.cover, name), getattr(cover, name))
        lots = lots_of(bundle.advances)
        owed = sum(lot.remaining for lot in lots.values())
        checks.amount("advances before", bundle.before.advances, owed)
        claim = repaid = 0
        if not self.exhausted:
            claim = min(cover.loss(cover.pnl), cover.available)
            if claim > 0:
                days = int(self.parameters["write_off_days"])
                advance(lots, claim, bundle.exchange_time, days)
                self.walk.transfer(Expected("claim", claim, "insurance", "main"))
                self.pools.advances += claim
            else:
                free = free_main(self.pools, nav.low, self.stress, self.parameters)
                share = part(max(gain, 0), self.parameters, "repay_share_ppm")
                repaid = max(min(self.pools.advances, share, free), 0)
                repay(lots, repaid, bundle.before.written_off)
                self.walk.transfer(Expected("repayment", repaid, "main", "insurance"))
                self.pools.advances -= repaid
        checks.amount("claim", said.claim, claim)
        checks.amount("repaid", said.repaid, repaid)
        owed = self.pools.advances
        is_written_off = owed > 0
        if is_written_off:
            write_off(lots, bundle.exchange_time)
        self.pools.advances = sum(lot.remaining for lot in lots.values())
        checks.amount("written off", said.written_off, owed - self.pools.advances)
        written_off = bundle.exchange_time if is_written_off else bundle.before.written_off
        if not self.exhausted:
            checks.equal("time of the write-off", bundle.after.written_off, written_off)
        self._lots = {day: lot for day, lot in lots.items() if lot.remaining > 0}
        self._gain, self._claim = gain, claim

    # -- what LPs do

    def _end_if_worthless(self, nav: Nav, requests: list[Asked]) -> str:
        """Return the condition; a pool that is worth nothing any more ends here."""
        row = self.bundle.before
        seed = int(self.parameters["seed"])
        par = units(row.main_shares) * seed // units(row.main_seed_shares)
        least = max(up(par, EXHAUSTED_PARTS), 1)
        if not self.exhausted and nav.mid < least:
            self.exhausted = True
            for each in requests:
                moved = Expected("deposit_returned", each.amount, f"escrow_{each.pool}", "balances")
                self.walk.fill(each, 0, 0, moved if each.kind == "deposit" else None)
                each.status = "returned"
            return "EXHAUSTED"
        if self.exhausted:
            if units(row.locked) == 0:
                self._dissolve(requests)
            return "EXHAUSTED"
        if nav.mid < self.stress:
            return "WINDDOWN"
        if nav.low < stress_needed(self.stress, self.parameters):
            return "STRESSED"
        return "NORMAL"

    def _dissolve(self, requests: list[Asked]) -> None:
        """Pay out: who held how many shares is nobody's business, so the sum alone is checked."""
        for each in requests:
            self.walk.fill(each, 0, 0, None)
            each.status = "returned"
        repaid = min(self.pools.main, self.pools.advances)
        self.walk.transfer(Expected("repayment", repaid, "main", "insurance"))
        main, insurance = self.pools.main, self.pools.insurance
        self.pools.advances, self._lots = 0, {}
        self.walk.go_past_rest({"dissolution"})
        seed = units(self.bundle.before.main_seed_shares)
        total, others = self.pools.main_shares, self.pools.insurance_shares
        seed_insurance = units(self.bundle.after.insurance_shares)
        kept = main * seed // total, insurance * seed_insurance // others
        self.checks.equal("seed's part of main is kept", self.pools.main >= kept[0], computed=True)
        is_kept = self.pools.insurance >= kept[1]
        self.checks.equal("seed's part of insurance is kept", is_kept, computed=True)
        self.pools.main_shares, self.pools.insurance_shares = seed, seed_insurance

    def _let_come_and_go(self, nav: Nav, requests: list[Asked], condition: str) -> None:
        unearned = self.unvested + self.pools.advances
        main: Side = flush_main(
            self.bundle, requests, nav, unearned, self.stress, condition, self.walk
        )
        accrued = self.receivable - accrued_to_main(self.receivable, self.phi_ppm)
        insurance = flush_insurance(self.bundle, requests, accrued, condition, self.walk)
        self.walk.end()
        self.fees = {"main": main.fees, "insurance": insurance.fees}

    def _compare_requests(self, requests: list[Asked]) -> None:
        for said, each in zip(self.bundle.requests, requests, strict=True):
            where = f"request {each.number}"
            self.checks.amount(f"{where} filled", said.filled_now, each.filled_now)
            self.checks.amount(f"{where} received", said.received_now, each.received_now)
            self.checks.equal(f"{where} status", said.status, each.status)

    # -- the next epoch

    def _begin_epoch(self, before: Nav, requests: list[Asked]) -> None:
        """Check the pools as the flush left them, and what holds until the next one."""
        del before
        checks, after, row = self.checks, self.bundle.after, self.bundle.before
        checks.begin("pools after")
        pools = self.pools
        nav = self._nav(self.receivable)
        self._compare_nav("NAV after", self.bundle.results.nav_after, nav)
        checks.amount("main", after.main, pools.main)
        checks.amount("insurance", after.insurance, pools.insurance)
        checks.amount("main shares", after.main_shares, pools.main_shares)
        checks.amount("insurance shares", after.insurance_shares, pools.insurance_shares)
        checks.amount("advances", after.advances, pools.advances)
        for name in ("main_seed_shares", "locked", "impact_refundable"):
            checks.equal(name, units(getattr(after, name)), units(getattr(row, name)))
        self._compare_lots()
        checks.equal("exhausted", after.exhausted, self.exhausted)
        checks.equal("flushes", after.flushes, row.flushes + 1)
        self._check_cover_after(nav, after)
        self._check_schedule(after, requests)

    def _compare_lots(self) -> None:
        said = lots_of(self.bundle.advances_after)
        self.checks.equal("days of advances", sorted(said), sorted(self._lots))
        for day, lot in self._lots.items():
            self.checks.equal(f"advance of day {day}", said.get(day), lot)

    def _check_cover_after(self, nav: Nav, after: PoolFigures) -> None:
        """Check the cover period, the price of cover and what profit is counted from."""
        checks, row, pools = self.checks, self.bundle.before, self.pools
        is_new = row.flushes % int(self.parameters["cover_period_flushes"]) == 0
        checks.equal("new period", self.bundle.results.new_period, is_new)
        start, insurance, pnl, claimed = self._period(self._gain)
        claimed += self._claim
        if is_new:
            start, insurance, pnl, claimed = nav.mid, pools.insurance, 0, 0
            pools.peak_insurance, pools.peak_shares = pools.insurance, pools.insurance_shares
        self._note_peak()
        checks.amount("cover nav", after.cover_nav, start)
        checks.amount("cover insurance", after.cover_insurance, insurance)
        checks.amount("cover pnl", after.cover_pnl, pnl)
        checks.amount("cover claimed", after.cover_claimed, claimed)
        checks.amount("peak insurance", after.peak_insurance, pools.peak_insurance)
        checks.amount("peak shares", after.peak_shares, pools.peak_shares)
        cover = cover_of(pools, self.parameters, (start, insurance, pnl, claimed))
        phi_ppm = self._cover_price(cover)
        checks.amount("insurance share", after.insurance_share, phi_ppm, 6)
        checks.amount("insurance share told", self.bundle.results.insurance_share, phi_ppm, 6)
        receivable = self.receivable
        anew = accrued_to_main(receivable, phi_ppm) - accrued_to_main(receivable, self.phi_ppm)
        checks.amount("nav after", after.nav_after, nav.mid + anew)
        checks.amount("nav reference", after.nav_reference, max(nav.mid, 0))
        closed = self.bundle.closed
        checks.amount("books nav", closed.nav, nav.mid + anew)
        checks.amount("books insurance", closed.insurance, pools.insurance)
        checks.amount("books accrued", closed.accrued, accrued_to_main(receivable, phi_ppm))
        checks.amount("books refundable", closed.refundable, self.refundable)
        for pool, flow in (("main", "exit_fee"), ("insurance", "exit_fee_insurance")):
            fees = units(closed.flows[flow]) - units(self.bundle.opened.flows[flow])
            checks.equal(f"books {flow}", fees, self.fees[pool])

    def _cover_price(self, cover: Cover) -> int:
        least = part(self.pools.main, self.parameters, "cover_least_ppm")
        if cover.available <= 0 or cover.available < least:
            return 0
        need = float(cover.loss(cover.pnl - self.stress)) / cover.available
        if need <= 0.5:
            share = 0.010 + (0.015 - 0.010) * need / 0.5
        elif need <= 1.0:
            share = 0.015 + (0.030 - 0.015) * (need - 0.5) / 0.5
        else:
            share = 0.030 + (0.080 - 0.030) * min(need - 1.0, 1.0)
        return int(share * PPM)

    def _check_schedule(self, after: PoolFigures, requests: list[Asked]) -> None:
        checks, parameters, now_ms = self.checks, self.parameters, self.bundle.exchange_time
        period, offset = int(parameters["flush_period_ms"]), int(parameters["flush_offset_ms"])
        next_ms = ((now_ms - offset) // period + 1) * period + offset
        checks.equal("next flush", after.next_flush, next_ms)
        checks.equal("cutoff", after.cutoff, next_ms - int(parameters["cutoff_ms"]))
        tolerated = int(parameters["rent_double_flushes"])
        waiting = sum(
            each.amount
            for each in requests
            if (each.pool, each.kind, each.status) == ("main", "redemption", "open")
            and self.bundle.flush - (each.flush - 1) > tolerated
        )
        share = part_up(self.pools.main_shares, parameters, "rent_double_share_ppm")
        checks.equal("rent doubled", after.rent_doubled, 0 < share <= waiting)
