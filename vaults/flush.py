"""The flush: once a day, requests of liquidity providers get their price.

One transaction, marks frozen: insurance pays its claim or is repaid, what is owed fades; then each
pool lets those who come and those who go trade with each other, takes the rest in at its high NAV
and pays the rest out at its low one. Everybody in a flush has the same prices, taken before anyone
comes or goes.
"""

from typing import NamedTuple

import numpy as np

from amm.kernel import allocating_kernel, kernel
from amm.scenarios import UNDERLYINGS
from amm.units import PPM, mul_div_down, mul_div_up, units_up
from vaults.capacity import backing, utilisation
from vaults.condition import Condition, condition_at, is_worthless, stress_needed, stress_of_book
from vaults.crossing import cross, crossing_price
from vaults.dissolution import dissolve, exhaust
from vaults.fills import (
    fill_deposits,
    fill_redemptions,
    gross_of_queue,
    return_missed_deposits,
    return_missed_redemptions,
)
from vaults.insurance import (
    Cover,
    claim_of,
    cover_of,
    cover_price_ppm,
    free_insurance,
    pay_claim,
    repay,
    repayment_of,
)
from vaults.ledger import post, transfer
from vaults.market import Market
from vaults.moves import INSURANCE_POOL, MAIN_POOL, Bucket, Flow, Move, RequestKind
from vaults.nav import (
    Nav,
    accrued_to_insurance,
    accrued_to_main,
    net_asset_value,
    unvested_spread,
)
from vaults.premium import allot, settle_everybody
from vaults.provide import rent_doubles
from vaults.queue import total_asked
from vaults.rejects import Refusal, Reject, accepted
from vaults.rules import Rules, mark_is_fresh
from vaults.shares import gross_for
from vaults.state import NONE, Records, State
from vaults.valuation import value_book

_CLOCK = Move.CLOCK.value
_SHARES = Move.SHARES.value
_FLUSH = Move.FLUSH.value
_CUTOFF = Move.CUTOFF.value
_COVER = Move.COVER.value
_WRITE_OFF = Move.WRITE_OFF.value
_REBASE = Move.REBASE.value
_PEAK = Move.PEAK.value
_CLOSE_BOOKS = Move.CLOSE_BOOKS.value
_OUTSIDE = Bucket.OUTSIDE.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_SEED = Flow.SEED.value
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_REDEEM_MAIN = RequestKind.REDEEM_MAIN.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE.value
_NORMAL = Condition.NORMAL.value
_STRESSED = Condition.STRESSED.value
_WINDDOWN = Condition.WINDDOWN.value
_EXHAUSTED = Condition.EXHAUSTED.value

_NOT_DUE = Reject.NOT_DUE.value


class Side(NamedTuple):
    """The prices of one pool in a flush, and what limits exits from it.

    Attributes:
        supply: Its shares before anyone comes or goes.
        low: NAV redemptions are paid at.
        cross: NAV shares change hands at.
        high: NAV deposits are taken at.
        free: What net redemptions could take at most.
        exit_fee_ppm: What they paid.
        crossed: Shares that changed hands.
    """

    supply: int
    low: int
    cross: int
    high: int
    free: int
    exit_fee_ppm: int
    crossed: int


class Flushed(NamedTuple):
    """What a flush did and every figure it rests on; `done` is 0 where it was postponed.

    Attributes:
        refusal: Why nothing happened.
        done: 0 where it was postponed.
        condition: `Condition` in which LPs came and went.
        stress: Base stress.
        before: NAV as the flush found it.
        cover: How the cover period stood.
        claim: What insurance paid main.
        repaid: What main paid back.
        written_off: What main owes no more, its time being over.
        nav: NAV after these: what LPs were priced with.
        main: Prices and limits of the main pool.
        insurance: The same of the insurance pool.
        nav_after: NAV after LPs have come and gone, at the same marks.
        phi_ppm: Insurance's share of premium until the next flush.
        new_period: 1 where a cover period begins.
    """

    refusal: Refusal
    done: int
    condition: int
    stress: int
    before: Nav
    cover: Cover
    claim: int
    repaid: int
    written_off: int
    nav: Nav
    main: Side
    insurance: Side
    nav_after: Nav
    phi_ppm: int
    new_period: int


