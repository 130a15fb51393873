"""Main LPs after the insurance pool's money, and insurance LPs who would not pay."""

from amm.units import HOUR_MS, MINUTE_MS, ONE
from tests.attacks.stage import (
    INSURANCE_PROVIDER,
    MAIN_PROVIDER,
    REDEEM_INSURANCE,
    REDEEM_MAIN,
    WIDE,
    Stage,
    staged,
)
from tests.attacks.weakened import Weakening, profit_against
from vaults.moves import Flow
from vaults.rejects import Reject

FLOWS_ARE_LOSSES = Weakening(
    "vaults/flush.py",
    "new_period = begin_epoch(state, rules, stress, after, settled, now_ms)",
    "new_period = begin_epoch(state, rules, stress, nav, settled, now_ms)",
)
NO_COOLDOWN = Weakening(
    "vaults/queue.py",
    "asked.created_ms + rules.parameters[0].cooldown_ms <=",
    "asked.created_ms <=",
)
EXITS_FIRST = Weakening(
    "vaults/flush.py",
    "    settled = settle_cover(state, rules, before, stress, now_ms)\n",
    "    _flush_insurance(state, rules, _NORMAL, now_ms)\n"
    "    settled = settle_cover(state, rules, before, stress, now_ms)\n",
)
ADVANCES_ARE_CASH = Weakening(
    "vaults/flush.py",
    "supply, low = int(pool.insurance_shares), int(pool.insurance)\n",
    "supply, low = int(pool.insurance_shares), int(pool.insurance) + int(pool.advances)\n",
)
ONE_PERIOD = WIDE._replace(cover_period_flushes=1, exit_fee_ppm=0, exit_fee_max_ppm=0)


def covered() -> Stage:
    """Return pools whose cover period begins with both of them full."""
    stage = staged(1_000 * ONE, 500 * ONE, ONE_PERIOD)
    stage.flush_when_due(1)
    assert int(stage.pool.cover_insurance) > 500 * ONE
    stage.change(cover_period_flushes=7)
    return stage


def leave_and_claim() -> int:
    """Let half of one's own shares leave main, and have the other half claim that as a loss."""
    stage = covered()
    start = stage.balance(MAIN_PROVIDER)
    stage.request(MAIN_PROVIDER, REDEEM_MAIN, stage.shares(MAIN_PROVIDER) // 2)
    stage.flush_when_due(1)
    stage.flush_when_due(1)
    for _ in range(3):
        stage.request(MAIN_PROVIDER, REDEEM_MAIN, stage.shares(MAIN_PROVIDER))
        stage.flush_when_due(1)
    left = stage.shares(MAIN_PROVIDER) * int(stage.nav().mid) // int(stage.pool.main_shares)
    return stage.balance(MAIN_PROVIDER) + left - start - 1_000 * ONE


def trade_with_oneself() -> int:
    """Buy from and sell to a pool of one's own at marks that come back: what insurance loses."""
    stage = covered()
    stage.warm(30)
    trader = stage.account()
    before = int(stage.pool.insurance)
    for _ in range(3):
        fill = stage.open(trader, 450 * ONE)
        assert fill.refusal.code == Reject.NONE
        stage.to_flush(40 * MINUTE_MS)
        stage.tick(after_ms=0)
        stage.tick(104_000)
        stage.warm(37)
        stage.close(trader, fill.position_id, 450 * ONE)
        stage.tick(100_000)
        stage.tick()
        stage.flush()
    return before - int(stage.pool.insurance)


def loss_then_exit(ahead: bool) -> int:
    """Let 60 % of insurance leave when main has lost: what is gained over its part after the claim.

    Asked for after the loss, or (`ahead`) ten days before it.
    """
    stage = covered()
    stage.change(cover_period_flushes=1)
    asked = stage.shares(INSURANCE_PROVIDER, insurance=True) * 6 // 10
    stage.change(cover_period_flushes=30)
    stage.warm(31)
    trader = stage.account()
    for strike in (100_000, 101_000, 102_000):
        assert stage.open(trader, 300 * ONE, strike).refusal.code == Reject.NONE
    if ahead:
        stage.change(cooldown_ms=0)
    stage.to_flush(2 * HOUR_MS)
    stage.tick(118_000, after_ms=0)
    stage.warm(30)
    start = stage.balance(INSURANCE_PROVIDER)
    stage.request(INSURANCE_PROVIDER, REDEEM_INSURANCE, asked)
    other = stage.copy()
    other.cancel(INSURANCE_PROVIDER, int(other.pool.request_count) - 1)
    for each in (stage, other):
        each.flush_when_due()
    assert other.flow(Flow.CLAIM) > 50 * ONE
    received = stage.balance(INSURANCE_PROVIDER) - start
    # Its part of what is left to who pays the claim with the others.
    fair = asked * int(other.pool.insurance) // int(other.pool.insurance_shares)
    return received - fair * int(received > 0)


def test_leaving_is_no_loss_to_claim() -> None:
    """What LPs take out is no loss of the pool."""
    assert leave_and_claim() <= 0


def test_a_pool_that_takes_exits_for_losses_pays() -> None:
    """Had NAV after a flush its LPs' flows in it, insurance would pay for them."""
    assert profit_against([FLOWS_ARE_LOSSES], "test_cover", "leave_and_claim") > ONE


def test_trading_with_oneself_claims_nothing() -> None:
    """Marks that come back leave no loss at a flush, and insurance has its part of premium."""
    assert trade_with_oneself() <= 0


def test_insurance_leaves_after_the_claim() -> None:
    """Too late for this flush; had it asked in time, it pays its part of the claim first."""
    assert loss_then_exit(ahead=False) <= 0
    assert loss_then_exit(ahead=True) <= 0


def test_an_exit_before_the_claim_pays() -> None:
    """With exits first and no cooldown, the others pay."""
    weakenings = [NO_COOLDOWN, EXITS_FIRST]
    assert profit_against(weakenings, "test_cover", "loss_then_exit", False) > 10 * ONE


def test_advances_are_no_cash() -> None:
    """Were what main owes paid out as if it were there, who leaves first would take it."""
    assert profit_against([ADVANCES_ARE_CASH], "test_cover", "loss_then_exit", True) > 10 * ONE
