"""Buying what main owes just before it is written off, or insurance just before it is repaid."""

from amm.units import DAY_MS, ONE
from tests.attacks.stage import MAIN_PROVIDER, REDEEM_MAIN, WIDE, Stage, staged
from tests.attacks.weakened import Weakening, profit_against
from vaults.effects import book_advance

AT_ONCE = Weakening(
    "vaults/effects.py",
    "    left_ms = max(int(lot.until_ms) - max(now_ms, int(lot.since_ms)), 0)\n",
    "    left_ms = int(lot.until_ms - lot.since_ms) if now_ms < lot.until_ms else 0\n",
)
OWED_IS_NOTHING = Weakening(
    "vaults/flush.py",
    "high = low + int(pool.advances) + accrued_to_insurance(state)",
    "high = low",
)
FREE_TO_LEAVE = WIDE._replace(exit_fee_ppm=0, exit_fee_max_ppm=0, cooldown_ms=0)
OWED = 100 * ONE


def owing(since_ms: int) -> Stage:
    """Return a pool of 1,000 that owes insurance 100, written off a year's quarter later."""
    stage = staged(1_000 * ONE, 300 * ONE, FREE_TO_LEAVE)
    book_advance(stage.state, OWED, stage.now + since_ms, stage.now + since_ms + 90 * DAY_MS)
    return stage


def buy_before_the_write_off() -> int:
    """Enter in a crossing on the eve of the last day of what is owed, and leave on the morrow."""
    stage = owing(-(90 * DAY_MS) + DAY_MS)
    buyer = stage.account()
    stage.request(MAIN_PROVIDER, REDEEM_MAIN, 600 * ONE)
    start = stage.balance(buyer)
    stage.deposit(buyer, 500 * ONE)
    stage.leave(buyer)
    return stage.balance(buyer) - start


def buy_before_the_repayment() -> int:
    """Enter insurance when main has gained, and leave when half of that was paid back."""
    stage = owing(0)
    buyer = stage.account()
    start = stage.balance(buyer)
    stage.deposit(buyer, 300 * ONE, insurance=True)
    stage.pool.main += 50 * ONE
    stage.pool.custody += 50 * ONE
    stage.flush_when_due()
    for _ in range(4):  # a part at a time: the reserve keeps the rest
        if stage.shares(buyer, insurance=True) > 0:
            stage.leave(buyer, insurance=True)
    rest = sum(
        int(each.amount)
        for each in stage.state.requests[: int(stage.pool.request_count)]
        if each.account == buyer and each.status == 0
    )
    worth = rest * int(stage.pool.insurance) // int(stage.pool.insurance_shares)
    return stage.balance(buyer) + worth - start


def test_there_is_no_day_to_wait_for() -> None:
    """What is owed fades by a ninetieth a day, and who enters insurance pays for all of it.

    Who leaves in a crossing gives the buyer half of the last day's part; nobody else does.
    """
    assert buy_before_the_write_off() <= OWED // 180
    assert buy_before_the_repayment() <= 0


def test_a_sudden_write_off_is_bought() -> None:
    """At half off the day before, and for nothing the day after."""
    assert profit_against([AT_ONCE], "test_advances", "buy_before_the_write_off") > ONE


def test_insurance_priced_at_its_cash_is_bought() -> None:
    """A repayment everybody sees coming, at a price without it."""
    assert profit_against([OWED_IS_NOTHING], "test_advances", "buy_before_the_repayment") > ONE