@kernel
def _not_flushed(refusal: Refusal) -> Flushed:
    """Return a flush that was refused or postponed."""
    nav, side = Nav(0, 0, 0), Side(0, 0, 0, 0, 0, 0, 0)
    cover = Cover(0, 0, 0, 0, 0, 0)
    return Flushed(refusal, 0, _NORMAL, 0, nav, cover, 0, 0, 0, nav, side, side, nav, 0, 0)


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


@allocating_kernel
def _allot_requesters(state: State, first: int) -> None:
    """Divide the balance of every account with a request from row `first` on, once."""
    asked = np.zeros(state.pool[0].account_count, dtype=np.bool_)
    for slot in range(first, state.pool[0].request_count):
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
    post(state, _CLOSE_BOOKS, 0, 0, 0, 0, 0)
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
        for place in range(state.pool[0].live_series):
            slot = state.live[place]
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
def free_main(state: State, rules: Rules, nav_low: int, stress: int) -> int:
    """Return what redemptions can take: unlocked, and not needed for the base stress."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    main, locked = int(pool.main), int(pool.locked)
    backed = mul_div_down(pool.insurance, parameters.insurance_backing_ppm, PPM)
    own = mul_div_up(locked, parameters.free_locked_ppm, PPM)
    # A claim of the last unit would leave K, which M bounds too, below what locks need.
    unlocked = main - max(locked - backed, own, 0)
    bearable = nav_low - stress_needed(rules, stress)
    return max(min(unlocked, bearable), 0)


@kernel
def exit_fee_ppm(state: State, rules: Rules, from_main: int, from_insurance: int) -> int:
    """Return the exit fee: it rises with the utilisation those who leave leave behind."""
    parameters = rules.parameters[0]
    pool = state.pool[0]
    main = max(int(pool.main) - from_main, 0)
    backed = backing(rules, main, max(int(pool.insurance) - from_insurance, 0))
    used = utilisation(pool.locked, backed)
    above = (used - parameters.exit_fee_from) / (1.0 - parameters.exit_fee_from)
    slope = parameters.exit_fee_max_ppm - parameters.exit_fee_ppm
    return int(parameters.exit_fee_ppm) + units_up(slope * min(max(above, 0.0), 1.0))


@kernel
def gate(rules: Rules, condition: int, supply: int, nav: int, free: int) -> int:
    """Return what of `free` a pool in its condition lets go in one flush."""
    if condition == _WINDDOWN:
        return 0
    if condition == _STRESSED:
        shares = mul_div_down(supply, rules.parameters[0].stressed_share_ppm, PPM)
        return min(free, gross_for(shares, supply, nav))
    return free


@kernel
def _fee_of_queue(state: State, rules: Rules, kind: int, supply: int, nav: int, free: int) -> int:
    """Return the exit fee if all redemptions of a kind that take part left, as far as they can."""
    leaving = min(gross_of_queue(state, rules, kind, NONE, supply, nav), free)
    if kind == _REDEEM_MAIN:
        return exit_fee_ppm(state, rules, leaving, 0)
    return exit_fee_ppm(state, rules, 0, leaving)


@kernel
def _turn_away(
    state: State,
    rules: Rules,
    deposit_kind: int,
    redeem_kind: int,
    side: Side,
    condition: int,
    now_ms: int,
) -> None:
    """Return what misses its limit at the prices without a counterparty.

    Redemptions are judged with the least fee first, so that what can never be filled does not
    raise the fee of others, then with that of those who are left. A pool that winds down has the
    price of the crossing alone.
    """
    supply = side.supply
    deposits = total_asked(state, rules, deposit_kind, NONE)
    slack = int(deposits > 0 and total_asked(state, rules, redeem_kind, NONE) > 0)
    if condition == _WINDDOWN:
        return_missed_deposits(state, rules, deposit_kind, supply, side.cross, slack, now_ms)
        return_missed_redemptions(state, rules, redeem_kind, supply, side.cross, 0, slack, now_ms)
        return
    return_missed_deposits(state, rules, deposit_kind, supply, side.high, slack, now_ms)
    fee_ppm = int(rules.parameters[0].exit_fee_ppm)
    return_missed_redemptions(state, rules, redeem_kind, supply, side.low, fee_ppm, slack, now_ms)
    fee_ppm = _fee_of_queue(state, rules, redeem_kind, supply, side.low, side.free)
    return_missed_redemptions(state, rules, redeem_kind, supply, side.low, fee_ppm, slack, now_ms)


@kernel
def _admit(
    state: State,
    rules: Rules,
    deposit_kind: int,
    redeem_kind: int,
    side: Side,
    condition: int,
    now_ms: int,
) -> int:
    """Return what misses its limit, let both sides trade, and take the other deposits in.

    Returns:
        Shares that changed hands.
    """
    _turn_away(state, rules, deposit_kind, redeem_kind, side, condition, now_ms)
    crossed = cross(state, rules, deposit_kind, redeem_kind, side.supply, side.cross, now_ms)
    if condition != _WINDDOWN:
        fill_deposits(state, rules, deposit_kind, side.supply, side.high)
    return crossed


@kernel
def _flush_main(
    state: State, rules: Rules, nav: Nav, stress: int, condition: int, now_ms: int
) -> Side:
    """Let main LPs come and go."""
    pool = state.pool[0]
    supply, cash = int(pool.main_shares), int(pool.main)
    unearned = unvested_spread(state, rules, now_ms) + int(pool.advances)
    free = gate(rules, condition, supply, nav.low, free_main(state, rules, nav.low, stress))
    side = Side(supply, nav.low, crossing_price(nav, unearned), nav.high, free, 0, 0)
    crossed = _admit(state, rules, _DEPOSIT_MAIN, _REDEEM_MAIN, side, condition, now_ms)
    free = free_main(state, rules, nav.low + int(pool.main) - cash, stress)
    free = gate(rules, condition, supply, nav.low, free)
    fee_ppm = _fee_of_queue(state, rules, _REDEEM_MAIN, supply, nav.low, free)
    fill_redemptions(state, rules, _REDEEM_MAIN, supply, nav.low, free, fee_ppm, now_ms)
    return Side(supply, side.low, side.cross, side.high, free, fee_ppm, crossed)


@kernel
def _flush_insurance(state: State, rules: Rules, condition: int, now_ms: int) -> Side:
    """Let insurance LPs come and go: at its cash; who comes pays for what it is owed too."""
    pool = state.pool[0]
    supply, low = int(pool.insurance_shares), int(pool.insurance)
    high = low + int(pool.advances) + accrued_to_insurance(state)
    free = gate(rules, condition, supply, low, free_insurance(state, rules))
    side = Side(supply, low, low, high, free, 0, 0)
    crossed = _admit(state, rules, _DEPOSIT_INSURANCE, _REDEEM_INSURANCE, side, condition, now_ms)
    free = gate(rules, condition, supply, low, free_insurance(state, rules))
    fee_ppm = _fee_of_queue(state, rules, _REDEEM_INSURANCE, supply, low, free)
    fill_redemptions(state, rules, _REDEEM_INSURANCE, supply, low, free, fee_ppm, now_ms)
    return Side(supply, low, low, high, free, fee_ppm, crossed)


@kernel
def _let_insurers_go(state: State, rules: Rules, now_ms: int) -> Side:
    """Let insurance LPs of an exhausted pool leave, as if all that is locked were paid out.

    Nobody else's position can keep them in, and who stays has what was not needed in the end.
    """
    pool = state.pool[0]
    supply = int(pool.insurance_shares)
    low = max(int(pool.insurance) - max(int(pool.locked) - int(pool.main), 0), 0)
    fee_ppm = _fee_of_queue(state, rules, _REDEEM_INSURANCE, supply, low, low)
    return_missed_redemptions(state, rules, _REDEEM_INSURANCE, supply, low, fee_ppm, 0, now_ms)
    fee_ppm = _fee_of_queue(state, rules, _REDEEM_INSURANCE, supply, low, low)
    fill_redemptions(state, rules, _REDEEM_INSURANCE, supply, low, low, fee_ppm, now_ms)
    return Side(supply, low, low, low, low, fee_ppm, 0)


@kernel
def _postpone(state: State, rules: Rules, now_ms: int) -> None:
    """Try again in an hour: half of it to take a request back, half to watch the marks."""
    later_ms = int(rules.parameters[0].postpone_ms)
    post(state, _FLUSH, now_ms + later_ms, 0, 0, 0, 0)
    post(state, _CUTOFF, now_ms + later_ms // 2, 0, 0, 0, 0)


class Settled(NamedTuple):
    """How cover was settled at the beginning of a flush; see `Flushed`."""

    cover: Cover
    gain: int
    claim: int
    repaid: int
    written_off: int


@kernel
def settle_cover(state: State, rules: Rules, nav: Nav, stress: int, now_ms: int) -> Settled:
    """Let insurance pay main's claim, or main pay back; then what is owed fades.

    Once a pool is exhausted its main shares have nothing left to be covered.
    """
    pool = state.pool[0]
    post(state, _PEAK, 0, 0, 0, 0, 0)
    gain = nav.mid - int(pool.nav_after)
    cover = cover_of(state, rules, gain)
    claim = repaid = 0
    if pool.exhausted == 0:
        claim = claim_of(cover)
        pay_claim(state, rules, claim, now_ms)
    if pool.exhausted == 0 and claim == 0:
        free = free_main(state, rules, nav.low, stress)
        repaid = repayment_of(state, rules, gain, free)
        repay(state, repaid)
    owed = int(pool.advances)
    if owed > 0:
        post(state, _WRITE_OFF, now_ms, 0, 0, 0, 0)
    return Settled(cover, gain, claim, repaid, owed - int(pool.advances))


@kernel
def begin_epoch(
    state: State, rules: Rules, stress: int, nav: Nav, settled: Settled, now_ms: int
) -> int:
    """Close the books of a flush and set what holds until the next.

    Returns:
        1 where a cover period begins.
    """
    pool = state.pool[0]
    flushes = int(pool.flushes) + 1
    new_period = int(pool.flushes % rules.parameters[0].cover_period_flushes == 0)
    post(state, _COVER, new_period, nav.mid, settled.gain, settled.claim, 0)
    phi_ppm = cover_price_ppm(state, rules, stress)
    doubled = int(rent_doubles(state, rules, flushes))
    accrued = accrued_to_main(state)
    _schedule(state, rules, now_ms, 1, max(nav.mid, 0), phi_ppm, doubled)
    divided_anew = accrued_to_main(state) - accrued
    if divided_anew != 0:  # dust under the new phi: no gain of the epoch that begins
        post(state, _REBASE, divided_anew, 0, 0, 0, 0)
    post(state, _CLOSE_BOOKS, accrued_to_main(state), 0, 0, 0, 0)
    return new_period


@kernel
def flush(state: State, rules: Rules, market: Market, now_ms: int) -> Flushed:
    """Settle cover, price and fill the requests of both pools, and begin the next epoch.

    Premium is paid up first: a new phi divides only what accrues under it. Postponed by an hour
    while the marks are not good: requests made before can be cancelled then.
    """
    pool = state.pool[0]
    if now_ms < pool.next_flush_ms:
        return _not_flushed(Refusal(_NOT_DUE, pool.next_flush_ms, now_ms))
    post(state, _CLOCK, now_ms, 0, 0, 0, 0)
    if not marks_are_good(state, rules, market, now_ms):
        _postpone(state, rules, now_ms)
        return _not_flushed(accepted())
    settle_everybody(state, rules, now_ms)
    value_book(state, rules, market)
    stress, first = stress_of_book(state), int(pool.request_first)
    before = net_asset_value(state, rules, market, now_ms)
    settled = settle_cover(state, rules, before, stress, now_ms)
    nav = net_asset_value(state, rules, market, now_ms)
    main = insurance = Side(0, 0, 0, 0, 0, 0, 0)
    if pool.exhausted == 0 and is_worthless(state, rules, nav.mid):
        exhaust(state, rules, now_ms)
    elif pool.exhausted == 1 and pool.locked == 0:
        dissolve(state, rules, now_ms)
    condition = condition_at(state, rules, nav, stress)
    if condition == _EXHAUSTED:
        insurance = _let_insurers_go(state, rules, now_ms)
    else:
        main = _flush_main(state, rules, nav, stress, condition, now_ms)
        insurance = _flush_insurance(state, rules, condition, now_ms)
    _allot_requesters(state, first)
    after = net_asset_value(state, rules, market, now_ms)
    new_period = begin_epoch(state, rules, stress, after, settled, now_ms)
    return Flushed(
        accepted(),
        1,
        condition,
        stress,
        before,
        settled.cover,
        settled.claim,
        settled.repaid,
        settled.written_off,
        nav,
        main,
        insurance,
        after,
        int(pool.phi_ppm),
        new_period,
    )
