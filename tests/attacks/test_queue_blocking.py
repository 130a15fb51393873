"""Keeping others from leaving: limits nobody can meet, dust, many requests, cheap locks."""

import pytest

from amm.units import AMOUNT_MAX, DAY_MS, MINUTE_MS, ONE
from tests.attacks.stage import DEPOSIT_MAIN, REDEEM_MAIN, WIDE, Stage, staged
from tests.attacks.weakened import Weakening, profit_against
from vaults.rejects import Reject
from vaults.shares import exit_fee, gross_for

STRICT_ORDER = [
    Weakening(
        "vaults/fills.py", "if net < asked.min_out or is_dust:", "if net < asked.min_out < 0:"
    ),
    Weakening(
        "vaults/fills.py",
        "                gross = gross_for(shares, supply, nav)\n                if gross > left:",
        "                gross = gross_for(shares, supply, nav)\n"
        "                if gross < state.requests[slot].min_out:\n"
        "                    return\n"
        "                if gross > left:",
    ),
]
"""A request whose limit is missed waits at the head of the queue."""
OTHERS_FEE = Weakening(
    "vaults/flush.py",
    "    fee_ppm = int(rules.parameters[0].exit_fee_ppm)\n",
    "    fee_ppm = _fee_of_queue(state, rules, redeem_kind, supply, side.low, side.free)\n",
)
DUST_WAITS = Weakening(
    "vaults/fills.py", "if net < asked.min_out or is_dust:", "if net < asked.min_out:"
)
NO_QUEUE_LIMIT = Weakening(
    "vaults/provide.py", "if waiting >= REQUESTS_MAX:", "if waiting > AMOUNT_MAX:"
)
NO_RENT = Weakening("vaults/capacity.py", "rent = parameters.rent_max * min(", "rent = 0.0 * min(")


def provided() -> tuple[Stage, int, int]:
    """Return a pool three quarters of which are locked, a provider of 50 and one of 400."""
    stage = staged()
    trader, victim, attacker = (stage.account() for _ in range(3))
    for strike, size, is_call in ((110_000, 1_100, True), (90_000, 400, False)):
        fill = stage.open(trader, size * ONE, strike, is_call=is_call)
        assert fill.refusal.code == Reject.NONE
    stage.request(victim, DEPOSIT_MAIN, 50 * ONE)
    stage.deposit(attacker, 400 * ONE)
    return stage, victim, attacker


def not_received(stage: Stage, account: int) -> int:
    """Redeem all shares of an account and return what of their worth does not come."""
    start, shares = stage.balance(account), stage.shares(account)
    stage.request(account, REDEEM_MAIN, shares)
    done = stage.flush_when_due()
    gross = int(gross_for(shares, done.main.supply, done.main.low))
    return gross - int(exit_fee(gross, 6_000)) - (stage.balance(account) - start)


def impossible_limit() -> int:
    """Stand at the head of the queue and ask for what nobody can pay."""
    stage, victim, attacker = provided()
    stage.request(attacker, REDEEM_MAIN, ONE, AMOUNT_MAX)
    return not_received(stage, victim)


def raise_the_fee() -> int:
    """Ask for all at an impossible limit: what another, who asks for little, misses by it."""
    stage, victim, attacker = provided()
    shares = stage.shares(victim)
    twin = stage.copy()
    done = twin.flush_when_due()
    gross = int(gross_for(shares, done.main.supply, done.main.low))
    filled = []
    for attacks in (False, True):
        played = stage.copy()
        if attacks:
            played.request(attacker, REDEEM_MAIN, stage.shares(attacker), AMOUNT_MAX)
        limit = gross - int(exit_fee(gross, 1_500))
        slot = played.request(victim, REDEEM_MAIN, shares, limit).request
        played.flush_when_due()
        filled.append(int(played.state.requests[slot].filled))
    return filled[0] - filled[1]


def immortal_dust() -> int:
    """Ask to redeem one share at a price below a unit: how long the queue stays because of it."""
    stage, victim, attacker = provided()
    stage.pool.main -= 100 * ONE  # a loss: a share is worth less than a unit
    stage.pool.custody -= 100 * ONE
    stage.request(attacker, REDEEM_MAIN, 1)
    stage.flush_when_due()
    for _ in range(3):
        stage.request(victim, DEPOSIT_MAIN, ONE)
        stage.flush_when_due()
    return int(stage.pool.request_count - stage.pool.request_first)


def many_requests() -> int:
    """Ask for a unit as often as one can: open requests beyond a hundred."""
    stage, _, attacker = provided()
    taken = 0
    for _ in range(110):
        taken += stage.request(attacker, DEPOSIT_MAIN, 2).refusal.code == Reject.NONE
    return taken - 100


def lock_everything() -> int:
    """Lock what the pool has with the cheapest options for two days, so that nobody can leave.

    What is missing of 20 % a year on what is kept from leaving, paid to those who are kept.
    """
    stage = staged(parameters=WIDE._replace(stress_share_ppm=10**6))
    start = int(stage.nav().mid)
    traders = [stage.account() for _ in range(4)]
    cheapest = ((116_000, True), (115_000, True), (88_000, False), (87_000, False))
    for trader, (strike, is_call) in zip(traders, cheapest, strict=True):
        fill = stage.open(trader, 490 * ONE, strike, is_call=is_call)
        assert fill.refusal.code == Reject.NONE, fill
    begun, kept = stage.now, int(stage.pool.locked)
    assert kept > 900 * ONE
    stage.tick()
    for _ in range(2):
        stage.tick(after_ms=DAY_MS - 40 * MINUTE_MS)
        for _ in range(20):
            stage.tick(after_ms=2 * MINUTE_MS)
    for trader in traders:
        stage.credit(trader, 1)
    days = (stage.now - begun) / DAY_MS
    return round(0.2 * kept * days / 365) - (int(stage.nav().mid) - start)


@pytest.mark.parametrize(
    "attack", [impossible_limit, raise_the_fee, many_requests, lock_everything]
)
def test_nobody_is_kept_from_leaving(attack: object) -> None:
    """Others get what they would have got; who locks the pool pays its owners for it."""
    assert callable(attack)
    assert attack() <= 0


def test_dust_does_not_stay() -> None:
    """A share worth nothing goes back, and the rows before it are behind every pass."""
    assert immortal_dust() == 0


@pytest.mark.parametrize(
    ("weakenings", "attack"),
    [
        (STRICT_ORDER, "impossible_limit"),
        ([OTHERS_FEE], "raise_the_fee"),
        ([DUST_WAITS], "immortal_dust"),
        ([NO_QUEUE_LIMIT], "many_requests"),
        ([NO_RENT], "lock_everything"),
    ],
)
def test_each_rule_is_what_stops_it(weakenings: list[Weakening], attack: str) -> None:
    """Without it the same attack succeeds."""
    assert profit_against(weakenings, "test_queue_blocking", attack) > 0
