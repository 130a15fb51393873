"""Depositing before, or redeeming after, a move that the price of a flush does not know yet.

A pool that has sold calls is priced at the medians of an hour. Just under 1 % in the last minutes
is known to everybody and to no median.
"""

import pytest

from amm.units import MINUTE_MS, ONE
from tests.attacks.stage import DEPOSIT_MAIN, MAIN_PROVIDER, REDEEM_MAIN, WIDE, Stage, staged
from tests.attacks.weakened import Weakening, profit_against
from vaults.rejects import Reject

LATE_REQUESTS = Weakening(
    "vaults/provide.py",
    "return int(pool.flushes) + int(now_ms > pool.cutoff_ms)",
    "return int(pool.flushes)",
)
LATE_CANCELS = Weakening(
    "vaults/provide.py",
    "if asked.flush <= pool.flushes and now_ms > pool.cutoff_ms:",
    "if asked.flush < pool.flushes and now_ms > pool.cutoff_ms:",
)
NO_BAND = [
    Weakening(
        "vaults/nav.py", "low += notional * mark.value_low", "low += notional * mark.value_median"
    ),
    Weakening(
        "vaults/nav.py",
        "high += notional * mark.value_high",
        "high += notional * mark.value_median",
    ),
]
NO_EXIT_FEE = WIDE._replace(exit_fee_ppm=0, exit_fee_max_ppm=0)
MOVE = 0.0095
SIZE = 300 * ONE


def moved(move: float, *, leaver: bool = False) -> tuple[Stage, int, int]:
    """Return a pool two minutes before its flush, after a move; a rich account; a request.

    With a `leaver` account 0 has asked in time to leave, and the other account to enter.
    """
    stage = staged(parameters=NO_EXIT_FEE)
    trader, other = stage.account(), stage.account()
    assert stage.open(trader, 450 * ONE).refusal.code == Reject.NONE
    asked = -1
    if leaver:
        asked = stage.request(MAIN_PROVIDER, REDEEM_MAIN, SIZE).request
        stage.request(other, DEPOSIT_MAIN, 2 * SIZE)
    stage.to_flush(40 * MINUTE_MS)
    stage.tick(after_ms=0)
    stage.warm(37)
    stage.tick(100_000 * (1 + move))
    return stage, other, asked


def flush_now(stage: Stage) -> int:
    """Flush at the marks of the last minutes; return what SIZE shares were worth at the last."""
    stage.tick(after_ms=int(stage.pool.next_flush_ms) - stage.now)
    settled = stage.copy()
    settled.warm(31)
    assert stage.flush().done == 1
    return int(settled.nav().mid) * SIZE // int(settled.pool.main_shares)


def deposit_before_a_gain() -> int:
    """Deposit when calls have just become cheaper, and leave a day later: over a quiet day."""
    gained = []
    for move in (-MOVE, 0.0):
        stage, attacker, _ = moved(move)
        start = stage.balance(attacker)
        stage.request(attacker, DEPOSIT_MAIN, SIZE)
        flush_now(stage)
        if stage.shares(attacker) == 0:
            stage.flush_when_due()
        stage.leave(attacker)
        gained.append(stage.balance(attacker) - start)
    return gained[0] - gained[1]


def redeem_before_a_loss() -> int:
    """Leave when calls have just become dearer: what is received above what it was worth."""
    stage, _, _ = moved(MOVE)
    start = stage.balance(MAIN_PROVIDER)
    stage.request(MAIN_PROVIDER, REDEEM_MAIN, SIZE)
    fair = flush_now(stage)
    if stage.balance(MAIN_PROVIDER) == start:
        stage.tick(after_ms=int(stage.pool.next_flush_ms) - stage.now - 31 * MINUTE_MS)
        stage.warm(30)
        fair = flush_now(stage)
    return stage.balance(MAIN_PROVIDER) - start - fair


def free_option() -> int:
    """Ask to leave, a newcomer paying, and take it back where that was to one's disadvantage.

    What that brings, over a move each way, above leaving in any case.
    """
    gained = []
    for cancels in (True, False):
        gained.append(0)
        for move in (MOVE, -MOVE):
            stage, _, slot = moved(move, leaver=True)
            if cancels and move < 0:
                stage.cancel(MAIN_PROVIDER, slot)
            start = stage.balance(MAIN_PROVIDER)
            fair = flush_now(stage)
            if int(stage.state.requests[slot].filled) > 0:
                gained[-1] += stage.balance(MAIN_PROVIDER) - start - fair
    return gained[0] - gained[1]


@pytest.mark.parametrize("attack", [deposit_before_a_gain, redeem_before_a_loss, free_option])
def test_what_comes_after_the_cutoff_is_too_late(attack: object) -> None:
    """Requests wait for the next flush, cancellations are refused."""
    assert callable(attack)
    assert attack() <= 0


@pytest.mark.parametrize("attack", ["deposit_before_a_gain", "redeem_before_a_loss"])
def test_the_band_alone_would_do(attack: str) -> None:
    """Who could ask after the cut-off would still have the worse end of the window's prices."""
    assert profit_against([LATE_REQUESTS], "test_flush_sandwich", attack) <= 0


@pytest.mark.parametrize("attack", ["deposit_before_a_gain", "redeem_before_a_loss"])
def test_without_cutoff_and_band_it_pays(attack: str) -> None:
    """At the medians, a minute before the flush, the move is a gift."""
    assert profit_against([LATE_REQUESTS, *NO_BAND], "test_flush_sandwich", attack) > ONE // 10


def test_a_late_cancellation_is_an_option() -> None:
    """Crossing is at the middle: who may take it back after the move has one for nothing."""
    assert profit_against([LATE_CANCELS], "test_flush_sandwich", "free_option") > ONE // 10
