"""Rounding drains of a pool: many small deposits, redemptions, crossings and partial fills."""

import pytest

from amm.units import ONE
from tests.attacks.stage import DEPOSIT_MAIN, MAIN_PROVIDER, REDEEM_MAIN, WIDE, Stage, staged
from tests.attacks.weakened import Weakening, profit_against

NO_FEE = WIDE._replace(exit_fee_ppm=0, exit_fee_max_ppm=0)
MINT_UP = Weakening(
    "vaults/shares.py",
    "mul_div_down(amount, supply + 1, nav + 1)",
    "mul_div_up(amount, supply + 1, nav + 1)",
)
PAY_UP = Weakening(
    "vaults/shares.py",
    "mul_div_down(shares, nav + 1, supply + 1)",
    "mul_div_up(shares, nav + 1, supply + 1)",
)
ROUNDS = 6


def odd(gift: int) -> Stage:
    """Return a pool whose share is worth an odd number of units."""
    stage = staged(100 * ONE, parameters=NO_FEE)
    stage.pool.main += gift
    stage.pool.custody += gift
    return stage


def flush_at_once(stage: Stage) -> None:
    stage.pool.next_flush_ms = stage.now
    assert stage.flush().done == 1


def small_in(gift: int) -> int:
    """Deposit a unit at a time, and leave at once."""
    stage = odd(gift)
    account = stage.account(10_000)
    for _ in range(ROUNDS):
        for size in (1, 1, 1, 3, 3, 3, 8):
            stage.request(account, DEPOSIT_MAIN, size)
        flush_at_once(stage)
        stage.request(account, REDEEM_MAIN, stage.shares(account))
        flush_at_once(stage)
    return stage.balance(account) - 10_000


def small_out(gift: int) -> int:
    """Deposit at once, and leave a share at a time."""
    stage = odd(gift)
    account = stage.account(10_000)
    for _ in range(ROUNDS):
        stage.request(account, DEPOSIT_MAIN, 100)
        flush_at_once(stage)
        for _ in range(stage.shares(account)):
            stage.request(account, REDEEM_MAIN, 1)
        flush_at_once(stage)
    return stage.balance(account) - 10_000


def crossings(gift: int) -> int:
    """Trade shares with oneself in a crossing: what the pool pays for it."""
    stage = odd(gift)
    main, shares = int(stage.pool.main), int(stage.pool.main_shares)
    account = stage.account(100_000)
    for _ in range(ROUNDS):
        for size in (5, 5, 5, 7, 7, 11, 11):
            stage.request(account, DEPOSIT_MAIN, size)
        stage.request(MAIN_PROVIDER, REDEEM_MAIN, 500)
        flush_at_once(stage)
    worth = main * int(stage.pool.main_shares) // shares
    return worth - int(stage.pool.main)


def parts(gift: int) -> int:
    """Leave a pool that pays a few units at a time: what the pool pays above what shares cost."""
    stage = odd(gift)
    stage.change(free_locked_ppm=0, insurance_backing_ppm=0)
    main, shares = int(stage.pool.main), int(stage.pool.main_shares)
    for _ in range(50):
        stage.request(MAIN_PROVIDER, REDEEM_MAIN, 40)
    for _ in range(ROUNDS):
        stage.pool.locked = int(stage.pool.main) - 150
        flush_at_once(stage)
    worth = main * int(stage.pool.main_shares) // shares
    return worth - int(stage.pool.main)


@pytest.mark.parametrize("gift", [0, 12_345_678_901, 77_777_777_777])
def test_small_change_stays_in_the_pool(gift: int) -> None:
    """At one, two and eight units a share: nothing is gained by going in and out in small parts."""
    assert small_in(gift) <= 0
    assert small_out(gift) <= 0
    assert crossings(gift) <= 0
    assert parts(gift) <= 1  # the comparison rounds down once itself


@pytest.mark.parametrize(
    ("weakening", "attack"),
    [
        (MINT_UP, "small_in"),
        (PAY_UP, "small_out"),
        (PAY_UP, "parts"),
    ],
)
def test_the_other_rounding_pays(weakening: Weakening, attack: str) -> None:
    """A unit at a time, as often as one likes."""
    assert profit_against([weakening], "test_pool_dust", attack, 12_345_678_901) > 5
