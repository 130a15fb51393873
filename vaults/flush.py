"""The flush: once a day, requests of liquidity providers get their price.

Everybody in a flush has the same price, taken before anything moves: deposits at N_hi,
redemptions at N_lo, the insurance pool at its cash (plus, for deposits, premium accrued to it and
what main owes it). What redemptions cannot take now keeps its place: oldest flush first, pro rata
within one.
"""

from typing import NamedTuple

import numpy as np

from amm.kernel import kernel
from amm.scenarios import UNDERLYINGS
from amm.units import AMOUNT_MAX, PPM, mul_div_down, mul_div_up, units_up
from vaults.capacity import backing, utilisation
from vaults.insurance import cover_price_ppm, redeemable_insurance
from vaults.ledger import post, transfer
from vaults.market import Market
from vaults.moves import (
    INSURANCE_POOL,
    MAIN_POOL,
    QUEUE,
    Bucket,
    Flow,
    Move,
    RequestKind,
    RequestStatus,
)
from vaults.nav import Nav, accrued_to_insurance, net_asset_value
from vaults.premium import allot, settle_account
from vaults.provide import escrow_of, give_back, pool_of, rent_doubles
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules, mark_is_fresh
from vaults.shares import exit_fee, gross_for, shares_for
from vaults.state import NONE, Records, State
from vaults.valuation import base_stress, value_book

_CLOCK = Move.CLOCK.value
_SHARES = Move.SHARES.value
_FILL = Move.FILL.value
_FLUSH = Move.FLUSH.value
_CUTOFF = Move.CUTOFF.value
_COVER = Move.COVER.value
_COUNT = Move.COUNT.value
_OUTSIDE = Bucket.OUTSIDE.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_BALANCES = Bucket.BALANCES.value
_DEPOSIT = Flow.DEPOSIT.value
_REDEMPTION = Flow.REDEMPTION.value
_SEED = Flow.SEED.value
_EXIT_FEE = Flow.EXIT_FEE.value
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_REDEEM_MAIN = RequestKind.REDEEM_MAIN.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE.value
_OPEN = RequestStatus.OPEN.value
_FILLED = RequestStatus.FILLED.value
_RETURNED = RequestStatus.RETURNED.value

_NOT_DUE = Reject.NOT_DUE.value

NO_FLUSH = 2**62


class Flushed(NamedTuple):
    """What a flush did; `done` is 0 where it was postponed.

    NAV and main shares are given as they were priced with, and after LPs have come and gone at
    the same marks.
    """

    refusal: Refusal
    done: int
    nav: Nav
    main_shares: int
    nav_after: Nav
    main_shares_after: int


@kernel
def _schedule(
    state: State,
    rules: Rules,
    now_ms: int,
    done: int,
    reference: int,
    phi_ppm: int,
    doubled: int,
) -> None:
    """Set when the next flush and its cut-off are; with one done, also its results."""
    next_ms = next_flush(rules.parameters[0], now_ms)
    post(state, _FLUSH, next_ms, done, reference, phi_ppm, doubled)
    post(state, _CUTOFF, next_ms - rules.parameters[0].cutoff_ms, 0, 0, 0, 0)


@kernel
def _allot_requesters(state: State) -> None:
    """Divide the balance of every account that has ever asked, once."""
    asked = np.zeros(state.pool[0].account_count, dtype=np.bool_)
    for slot in range(state.pool[0].request_count):
        asked[state.requests[slot].account] = True
    for account in range(asked.shape[0]):
        if asked[account]:
            allot(state, account)


@kernel
def list_token(state: State, rules: Rules, now_ms: int) -> Refusal:
    """Open both pools with a seed each, whose shares nobody can ever redeem."""
    parameters = rules.parameters[0]
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    transfer(state, _OUTSIDE, _MAIN, NONE, parameters.seed, _SEED)
    transfer(state, _OUTSIDE, _INSURANCE, NONE, parameters.seed, _SEED)
    post(state, _SHARES, MAIN_POOL, NONE, parameters.seed, 0, 0)
    post(state, _SHARES, INSURANCE_POOL, NONE, parameters.seed, 0, 0)
    _schedule(state, rules, now_ms, 0, 0, 0, 0)
    post(state, _COVER, 1, parameters.seed, 0, 0, 0)
    return accepted()


