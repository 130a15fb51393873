"""Making a share so dear that the next deposit rounds to less than it is worth."""

import pytest

from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE
from tests.attacks.stage import DEPOSIT_MAIN, REDEEM_MAIN, WIDE, Stage
from tests.attacks.weakened import Weakening, profit_against

NO_SEED = [
    Weakening("vaults/params.py", '"seed": Range(ONE // 100,', '"seed": Range(1,'),
    Weakening(
        "vaults/shares.py",
        "mul_div_down(amount, supply + 1, nav + 1)",
        "mul_div_down(amount, supply, nav)",
    ),
    Weakening(
        "vaults/shares.py",
        "mul_div_down(shares, nav + 1, supply + 1)",
        "mul_div_down(shares, nav, supply)",
    ),
    Weakening(
        "vaults/fills.py",
        "if shares >= max(int(asked.min_out), 1) and bought <= most:",
        "if shares >= int(asked.min_out) and bought <= most:",
    ),
]
"""A pool that begins with one share, has no virtual one, and takes what buys none."""
VICTIMS = 6


def empty(seed: int) -> Stage:
    """Return a pool nobody has deposited in."""
    stage = Stage(WIDE._replace(seed=seed, exit_fee_max_ppm=100_000), checked=False)
    stage.tick(after_ms=HOUR_MS)
    return stage


def give(stage: Stage, attacker: int, route: str) -> None:
    """Let the attacker, who holds next to all shares, lose something to the pool."""
    if route == "exit fee":
        held = stage.shares(attacker)
        stage.request(attacker, REDEEM_MAIN, held - 1)
        stage.flush_when_due(1)
        return
    if route == "gift":  # a dividend, or whatever else could come from outside
        stage.state.accounts[attacker].balance -= ONE
        stage.pool.balances -= ONE
        stage.pool.main += ONE
        return
    stage.warm()
    fill = stage.open(attacker, 20 * ONE)
    assert fill.position_id > 0
    if route == "premium":
        for _ in range(2 * 24):
            stage.tick(after_ms=HOUR_MS)
            stage.credit(attacker, 1)
    stage.close(attacker, fill.position_id, 20 * ONE)
    for _ in range(10 if route == "trades" else 0):
        fill = stage.open(attacker, 20 * ONE)
        stage.close(attacker, fill.position_id, 20 * ONE)


def inflate(seed: int, route: str) -> int:
    """Return what the first depositor gains by giving to the pool before others deposit."""
    stage = empty(seed)
    stage.change(exit_fee_ppm=100_000 if route == "exit fee" else 0, exit_fee_max_ppm=100_000)
    attacker = stage.account(1_000 * ONE)
    start = stage.balance(attacker)
    first = 1 if route == "gift" else 20 * ONE
    stage.request(attacker, DEPOSIT_MAIN, first)
    stage.flush_when_due(1)
    give(stage, attacker, route)
    price = (int(stage.pool.main) + 1) // (int(stage.pool.main_shares) + 1)
    for _ in range(VICTIMS):
        victim = stage.account(1_000 * ONE)
        stage.request(victim, DEPOSIT_MAIN, price * 9 // 10 if price > ONE // 100 else ONE)
        stage.tick(after_ms=max(int(stage.pool.next_flush_ms) - stage.now - 30 * MINUTE_MS, 1))
        stage.warm(30)
        assert stage.flush().done == 1
    stage.change(exit_fee_ppm=0, exit_fee_max_ppm=0)
    stage.request(attacker, REDEEM_MAIN, stage.shares(attacker))
    stage.tick(after_ms=DAY_MS)
    stage.now = max(stage.now, int(stage.pool.next_flush_ms))
    stage.flush()
    return stage.balance(attacker) - start


@pytest.mark.parametrize("route", ["exit fee", "gift", "trades", "premium"])
def test_giving_to_the_pool_is_a_gift(route: str) -> None:
    """Exit fees, money from outside, losing trades, premium: none of it comes back."""
    assert inflate(ONE, route) < 0


@pytest.mark.parametrize("route", ["exit fee", "gift"])
def test_without_seed_and_virtual_share_it_pays(route: str) -> None:
    """The first depositor is alone with one share, and takes what others deposit."""
    assert profit_against(NO_SEED, "test_share_inflation", "inflate", 1, route) > ONE // 10
