"""Crossing: who comes and who goes in the same flush trade shares with each other first.

At one price, without band and exit fee, and without free liquidity: one can leave a pool that is
locked to the last unit whenever somebody enters. It changes no pool: the shares stay as many, and
the cash grows by the dust.
"""

from amm.kernel import allocating_kernel, kernel
from vaults.fills import fill_deposit, pay_redemption
from vaults.nav import Nav
from vaults.queue import divide, hand_out_rest, total_asked
from vaults.rules import Rules
from vaults.shares import cost_of, gross_for, shares_for
from vaults.state import NONE, State


@kernel
def crossing_price(nav: Nav, unearned: int) -> int:
    """Return the NAV crossing is priced with: half of what is not earned yet off the middle."""
    return min(max(nav.mid - (unearned + 1) // 2, nav.low), nav.high)


@allocating_kernel
def cross(
    state: State,
    rules: Rules,
    deposit_kind: int,
    redeem_kind: int,
    supply: int,
    nav: int,
    now_ms: int,
) -> int:
    """Let deposits buy the shares that redemptions offer.

    Args:
        state: The token.
        rules: Its rules.
        deposit_kind: Who comes.
        redeem_kind: Who goes.
        supply: Shares of the pool before the flush.
        nav: What they are worth in a crossing.
        now_ms: The flush's time.

    Returns:
        Shares that changed hands.
    """
    offered = gross_for(total_asked(state, rules, redeem_kind, NONE), supply, nav)
    tokens = min(total_asked(state, rules, deposit_kind, NONE), offered)
    if tokens <= 0:
        return 0
    parts = divide(state, rules, deposit_kind, tokens)
    crossed = 0
    for slot in range(parts.shape[0]):
        shares = shares_for(parts[slot], supply, nav)
        if shares > 0:
            crossed += shares
            fill_deposit(state, slot, cost_of(shares, supply, nav), shares)
    given = divide(state, rules, redeem_kind, crossed)
    hand_out_rest(state, rules, redeem_kind, given, crossed)
    for slot in range(given.shape[0]):
        if given[slot] > 0:
            shares = int(given[slot])
            pay_redemption(state, rules, slot, shares, gross_for(shares, supply, nav), 0, now_ms)
    return crossed
