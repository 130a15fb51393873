"""Profit and loss from flush to flush: the lines of both pools, and that they sum."""

import numpy as np
import pytest

from amm.units import ONE
from tests.vaults.harness import Bench, funded
from vaults.corporate import dividend, split
from vaults.epoch import Books, MainLines, Visits, books_of, insurance_lines, main_lines
from vaults.moves import Bucket, Flow, Move, RequestKind
from vaults.params import Parameters
from vaults.split import scaled
from vaults.state import logged_for_everybody
from vaults.tick import remark

QUICK = Parameters(cooldown_ms=0, cover_period_flushes=2)


def visits(bench: Bench, pool: Bucket) -> Visits:
    """Return what LPs brought and took in the flush just done."""
    brought = paid = 0
    for kind, source, target, _, amount, flow in bench.moves.tolist():
        if kind == Move.TRANSFER and target == pool and flow == Flow.DEPOSIT:
            brought += amount
        if kind == Move.TRANSFER and source == pool and flow == Flow.REDEMPTION:
            paid += amount
    return Visits(brought, paid)


def flushed(bench: Bench) -> tuple[Books, Books]:
    """Flush when that is due; return the books it opened and closed."""
    opened = books_of(bench.state)
    assert bench.flush_when_due().done == 1
    return opened, books_of(bench.state)


def test_books_are_closed_as_the_flush_leaves_the_pools() -> None:
    """At the listing and after every flush; between them they stay."""
    bench = funded()
    bench.open(bench.account(), 100 * ONE)
    before = books_of(bench.state)
    bench.tick(btc=101_000.0)
    assert books_of(bench.state) == before
    _, closed = flushed(bench)
    assert closed.nav == int(bench.pool.nav_after)
    assert closed.insurance == int(bench.pool.insurance)
    assert closed.refundable == int(bench.pool.impact_refundable) > 0
    assert closed.accrued == 0  # everybody has paid
    assert list(closed.flows) == bench.state.flows.tolist()


def test_main_s_lines_say_what_happened() -> None:
    """A day with a trade, a rise, and LPs who come and go; little has no cause."""
    bench = funded(parameters=QUICK)
    leaver, account = 0, bench.account()
    bench.open(account, 300 * ONE, 105_000)
    bench.request(leaver, RequestKind.REDEEM_MAIN, 500 * ONE)
    bench.request(account, RequestKind.DEPOSIT_MAIN, 100 * ONE)
    for step in range(1, 31):
        bench.tick(btc=100_000.0 + 10.0 * step)
    opened, closed = flushed(bench)
    lines = main_lines(opened, closed, 0, visits(bench, Bucket.MAIN))
    assert sum(lines) == closed.nav - opened.nav
    assert lines.premium > 0
    assert lines.spread > 0
    assert lines.delta < 0
    assert lines.gamma < 0
    assert lines.vega == 0
    assert lines.deposits == 100 * ONE
    assert lines.redemptions < -490 * ONE
    assert lines.exit_fees > 0
    assert (lines.insurance, lines.dividends, lines.split_dust) == (0, 0, 0)
    told = abs(lines.delta) + abs(lines.gamma) + lines.spread
    assert abs(lines.other) < 0.05 * told


def test_insurance_s_lines_leave_nothing_over() -> None:
    """A crash that main cannot bear alone: the claim is in both pools' lines, with its sign."""
    bench = funded(1_000 * ONE, 500 * ONE, QUICK)
    flushed(bench)
    account = bench.account()
    bench.open(account, 200 * ONE)
    bench.request(1, RequestKind.REDEEM_INSURANCE, 10 * ONE)
    bench.tick(btc=135_000.0)
    opened, closed = flushed(bench)
    main = main_lines(opened, closed, 0, visits(bench, Bucket.MAIN))
    insurance = insurance_lines(opened, closed, visits(bench, Bucket.INSURANCE))
    assert sum(main) == closed.nav - opened.nav
    assert sum(insurance) == closed.insurance - opened.insurance
    assert main.insurance == -insurance.claims > 0
    assert (insurance.dividends, insurance.split_dust) == (0, 0)


def split_bench(bench: Bench, numerator: int, denominator: int) -> None:
    """Split everything, parameters too."""
    refusal = bench.run(split, bench.rules, numerator, denominator, 0, bench.now)
    assert refusal.code == 0
    seed, least = bench.parameters.seed, bench.parameters.notional_min
    bench.change(
        seed=scaled(seed, numerator, denominator),
        notional_min=scaled(least, numerator, denominator),
    )
    bench.run(lambda state: remark(state, bench.rules, bench.market))


@pytest.mark.parametrize("ratio", [(3, 1), (1, 7), (20, 3)])
def test_a_split_is_neither_gain_nor_loss(ratio: tuple[int, int]) -> None:
    """The books are in new units as everything is: what is left has rounding for a cause."""
    bench = funded(1_000 * ONE, 500 * ONE, QUICK)
    bench.open(bench.account(), 100 * ONE)
    flushed(bench)
    whole = bench.copy()
    split_bench(bench, *ratio)
    opened, closed = flushed(bench)
    main = main_lines(opened, closed, 0, visits(bench, Bucket.MAIN))
    insurance = insurance_lines(opened, closed, visits(bench, Bucket.INSURANCE))
    unsplit = main_lines(*flushed(whole), 0, visits(whole, Bucket.MAIN))
    assert sum(main) == closed.nav - opened.nav
    assert sum(insurance) == closed.insurance - opened.insurance
    expected = scaled(sum(unsplit), *ratio)
    assert abs(sum(main) - expected) < 100 * max(1, ratio[0] // ratio[1])
    assert abs(main.premium - scaled(unsplit.premium, *ratio)) < 100 * max(1, ratio[0] // ratio[1])
    assert 0 <= main.split_dust < 100
    assert abs(insurance.split_dust) < 100


def test_a_dividend_is_a_line_of_its_own() -> None:
    """What came to both pools from outside; nothing of it looks like a gain on options."""
    bench = funded(1_000 * ONE, 500 * ONE, QUICK)
    flushed(bench)
    none_pending = np.zeros(int(bench.pool.account_count), dtype=np.int64)
    bench.state = logged_for_everybody(bench.state)
    bench.run(dividend, bench.rules, 30 * ONE, none_pending, bench.now)
    to_main = int(bench.pool.nav_after) - books_of(bench.state).nav
    opened, closed = flushed(bench)
    main = main_lines(opened, closed, to_main, visits(bench, Bucket.MAIN))
    insurance = insurance_lines(opened, closed, visits(bench, Bucket.INSURANCE))
    assert main == MainLines(*([0] * 11), to_main, 0)
    assert insurance.dividends == sum(insurance) > 9 * ONE
    assert to_main > 19 * ONE
