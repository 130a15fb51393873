"""Depositing just before a gain everybody knows of, and leaving just after it."""

import pytest

from amm.units import DAY_MS, ONE
from tests.attacks.stage import staged
from tests.attacks.weakened import Weakening, profit_against
from tests.vaults.harness import Bench, funded
from vaults.moves import Flow, RequestKind
from vaults.params import Parameters
from vaults.rejects import Reject

WIDE = Parameters(series_share_ppm=10**6, account_share_ppm=10**6, stress_share_ppm=700_000)
DEPOSIT = 10_000 * ONE


def provider_for_a_day(parameters: Parameters) -> tuple[Bench, int]:
    """Let somebody deposit as much as the pool holds after a day of trade, and leave a day later.

    Returns:
        The bench, and what the provider has gained.
    """
    bench = funded(parameters=parameters)
    trader, provider = bench.account(), bench.account()
    for _ in range(10):
        fill = bench.open(trader, 4_000 * ONE)
        assert fill.refusal.code == Reject.NONE
        bench.close(trader, fill.position_id, 4_000 * ONE)
    bench.request(provider, RequestKind.DEPOSIT_MAIN, DEPOSIT)
    before = bench.balance(provider)
    assert bench.flush_when_due().done == 1
    shares = int(bench.state.accounts[provider].main_shares)
    assert shares > 0
    bench.request(provider, RequestKind.REDEEM_MAIN, shares)
    assert bench.flush_when_due().done == 1
    return bench, bench.balance(provider) - before - DEPOSIT


def test_spread_cannot_be_caught_by_a_deposit() -> None:
    """The day's spread vests over days: half of a fifth of it is less than leaving costs."""
    bench, gained = provider_for_a_day(WIDE)
    spread = bench.flow(Flow.SPREAD)
    assert spread > 40 * ONE
    assert gained < 0


def test_vesting_is_what_stops_it() -> None:
    """Were spread priced into deposits at once they would pay for it; out of them it is a gift.

    Without an exit fee the provider still has at most the day's part of what vests.
    """
    bench, gained = provider_for_a_day(WIDE._replace(exit_fee_ppm=0, exit_fee_max_ppm=0))
    vested = bench.flow(Flow.SPREAD) / bench.parameters.vest_days
    assert gained <= vested / 2
    assert gained < 0 or gained == pytest.approx(vested / 2, rel=0.05)


def test_requests_before_and_after_a_trade_get_the_same_price() -> None:
    """A deposit cannot be put before, nor a redemption behind, what a flush has seen already."""
    bench = funded(parameters=WIDE)
    early, late, trader = bench.account(), bench.account(), bench.account()
    bench.request(early, RequestKind.DEPOSIT_MAIN, ONE)
    fill = bench.open(trader, 4_000 * ONE)
    bench.close(trader, fill.position_id, 4_000 * ONE)
    bench.request(late, RequestKind.DEPOSIT_MAIN, ONE)
    bench.flush_when_due()
    accounts = bench.state.accounts
    assert accounts[early].main_shares == accounts[late].main_shares > 0
    assert bench.now % DAY_MS == bench.parameters.flush_offset_ms


DEPOSITS_AT_THE_LOW = Weakening(
    "vaults/flush.py",
    "fill_deposits(state, rules, deposit_kind, side.supply, side.high)",
    "fill_deposits(state, rules, deposit_kind, side.supply, side.low)",
)
PREMIUM_WHEN_PAID = (
    Weakening(
        "vaults/nav.py",
        "backed = int(pool.main) + accrued_to_main(state)\n    refundable",
        "backed = int(pool.main)\n    refundable",
    ),
    Weakening(
        "vaults/flush.py",
        "    settle_everybody(state, rules, now_ms)\n    value_book(",
        "    value_book(",
    ),
)
FREE_TO_LEAVE = WIDE._replace(exit_fee_ppm=0, exit_fee_max_ppm=0)


def catch_spread() -> int:
    """Deposit after a day of trade, and leave when its spread has vested."""
    stage = staged(10_000 * ONE, parameters=FREE_TO_LEAVE)
    trader, provider = stage.account(), stage.account()
    for _ in range(10):
        fill = stage.open(trader, 4_000 * ONE)
        stage.close(trader, fill.position_id, 4_000 * ONE)
    start = stage.balance(provider)
    stage.deposit(provider, DEPOSIT)
    for _ in range(6):
        stage.flush_when_due(1)
    stage.leave(provider)
    return stage.balance(provider) - start


def catch_premium() -> int:
    """Deposit when premium of days has not been settled, have it settled, and leave.

    What that brings above a day at the same marks on which it is not settled.
    """
    gained = []
    for settles in (True, False):
        stage = staged(1_000 * ONE, parameters=FREE_TO_LEAVE)
        trader, provider = stage.account(), stage.account()
        assert stage.open(trader, 450 * ONE).refusal.code == Reject.NONE
        for _ in range(5):
            stage.flush_when_due()
        start = stage.balance(provider)
        stage.deposit(provider, 1_000 * ONE)
        if settles:
            stage.credit(trader, 1)
        stage.leave(provider)
        gained.append(stage.balance(provider) - start)
    return gained[0] - gained[1]


def test_what_is_known_is_paid_for() -> None:
    """Spread that has yet to vest, premium that has yet to be settled."""
    assert catch_spread() <= 0
    assert catch_premium() <= 2  # base units: each settlement rounds up once


def test_a_price_that_leaves_out_what_is_known_is_caught() -> None:
    """Deposits at the price of exits, and premium that counts only when it is paid."""
    module = "test_just_in_time_deposit"
    assert profit_against([DEPOSITS_AT_THE_LOW], module, "catch_spread") > ONE
    assert profit_against(list(PREMIUM_WHEN_PAID), module, "catch_premium") > ONE // 10
