"""From tokens to shares and back, in every direction a vault is asked: exact, and tight."""

from fractions import Fraction
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from vaults.shares import cost_of, gross_for, shares_for


class Rate(NamedTuple):
    """Shares of a pool and what they are worth, with at least a seed of either."""

    supply: int
    nav: int

    @property
    def price(self) -> Fraction:
        """What a share is worth, with the virtual unit and share."""
        return Fraction(self.nav + 1, self.supply + 1)

    def shares(self, amount: int) -> int:
        """What a deposit of tokens buys."""
        return int(shares_for(amount, self.supply, self.nav))

    def tokens(self, shares: int) -> int:
        """What shares are redeemed for."""
        return int(gross_for(shares, self.supply, self.nav))

    def cost(self, shares: int) -> int:
        """The least that buys so many shares."""
        return int(cost_of(shares, self.supply, self.nav))

    def burned(self, amount: int) -> int:
        """The fewest shares that pay so much."""
        return -(-amount * (self.supply + 1) // (self.nav + 1))

    def after(self, shares: int, amount: int) -> "Rate":
        """The pool with so many shares and tokens more."""
        return Rate(self.supply + shares, self.nav + amount)


MANY = st.integers(10**8, 10**12)
SOME = st.integers(1, 10**12)


def rate_of(supply: int, price: float, dust: int) -> Rate:
    """Return a pool with a share price next to the one given."""
    return Rate(supply, round(supply * price) + dust)


RATES = st.builds(rate_of, MANY, st.floats(1e-3, 1e3), st.integers(0, 1_000))
"""From a seed to ten thousand of them, at a price no product of which leaves the integers."""
LOSSES = st.builds(Rate, MANY, st.integers(-(10**12), -1))


@given(rate=RATES | LOSSES)
def test_nothing_is_nothing(rate: Rate) -> None:
    """In both directions, at any NAV."""
    assert rate.shares(0) == rate.tokens(0) == 0


@given(rate=RATES, amount=SOME)
def test_something_is_never_had_for_nothing(rate: Rate, amount: int) -> None:
    """Shares cost a unit at least, and a payment burns a share at least."""
    assert rate.cost(amount) > 0
    assert rate.burned(amount) > 0
    assert rate.tokens(amount) == 0 or rate.burned(rate.tokens(amount)) > 0


@given(rate=LOSSES, amount=SOME)
def test_below_nothing_nobody_comes_or_goes(rate: Rate, amount: int) -> None:
    """A NAV below zero buys and pays nothing; it fails no conversion."""
    assert rate.shares(amount) == rate.tokens(amount) == 0


@given(rate=RATES, one=SOME, other=SOME)
def test_parts_are_worth_no_more_than_the_whole(rate: Rate, one: int, other: int) -> None:
    """Neither direction pays for being asked twice; what must be paid does not get cheaper."""
    assert rate.shares(one) + rate.shares(other) <= rate.shares(one + other)
    assert rate.tokens(one) + rate.tokens(other) <= rate.tokens(one + other)
    assert rate.cost(one) + rate.cost(other) >= rate.cost(one + other)
    assert rate.burned(one) + rate.burned(other) >= rate.burned(one + other)


@given(rate=RATES, amount=SOME, more=SOME)
def test_more_is_worth_no_less(rate: Rate, amount: int, more: int) -> None:
    for convert in (rate.shares, rate.tokens, rate.cost, rate.burned):
        assert convert(amount) <= convert(amount + more)


@given(rate=RATES, amount=SOME)
def test_there_and_back_is_no_more(rate: Rate, amount: int) -> None:
    """From tokens, from shares, and of each inverse: the least that is enough."""
    assert rate.tokens(rate.shares(amount)) <= amount
    assert rate.shares(rate.tokens(amount)) <= amount
    assert rate.cost(rate.shares(amount)) <= amount
    assert rate.burned(rate.tokens(amount)) <= amount
    assert rate.shares(rate.cost(amount)) >= amount > rate.shares(rate.cost(amount) - 1)
    assert rate.tokens(rate.burned(amount)) >= amount > rate.tokens(rate.burned(amount) - 1)


@given(rate=RATES)
def test_all_shares_are_worth_all_there_is(rate: Rate) -> None:
    """But for the virtual unit and share: the price of one share, to a unit."""
    assert abs(rate.tokens(rate.supply) - rate.nav) <= rate.price + 1
    assert abs(rate.shares(rate.nav) - rate.supply) <= 1 / rate.price + 1


@given(rate=RATES, amount=SOME)
def test_a_share_more_for_a_deposit_would_dilute(rate: Rate, amount: int) -> None:
    """Rounding is for those who stay, and by no more than it must be."""
    shares = rate.shares(amount)
    assert rate.after(shares, amount).price >= rate.price > rate.after(shares + 1, amount).price


@given(rate=RATES, part=st.integers(1, 999_999))
def test_a_share_less_for_a_payment_would_dilute(rate: Rate, part: int) -> None:
    amount = max(rate.nav * part // 10**6, 1)
    shares = rate.burned(amount)
    assert rate.after(-shares, -amount).price >= rate.price
    assert rate.after(1 - shares, -amount).price < rate.price


@given(rate=RATES, shares=SOME)
def test_a_unit_less_for_shares_would_dilute(rate: Rate, shares: int) -> None:
    cost = rate.cost(shares)
    assert rate.after(shares, cost).price >= rate.price > rate.after(shares, cost - 1).price


@given(rate=RATES, part=st.integers(1, 999_999))
def test_a_unit_more_for_shares_would_dilute(rate: Rate, part: int) -> None:
    shares = max(rate.supply * part // 10**6, 1)
    paid = rate.tokens(shares)
    assert rate.after(-shares, -paid).price >= rate.price
    assert rate.after(-shares, -paid - 1).price < rate.price
