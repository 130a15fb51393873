"""Buying into insurance, or out of main, at the flush that divides old premium by a new phi."""

from amm.units import ONE
from tests.attacks.stage import WIDE, Stage, staged
from tests.attacks.weakened import Weakening, profit_against

NOBODY_PAYS_UP = Weakening(
    "vaults/flush.py",
    "    settle_everybody(state, rules, now_ms)\n    value_book(",
    "    value_book(",
)
PERIODS = WIDE._replace(cover_period_flushes=1, exit_fee_ppm=0, exit_fee_max_ppm=0)


def unsettled() -> tuple[Stage, int]:
    """Return a pool without insurance, and a trader who has not paid for six days."""
    stage = staged(1_000 * ONE, 0, PERIODS)
    trader = stage.account()
    for is_call in (True, False):
        stage.open(trader, 450 * ONE, is_call=is_call)
    for _ in range(6):
        stage.flush_when_due()
    return stage, trader


def lift_phi() -> int:
    """Deposit into a pool too small to be paid for: premium of the days before becomes its own."""
    stage, trader = unsettled()
    buyer = stage.account()
    start = stage.balance(buyer)
    stage.deposit(buyer, 21 * ONE, insurance=True)
    stage.flush_when_due()
    stage.credit(trader, 1)
    owned = stage.shares(buyer, insurance=True)
    worth = owned * int(stage.pool.insurance) // int(stage.pool.insurance_shares)
    honest = 6 * ONE // 10  # what two days of premium at the highest phi can have brought
    return stage.balance(buyer) + worth - start - honest


def test_old_premium_cannot_be_bought() -> None:
    """All premium is paid at its own phi before anybody comes."""
    assert lift_phi() <= 0


def test_paying_up_is_what_stops_it() -> None:
    """Were it still owed, the new phi would hand over a part of a week of main's premium."""
    assert profit_against([NOBODY_PAYS_UP], "test_accrued_premium", "lift_phi") > 0
