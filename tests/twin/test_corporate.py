"""Splits and dividends in the middle of a life, kernels and twin side by side."""

from fractions import Fraction

import numpy as np
import pytest

from amm.units import HOUR_MS, ONE, PPM
from tests.twin import corporate
from tests.twin.pair import Pair
from tests.twin.test_rare import LP, MAIN, OTHER, TRADER, WIDE, funded
from vaults.corporate import dividend, split
from vaults.moves import RequestKind
from vaults.split import scaled
from vaults.state import logged_for_everybody
from vaults.tick import remark


def full() -> Pair:
    """Return a pair with something of everything a split has to reach."""
    pair = funded(WIDE)
    pair.open(TRADER, MAIN // 2 + 3 * 10**5 + 1)
    pair.open(OTHER, MAIN // 7 + 11, 95_000, is_call=False, self_funding=True)
    pair.tick((121_000, None))
    assert pair.flush_when_due(2).claim > 0
    pair.request(LP, RequestKind.REDEEM_MAIN, MAIN // 3 + 1, MAIN // 4 + 5)
    pair.request(OTHER, RequestKind.DEPOSIT_MAIN, MAIN // 9 + 7, 3)
    pair.request(OTHER, RequestKind.DEPOSIT_INSURANCE, 12_345_677)
    pair.withdraw(TRADER, ONE + 1)
    pair.withdraw(OTHER, 2 * ONE + 3)
    pair.tick((119_500, None))
    pair.bench.now += 7_001
    return pair


def do_split(pair: Pair, numerator: int, denominator: int) -> None:
    """Split on both sides; parameters that are amounts change with it."""
    bench, ratio = pair.bench, Fraction(numerator, denominator)
    amounts = [amount for _, amount in pair.books.withdrawals]
    pending = sum(scaled(each, numerator, denominator) for each in amounts)
    assert bench.run(split, bench.rules, numerator, denominator, pending, bench.now).code == 0
    bench.run(lambda state: remark(state, bench.rules, bench.market))
    corporate.split(pair.books, ratio, bench.now)
    corporate.rescale(pair.books, ratio)
    bench.change(
        seed=scaled(bench.parameters.seed, numerator, denominator),
        notional_min=scaled(bench.parameters.notional_min, numerator, denominator),
    )
    assert pair.books.parameters == bench.parameters
    pair.compare("split")


@pytest.mark.parametrize("ratio", [(2, 1), (3, 2), (1, 7), (13, 3), (64, 1), (999, 1_000)])
def test_a_life_goes_on_after_a_split(ratio: tuple[int, int]) -> None:
    """Every amount is the floor, main has the dust; what follows is as it would have been."""
    pair = full()
    do_split(pair, *ratio)
    pair.tick((119_000, None))
    assert pair.flush_when_due(2).done
    pair.close(TRADER, 1, pair.books.positions[1].notional // 3)
    pair.tick((116_000, None), after_ms=5 * HOUR_MS)
    do_split(pair, ratio[1], ratio[0])
    assert pair.flush_when_due(2).done
    assert pair.books.custody > 0


@pytest.mark.parametrize("amount", [1, 77_777, MAIN // 50 + 1])
def test_a_dividend_is_everybodys(amount: int) -> None:
    """Pro rata to owners of record; it is no gain that would pay back advances."""
    pair = full()
    bench = pair.bench
    pending = np.zeros(len(pair.books.accounts), dtype=np.int64)
    for account, leaving in pair.books.withdrawals:
        pending[account] += leaving
    bench.state = logged_for_everybody(bench.state)
    assert bench.run(dividend, bench.rules, amount, pending, bench.now).code == 0
    corporate.dividend(pair.books, amount, bench.now)
    pair.compare("dividend")
    assert pair.flush_when_due(2).repaid < PPM * ONE
    assert pair.books.main_shares > 0
