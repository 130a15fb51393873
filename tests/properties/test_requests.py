"""What a request takes and what its fill gives: exactly, for everybody the same, and no more."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amm.units import ONE
from tests.properties.vault import (
    AMOUNTS,
    LEVEL,
    REAL,
    USERS,
    WORLDS,
    Asked,
    Pool,
    Vault,
    World,
    made,
)
from vaults.account import spendable
from vaults.moves import RequestKind, RequestStatus
from vaults.params import Parameters
from vaults.rejects import Reject
from vaults.shares import exit_fee, gross_for, shares_for

PARTS = st.lists(st.integers(0, 1_000), min_size=USERS, max_size=USERS)
BOTH_POOLS = pytest.mark.parametrize("pool", Pool)


class Held(NamedTuple):
    """What a user has outside of requests."""

    balance: int
    main_shares: int
    insurance_shares: int


def held(vault: Vault, user: int) -> Held:
    row = vault.bench.state.accounts[user]
    return Held(int(row.balance), int(row.main_shares), int(row.insurance_shares))


def worth(vault: Vault) -> tuple[int, int]:
    """What either pool has for its shares: main's NAV at mid, insurance's cash."""
    return int(vault.bench.nav().mid), int(vault.bench.pool.insurance)


def paid_for(shares: int, supply: int, nav: int, fee_ppm: int) -> int:
    gross = int(gross_for(shares, supply, nav))
    return gross - int(exit_fee(gross, fee_ppm))


# What it takes and gives.


@given(world=WORLDS, amount=AMOUNTS, who=st.integers(0, USERS - 1))
def test_a_deposit_takes_and_gives_exactly(world: World, amount: int, who: int) -> None:
    """At the request the tokens alone, at the flush the shares alone; nobody else has changed."""
    vault = world.vault()
    user, others = vault.users[who], [each for each in vault.users if each != vault.users[who]]
    before, rest = held(vault, user), [held(vault, each) for each in others]
    request = vault.ask(user, vault.pool.deposit, amount)
    assert held(vault, user) == before._replace(balance=before.balance - amount)
    prices = vault.side(vault.flush())
    done = vault.result(request)
    shares = int(shares_for(amount, int(prices.supply), int(prices.high)))
    if shares == 0:
        assert done == Asked(RequestStatus.RETURNED, 0, 0)
        assert held(vault, user) == before
    else:
        assert done == Asked(RequestStatus.FILLED, amount, shares)
        name = f"{vault.pool.value}_shares"
        gained = {name: getattr(before, name) + shares, "balance": before.balance - amount}
        assert held(vault, user) == before._replace(**gained)
    assert [held(vault, each) for each in others] == rest


@given(world=WORLDS, part=st.integers(1, 1_000), who=st.integers(0, USERS - 1))
def test_a_redemption_takes_and_gives_exactly(world: World, part: int, who: int) -> None:
    """The shares alone at the request, the tokens alone at the flush."""
    vault = world.vault()
    user, others = vault.users[who], [each for each in vault.users if each != vault.users[who]]
    shares = max(vault.shares(user) * part // 1_000, 1)
    before, rest = held(vault, user), [held(vault, each) for each in others]
    name = f"{vault.pool.value}_shares"
    without = before._replace(**{name: getattr(before, name) - shares})
    request = vault.ask(user, vault.pool.redeem, shares)
    assert held(vault, user) == without
    prices = vault.side(vault.flush())
    fee_ppm = int(prices.exit_fee_ppm)
    paid = paid_for(shares, int(prices.supply), int(prices.low), fee_ppm)
    if int(gross_for(shares, int(prices.supply), int(prices.low))) > 0:
        assert vault.result(request) == Asked(RequestStatus.FILLED, shares, paid)
        assert held(vault, user) == without._replace(balance=before.balance + paid)
    assert [held(vault, each) for each in others] == rest


@given(
    world=WORLDS,
    deposits=st.lists(AMOUNTS, min_size=USERS, max_size=USERS),
    exits=PARTS | st.just([0] * USERS),
    limits=st.lists(st.integers(-2, 2), min_size=USERS, max_size=USERS),
)
def test_a_fill_is_no_worse_than_its_limit(
    world: World, deposits: list[int], exits: list[int], limits: list[int]
) -> None:
    """Four come, and go at once or not, with limits about the price: in full, or untouched."""
    vault = world.vault()
    prices = vault.prices()
    asked = []
    for user, amount, part, off in zip(vault.users, deposits, exits, limits, strict=True):
        fair = int(shares_for(amount, int(prices.supply), int(prices.high)))
        least = max(fair + off, 0)
        asked.append((vault.ask(user, vault.pool.deposit, amount, least), amount, least))
        shares = vault.shares(user) * part // 1_000
        if shares > 0:
            fee_ppm = int(prices.exit_fee_ppm)
            fair = paid_for(shares, int(prices.supply), int(prices.low), fee_ppm)
            least = max(fair + off, 0)
            asked.append((vault.ask(user, vault.pool.redeem, shares, least), shares, least))
    vault.flush()
    for request, amount, least in asked:
        done = vault.result(request)
        if done.status == RequestStatus.FILLED:
            assert done.filled == amount
            assert done.received >= least
        elif done.status == RequestStatus.RETURNED:
            assert (done.filled, done.received) == (0, 0)
        else:
            assert done.status == RequestStatus.OPEN
            assert done.filled < amount


@BOTH_POOLS
@pytest.mark.parametrize("parameters", [LEVEL, REAL], ids=["level", "real"])
def test_everybody_gets_the_same(pool: Pool, parameters: Parameters) -> None:
    """Rich or poor, with a stake or with dust, first or last: for the same, the same."""
    vault = made(parameters, pool)
    users = (*vault.users[:3], vault.bench.account(2 * ONE), vault.bench.account())
    asked = [vault.ask(user, pool.deposit, ONE + 12_345) for user in users]
    vault.flush()
    (bought,) = {vault.result(each) for each in asked}
    assert bought.status == RequestStatus.FILLED
    asked = [vault.ask(user, pool.redeem, bought.received) for user in reversed(users)]
    vault.flush()
    (sold,) = {vault.result(each) for each in asked}
    assert (sold.status, sold.filled) == (RequestStatus.FILLED, bought.received)


@given(world=WORLDS, amount=AMOUNTS, more=AMOUNTS)
def test_who_offers_more_gets_no_less(world: World, amount: int, more: int) -> None:
    """And nobody gives anything for nothing, or gets anything for it."""
    vault = world.vault()
    asked = [vault.ask(vault.users[0], vault.pool.deposit, amount)]
    asked.append(vault.ask(vault.users[1], vault.pool.deposit, amount + more))
    vault.flush()
    less, most = (vault.result(each) for each in asked)
    assert less.received <= most.received
    for each in (less, most):
        assert (each.filled > 0) == (each.received > 0)


# Nothing, and too much.


@BOTH_POOLS
def test_nothing_can_be_asked_for_nothing(pool: Pool) -> None:
    """Zero and less are refused in words, and change nothing."""
    vault = made(REAL, pool)
    for kind in (pool.deposit, pool.redeem):
        for amount in (0, -1):
            refusal = vault.bench.request(vault.users[0], kind, amount).refusal
            assert refusal.code == Reject.AMOUNT_NOT_POSITIVE


@BOTH_POOLS
def test_all_can_be_asked_for_and_a_unit_more_cannot(pool: Pool) -> None:
    """Of a balance and of a holding; and what waits already is not there to be asked again."""
    vault = made(REAL, pool)
    bench, user = vault.bench, vault.users[0]
    free = int(spendable(bench.state, bench.rules, user, bench.now))
    for kind, most, code in (
        (pool.deposit, free, Reject.BALANCE),
        (pool.redeem, vault.shares(user), Reject.SHARES_EXCEED_HOLDING),
    ):
        refusal = bench.request(user, kind, most + 1).refusal
        assert (refusal.code, refusal.limit, refusal.actual) == (code, most, most + 1)
        assert bench.request(user, kind, most).refusal.code == Reject.NONE
        assert bench.request(user, kind, 1).refusal.code == code


@BOTH_POOLS
def test_one_who_redeems_all_has_nothing_left(pool: Pool) -> None:
    """No share, nothing that waits; nothing to be had from the pool any more."""
    vault = made(REAL, pool)
    user = vault.users[1]
    done = vault.redeem(user, vault.shares(user))
    assert done.status == RequestStatus.FILLED
    assert vault.shares(user) == 0
    refusal = vault.bench.request(user, pool.redeem, 1).refusal
    assert refusal.code == Reject.SHARES_EXCEED_HOLDING


# The pool's side.


@given(world=WORLDS, deposits=st.lists(AMOUNTS, max_size=USERS), exits=PARTS)
def test_a_flush_moves_a_pool_by_exactly_what_came_and_went(
    world: World, deposits: list[int], exits: list[int]
) -> None:
    """In tokens and in shares; both move the same way, or neither does.

    The flush itself, cover settled before, changes nothing, so every series is counted once.
    """
    vault = world.vault()
    bench, pool = vault.bench, vault.pool
    asked = [
        vault.ask(user, pool.deposit, amount)
        for user, amount in zip(vault.users, deposits, strict=False)
    ]
    coming = len(asked)
    for user, part in zip(vault.users, exits, strict=True):
        shares = vault.shares(user) * part // 1_000
        if shares > 0:
            asked.append(vault.ask(user, pool.redeem, shares))
    supply, (main, insurance) = vault.supply, worth(vault)
    done = vault.flush()
    results = [vault.result(each) for each in asked]
    taken = sum(each.filled for each in results[:coming])
    paid = sum(each.received for each in results[coming:])
    minted = sum(each.received for each in results[:coming])
    burned = sum(each.filled for each in results[coming:])
    assert (done.claim, done.repaid, done.nav.mid) == (0, 0, main)
    assert vault.supply - supply == minted - burned
    main_after, insurance_after = int(done.nav_after.mid), int(bench.pool.insurance)
    changes = main_after - main, insurance_after - insurance
    assert changes == ((taken - paid, 0) if pool is Pool.MAIN else (0, taken - paid))
    if minted > burned:
        assert taken > paid
    if minted == burned:
        assert 0 <= taken - paid <= 2 * len(asked) + paid // 100  # dust and exit fees


@given(world=WORLDS, amount=AMOUNTS)
def test_what_is_no_fill_moves_no_pool(world: World, amount: int) -> None:
    """Requests, cancelling, deposits to a balance and withdrawals leave both pools alone."""
    vault = world.vault()
    bench, user = vault.bench, vault.users[0]
    before = worth(vault), vault.supply
    shares = min(amount, vault.shares(user))
    requests = [vault.ask(user, vault.pool.deposit, amount)]
    requests.append(vault.ask(user, vault.pool.redeem, shares))
    assert bench.credit(user, amount).code == bench.withdraw(user, amount).code == Reject.NONE
    assert (worth(vault), vault.supply) == before
    for request in requests:
        assert bench.cancel(user, request).code == Reject.NONE
    assert (worth(vault), vault.supply) == before


@given(world=WORLDS, amount=AMOUNTS)
def test_only_ones_own_requests_move_what_one_has(world: World, amount: int) -> None:
    """Whatever others do, trade and flush; tokens go only where shares come, and back."""
    vault = world.vault()
    bench, (user, *others) = vault.bench, vault.users
    before = held(vault, user)
    for other in others:
        vault.ask(other, vault.pool.deposit, amount)
        vault.ask(other, vault.pool.redeem, min(vault.shares(other), amount))
    for position in vault.held():
        bench.close(vault.trader, int(position.position_id), int(position.notional))
    bench.withdraw(others[0], amount)
    vault.flush()
    bench.tick(after_ms=10**8)
    vault.flush()
    assert held(vault, user) == before


@BOTH_POOLS
def test_nobody_takes_back_the_request_of_another(pool: Pool) -> None:
    """Nor one that is not there."""
    vault = made(REAL, pool)
    owner, other = vault.users[:2]
    for kind in (pool.deposit, pool.redeem):
        request = vault.ask(owner, kind, ONE)
        assert vault.bench.cancel(other, request).code == Reject.REQUEST_UNKNOWN
        assert vault.bench.cancel(other, request + 1).code == Reject.REQUEST_UNKNOWN
        assert vault.bench.cancel(owner, request).code == Reject.NONE


def test_both_pools_count_in_the_token_s_units() -> None:
    """A seed is as many shares as units; a token is a share while nothing has been earned."""
    vault = made(LEVEL, Pool.MAIN, has_book=False)
    pool = vault.bench.pool
    assert pool.main_seed_shares == pool.insurance_seed_shares == vault.bench.parameters.seed
    for kind, name in (
        (RequestKind.DEPOSIT_MAIN, "main_shares"),
        (RequestKind.DEPOSIT_INSURANCE, "insurance_shares"),
    ):
        newcomer = vault.bench.account()
        vault.ask(newcomer, kind, ONE)
        vault.flush()
        assert int(vault.bench.state.accounts[newcomer][name]) == ONE
