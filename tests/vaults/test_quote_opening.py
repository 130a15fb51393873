"""A quote says what the order then costs and does, and what speaks against it."""

import pytest

from amm.units import ONE
from tests.vaults.harness import BTC, Bench, funded
from vaults.opening import quote_opening
from vaults.rejects import Reject
from vaults.state import NONE
from vaults.trade import QuotedOpening


def quoted(bench: Bench, account: int, strike: int, notional: int) -> QuotedOpening:
    arguments = (bench.state, bench.rules, bench.market)
    return quote_opening(*arguments, account, BTC, True, strike * ONE, notional, bench.now)


def test_an_order_costs_and_locks_what_was_quoted() -> None:
    """In a new series and in one that is live."""
    bench = funded()
    account = bench.account()
    for _ in range(2):
        told = quoted(bench, account, 105_000, 100 * ONE)
        assert told.refusal.code == Reject.NONE
        locked = int(bench.pool.locked)
        fill = bench.open(account, 100 * ONE, 105_000)
        assert fill.amount / ONE == pytest.approx(told.quote.total, abs=2e-8)
        assert (int(bench.pool.locked) - locked) / ONE == told.lock
        assert told.utilisation_after > told.utilisation
        assert told.days_covered > 0.0


def test_a_quote_names_what_speaks_against_it() -> None:
    bench = funded()
    account = bench.account()
    assert quoted(bench, account, 200_000, ONE).refusal.code == Reject.STRIKE_WINDOW
    assert quoted(bench, NONE, 100_000, ONE).days_covered == 0.0
    assert quoted(bench, account, 100_000, 9_000 * ONE).refusal.code != Reject.NONE
