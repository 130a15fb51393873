"""In and out, and out and in, over two flushes at frozen marks: nobody gains, in any order.

By either of both rules: one price and no fee, which is what the suites assume, and the defaults,
whose band and exit fee can only make it worse for who comes and goes. `mint` and `withdraw` are the
least deposit for so many shares and the fewest shares for so much, under that limit.
"""

from hypothesis import given
from hypothesis import strategies as st

from tests.properties.vault import AMOUNTS, LEVEL_WORLDS, USERS, WORLDS, Vault, World
from vaults.moves import RequestStatus

WHO = st.integers(0, USERS - 2)
"""Anybody but the one whose stake is dust."""
PART = st.integers(1, 1_000)
"""Thousandths of what somebody holds."""


def part_of(vault: Vault, user: int, part: int) -> int:
    """Return a part of a user's shares, one at least."""
    return max(vault.shares(user) * part // 1_000, 1)


@given(world=WORLDS, who=WHO, amount=AMOUNTS)
def test_a_deposit_redeemed_pays_no_more_than_it_was(world: World, who: int, amount: int) -> None:
    vault = world.vault()
    user = vault.users[who]
    before = vault.wealth(user)
    shares = vault.deposit(user, amount).received
    if shares > 0:
        assert vault.redeem(user, shares).received <= amount
    assert vault.wealth(user) <= before


@given(world=WORLDS, who=WHO, amount=AMOUNTS)
def test_withdrawing_a_deposit_burns_what_it_minted_at_least(
    world: World, who: int, amount: int
) -> None:
    """A share less misses the limit; all of them may be too few as well."""
    vault = world.vault()
    user = vault.users[who]
    before = vault.wealth(user)
    shares = vault.deposit(user, amount).received
    if shares > 1:
        assert vault.redeem(user, shares - 1, amount).status == RequestStatus.RETURNED
    if vault.fewest(amount) <= vault.shares(user):
        assert vault.withdraw(user, amount).filled >= shares
    assert vault.wealth(user) <= before


@given(world=WORLDS, who=WHO, part=PART)
def test_shares_redeemed_and_deposited_are_no_more(world: World, who: int, part: int) -> None:
    vault = world.vault()
    user = vault.users[who]
    before, shares = vault.wealth(user), part_of(vault, user, part)
    paid = vault.redeem(user, shares).received
    if paid > 0:
        assert vault.deposit(user, paid).received <= shares
    assert vault.wealth(user) <= before


@given(world=WORLDS, who=WHO, part=PART)
def test_minting_what_was_redeemed_costs_what_it_paid_at_least(
    world: World, who: int, part: int
) -> None:
    vault = world.vault()
    user = vault.users[who]
    before, shares = vault.wealth(user), part_of(vault, user, part)
    paid = vault.redeem(user, shares).received
    if paid > 1:
        assert vault.deposit(user, paid - 1, shares).status == RequestStatus.RETURNED
    assert vault.mint(user, shares).filled >= paid
    assert vault.wealth(user) <= before


@given(world=WORLDS, who=WHO, shares=AMOUNTS)
def test_withdrawing_what_minting_cost_burns_as_many_at_least(
    world: World, who: int, shares: int
) -> None:
    vault = world.vault()
    user = vault.users[who]
    before = vault.wealth(user)
    cost = vault.mint(user, shares).filled
    if shares > 1:
        assert vault.redeem(user, shares - 1, cost).status == RequestStatus.RETURNED
    if vault.fewest(cost) <= vault.shares(user):
        assert vault.withdraw(user, cost).filled >= shares
    assert vault.wealth(user) <= before


@given(world=WORLDS, who=WHO, shares=AMOUNTS)
def test_redeeming_what_was_minted_pays_its_cost_at_most(
    world: World, who: int, shares: int
) -> None:
    vault = world.vault()
    user = vault.users[who]
    before = vault.wealth(user)
    cost = vault.mint(user, shares).filled
    assert vault.redeem(user, shares).received <= cost
    assert vault.wealth(user) <= before


@given(world=WORLDS, who=WHO, part=PART)
def test_minting_what_a_withdrawal_burned_costs_as_much_at_least(
    world: World, who: int, part: int
) -> None:
    vault = world.vault()
    user = vault.users[who]
    before, amount = vault.wealth(user), part_of(vault, user, part) // 2 + 1
    taken = vault.withdraw(user, amount)
    assert taken.received >= amount
    if amount > 1:
        assert vault.deposit(user, amount - 1, taken.filled).status == RequestStatus.RETURNED
    assert vault.mint(user, taken.filled).filled >= amount
    assert vault.wealth(user) <= before


@given(world=WORLDS, who=WHO, part=PART)
def test_depositing_a_withdrawal_gives_what_it_burned_at_most(
    world: World, who: int, part: int
) -> None:
    vault = world.vault()
    user = vault.users[who]
    before, amount = vault.wealth(user), part_of(vault, user, part) // 2 + 1
    burned = vault.withdraw(user, amount).filled
    assert vault.deposit(user, amount).received <= burned
    assert vault.wealth(user) <= before


@given(world=LEVEL_WORLDS, who=WHO, amount=AMOUNTS)
def test_without_band_and_fee_a_trip_costs_next_to_nothing(
    world: World, who: int, amount: int
) -> None:
    """So that the inequalities above are none that any price would meet."""
    vault = world.vault()
    user = vault.users[who]
    shares = vault.deposit(user, amount).received
    if shares > 0:
        back = vault.redeem(user, shares).received
        assert back >= amount - 2 * vault.price - 2