@kernel
def next_flush(parameters: Records, now_ms: int) -> int:
    """Return the first scheduled flush after now."""
    period, offset = int(parameters.flush_period_ms), int(parameters.flush_offset_ms)
    return ((now_ms - offset) // period + 1) * period + offset


@kernel
def marks_are_good(state: State, rules: Rules, market: Market, now_ms: int) -> bool:
    """Whether the window of every underlying in the book is full enough, fresh and settled."""
    parameters = rules.parameters[0]
    for underlying in range(UNDERLYINGS):
        notional = 0
        for slot in range(state.pool[0].series_count):
            if state.series[slot].underlying == underlying:
                notional += state.series[slot].open_notional
        if notional == 0:
            continue
        window = market.windows[underlying]
        if window.marks < parameters.window_marks_min:
            return False
        if not mark_is_fresh(market, underlying, now_ms):
            return False
        last = float(market.oracle[underlying].index_e8)
        if abs(last / window.median_e8 - 1.0) > parameters.unsettled_move:
            return False
    return True


@kernel
def is_eligible(state: State, rules: Rules, slot: int, kind: int) -> bool:
    """Whether a request of a kind takes part in the running flush."""
    asked = state.requests[slot]
    pool = state.pool[0]
    if asked.status != _OPEN or asked.kind != kind or asked.flush > pool.flushes:
        return False
    if kind == _REDEEM_INSURANCE:
        return bool(asked.created_ms + rules.parameters[0].cooldown_ms <= pool.next_flush_ms)
    return True


@kernel
def fill_deposits(
    state: State, rules: Rules, kind: int, supply: int, nav: int, now_ms: int
) -> None:
    """Mint for every deposit of a kind at one price; one that misses its limit goes back alone."""
    bucket = _MAIN if kind == _DEPOSIT_MAIN else _INSURANCE
    for slot in range(state.pool[0].request_count):
        if not is_eligible(state, rules, slot, kind):
            continue
        asked = state.requests[slot]
        amount, account = int(asked.amount), int(asked.account)
        shares = shares_for(amount, supply, nav)
        if shares == 0 or shares < asked.min_out:
            give_back(state, rules, slot, _RETURNED, now_ms)
            continue
        transfer(state, escrow_of(kind), bucket, account, amount, _DEPOSIT)
        post(state, _SHARES, pool_of(kind), account, shares, 0, 0)
        post(state, _FILL, slot, amount, shares, _FILLED, 0)


@kernel
def _net_of_fee(gross: int, fee_ppm: int) -> int:
    return gross - exit_fee(gross, fee_ppm)


@kernel
def _return_missed(
    state: State, rules: Rules, kind: int, supply: int, nav: int, fee_ppm: int, now_ms: int
) -> None:
    """Return the redemptions whose limit the price misses: each alone, the queue goes on."""
    for slot in range(state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind):
            asked = state.requests[slot]
            whole = int(asked.amount) + int(asked.filled)
            if _net_of_fee(gross_for(whole, supply, nav), fee_ppm) < asked.min_out:
                give_back(state, rules, slot, _RETURNED, now_ms)


@kernel
def _oldest_flush(state: State, rules: Rules, kind: int, after: int) -> int:
    """Return the oldest flush number above `after` that has eligible requests."""
    oldest = NO_FLUSH
    for slot in range(state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind):
            flush = int(state.requests[slot].flush)
            if after < flush < oldest:
                oldest = flush
    return oldest


@kernel
def _gross_of(state: State, rules: Rules, kind: int, flush: int, supply: int, nav: int) -> int:
    """Return what the eligible redemptions of one flush (or of all: NONE) are worth."""
    gross = 0
    for slot in range(state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind):
            asked = state.requests[slot]
            if flush in (NONE, asked.flush):
                gross += gross_for(asked.amount, supply, nav)
    return gross


@kernel
def _redeem(
    state: State, slot: int, shares: int, gross: int, fee_ppm: int, rules: Rules, now_ms: int
) -> None:
    """Burn queued shares and credit their worth, less the exit fee, to the balance."""
    asked = state.requests[slot]
    kind, account = int(asked.kind), int(asked.account)
    paid = _net_of_fee(gross, fee_ppm)
    bucket = _MAIN if kind == _REDEEM_MAIN else _INSURANCE
    post(state, _SHARES, pool_of(kind), QUEUE, -shares, 0, 0)
    settle_account(state, rules, account, now_ms)
    transfer(state, bucket, _BALANCES, account, paid, _REDEMPTION)
    if paid < gross:
        post(state, _COUNT, _EXIT_FEE, gross - paid, 0, 0, 0)
    status = _FILLED if shares == asked.amount else _OPEN
    post(state, _FILL, slot, shares, paid, status, 0)


@kernel
def fill_redemptions(
    state: State,
    rules: Rules,
    kind: int,
    supply: int,
    nav: int,
    free: int,
    fee_ppm: int,
    now_ms: int,
) -> None:
    """Fill redemptions of a kind out of `free`: oldest flush first, pro rata in the last."""
    _return_missed(state, rules, kind, supply, nav, fee_ppm, now_ms)
    left = free
    flush = _oldest_flush(state, rules, kind, NONE)
    while flush != NO_FLUSH:
        wanted = _gross_of(state, rules, kind, flush, supply, nav)
        share_of = min(left, wanted)
        for slot in range(state.pool[0].request_count):
            if is_eligible(state, rules, slot, kind) and state.requests[slot].flush == flush:
                shares = int(state.requests[slot].amount)
                if share_of < wanted:
                    shares = mul_div_down(shares, share_of, wanted)
                gross = gross_for(shares, supply, nav)
                if gross > left:  # a sum of rounded parts can be less than the rounded sum
                    shares = mul_div_down(left, supply + 1, nav + 1)
                    gross = gross_for(shares, supply, nav)
                if gross > 0:
                    left -= gross
                    _redeem(state, slot, shares, gross, fee_ppm, rules, now_ms)
        if share_of < wanted:
            return
        flush = _oldest_flush(state, rules, kind, flush)


@kernel
def free_main(state: State, rules: Rules, nav_low: int, stress: int) -> int:
    """Return what redemptions can take: unlocked, and not needed for the base stress."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    main, locked = int(pool.main), int(pool.locked)
    backed = mul_div_down(pool.insurance, parameters.insurance_backing_ppm, PPM)
    own = mul_div_up(locked, parameters.free_locked_ppm, PPM)
    # A claim of the last unit would leave K, which M bounds too, below what locks need.
    unlocked = main - max(locked - backed, own, 0)
    bearable = nav_low - mul_div_up(stress, int(parameters.free_stress * PPM), PPM)
    return max(min(unlocked, bearable), 0)


@kernel
def exit_fee_ppm(state: State, rules: Rules, leaving: int) -> int:
    """Return the exit fee: it rises with the utilisation those who leave leave behind."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    backed = backing(rules, max(int(pool.main) - leaving, 0), pool.insurance)
    used = utilisation(pool.locked, backed)
    above = (used - parameters.exit_fee_from) / (1.0 - parameters.exit_fee_from)
    slope = parameters.exit_fee_max_ppm - parameters.exit_fee_ppm
    return int(parameters.exit_fee_ppm) + units_up(slope * min(max(above, 0.0), 1.0))


@kernel
def _flush_main(state: State, rules: Rules, nav: Nav, stress: int, now_ms: int) -> None:
    """Fill the main pool's deposits, then its redemptions."""
    supply = int(state.pool[0].main_shares)
    fill_deposits(state, rules, _DEPOSIT_MAIN, supply, nav.high, now_ms)
    free = free_main(state, rules, nav.low, stress)
    wanted = _gross_of(state, rules, _REDEEM_MAIN, NONE, supply, nav.low)
    fee_ppm = exit_fee_ppm(state, rules, min(wanted, free))
    fill_redemptions(state, rules, _REDEEM_MAIN, supply, nav.low, free, fee_ppm, now_ms)


@kernel
def _flush_insurance(state: State, rules: Rules, now_ms: int) -> None:
    """Fill the insurance pool's deposits, then its redemptions."""
    pool = state.pool[0]
    supply, cash = int(pool.insurance_shares), int(pool.insurance)
    high = cash + int(pool.advances) + accrued_to_insurance(state)
    fill_deposits(state, rules, _DEPOSIT_INSURANCE, supply, high, now_ms)
    free = redeemable_insurance(state, rules)
    fill_redemptions(state, rules, _REDEEM_INSURANCE, supply, cash, free, 0, now_ms)


@kernel
def flush(state: State, rules: Rules, market: Market, now_ms: int) -> Flushed:
    """Price and fill the requests of both pools, then set NAV reference and cover price.

    Postponed by an hour while the marks are not good: requests made before can be cancelled then.
    """
    parameters = rules.parameters[0]
    pool = state.pool[0]
    nothing = Nav(0, 0, 0)
    if now_ms < pool.next_flush_ms:
        return Flushed(Refusal(_NOT_DUE, pool.next_flush_ms, now_ms), 0, nothing, 0, nothing, 0)
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    if not marks_are_good(state, rules, market, now_ms):
        post(state, _FLUSH, now_ms + parameters.postpone_ms, 0, 0, 0, 0)
        # Half the time to take a request back, half to watch the marks.
        post(state, _CUTOFF, now_ms + parameters.postpone_ms // 2, 0, 0, 0, 0)
        return Flushed(accepted(), 0, nothing, 0, nothing, 0)
    value_book(state, rules, market)
    nav = net_asset_value(state, rules, market, now_ms)
    supply = int(pool.main_shares)
    stress = units_up(min(base_stress(state, NONE, state.stress[0], 0), float(AMOUNT_MAX)))
    _flush_main(state, rules, nav, stress, now_ms)
    _flush_insurance(state, rules, now_ms)
    _allot_requesters(state)
    after = net_asset_value(state, rules, market, now_ms)
    new_period = (pool.flushes + 1) % parameters.cover_period_flushes == 0
    post(state, _COVER, int(new_period), after.mid, 0, 0, 0)
    phi_ppm = cover_price_ppm(state, rules, stress)
    doubled = int(rent_doubles(state, rules, pool.flushes + 1))
    reference = max(after.mid, 0)
    _schedule(state, rules, now_ms, 1, reference, phi_ppm, doubled)
    return Flushed(accepted(), 1, nav, supply, after, int(pool.main_shares))
