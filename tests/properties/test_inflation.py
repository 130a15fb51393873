"""Making a share dear so that the next deposit buys none: a gift to the seed and to whoever comes.

The attacker owns next to nothing but a share, and gives by each door there is.
"""

from collections.abc import Callable

import pytest

from amm.units import DAY_MS, HOUR_MS, ONE
from tests.properties.vault import LEVEL, Pool, Vault
from tests.vaults.harness import Bench
from vaults.moves import RequestStatus

GIFT = 1_000 * ONE


def first_in(pool: Pool) -> Vault:
    """Return a vault with a seed of a token, into which an attacker has put one unit."""
    bench = Bench(LEVEL._replace(series_share_ppm=10**6))
    bench.tick(after_ms=HOUR_MS)
    attacker, victim = bench.account(), bench.account()
    vault = Vault(bench, pool, (attacker, victim), attacker)
    assert vault.deposit(attacker, 1) == (RequestStatus.FILLED, 1, 1)
    return vault


def give(vault: Vault) -> None:
    """By a dividend: tokens from outside."""
    vault.give(GIFT)


def stream(vault: Vault) -> None:
    """By premium: for a position whose premium is as much as is in the pool."""
    vault.bench.change(fee=0.02, series_share_ppm=10**6)
    fill = vault.bench.open(vault.trader, ONE, limit=10 * ONE)
    assert fill.notional == ONE
    vault.bench.tick(after_ms=300 * DAY_MS)
    vault.bench.close(vault.trader, int(fill.position_id), ONE)


def lose(vault: Vault) -> None:
    """By trades at a spread nobody else would pay."""
    vault.bench.change(spread_floor=0.02, vol_spread=0.1, vest_days=1)
    for _ in range(30):
        fill = vault.bench.open(vault.trader, ONE, limit=10 * ONE)
        vault.bench.close(vault.trader, int(fill.position_id), ONE)
    vault.bench.change(spread_floor=0.0, vol_spread=0.0)


@pytest.mark.parametrize(
    ("pool", "door"),
    [(Pool.MAIN, give), (Pool.MAIN, stream), (Pool.MAIN, lose), (Pool.INSURANCE, give)],
)
@pytest.mark.parametrize("amount", [ONE // 10, ONE, 123 * ONE + 7])
def test_who_comes_after_a_gift_gets_back_what_came(
    pool: Pool, door: Callable[[Vault], None], amount: int
) -> None:
    """All but a thousandth of it, at once; and the attacker has lost nearly all that was given."""
    vault = first_in(pool)
    attacker, victim = vault.users
    before, cash = vault.bench.balance(attacker), vault.cash
    door(vault)
    vault.bench.tick(after_ms=3 * DAY_MS)
    vault.flush()
    assert vault.cash - cash > 10_000
    bought = vault.deposit(victim, amount)
    assert bought.status == RequestStatus.FILLED
    sold = vault.redeem(victim, bought.received)
    assert sold.received > amount - amount // 1_000
    vault.redeem(attacker, vault.shares(attacker))
    given = vault.cash - cash
    gained = vault.bench.balance(attacker) - before
    assert gained <= given // 10**6 + 1
