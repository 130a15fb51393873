"""Years of one token's two pools, to see who bears what under an order of the loss layers.

The market is a model and so is the book: orders come, are held for a while and leave. Cover is
not: claims, repayments, write-offs and the price of cover are the exchange's own kernels, run on a
pool row of their own. The flush here does of the exchange's flush what concerns cover. LPs take
home what is above the size their pool began with when a cover period begins, and bring nothing.
"""

from typing import NamedTuple

import numpy as np

from amm.kernel import allocating_kernel, kernel
from amm.scenarios import UNDERLYINGS
from amm.units import HOUR_MS, ONE, PPM, units_up
from sims.markets.jumps import STEPS_A_DAY
from sims.option_book import (
    BUYER,
    STEP_MS,
    Book,
    BookRules,
    Demand,
    Floats,
    Ints,
    Orders,
    Worth,
    close_due,
    collect_premium,
    make_book_rules,
    mark,
    stress_book,
    stress_of,
    take_orders,
)
from vaults.flush import begin_epoch, free_main, settle_cover
from vaults.ledger import post, transfer
from vaults.moves import FLOWS, INSURANCE_POOL, MAIN_POOL, Bucket, Flow, Move
from vaults.nav import Nav, unvested_spread
from vaults.params import Parameters
from vaults.state import NONE, State, empty_state

START_MS = 10 * HOUR_MS
MAIN_TOKENS = 10_000
BUYERS_BRING = 50 * MAIN_TOKENS

_SHARES = Move.SHARES.value
_COVER = Move.COVER.value
_ACCOUNT = Move.ACCOUNT.value
_OUTSIDE = Bucket.OUTSIDE.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_BALANCES = Bucket.BALANCES.value
_SEED = Flow.SEED.value
_REDEMPTION = Flow.REDEMPTION.value
_CREDIT = Flow.CREDIT.value

MID, INSURANCE, ADVANCES, CLAIM, REPAYMENT, TAKEN, TAKEN_INSURANCE, LOCKED, PHI = range(9)
"""What is written down of each flush, in tokens: N_mid, I and advances after it, what was claimed,
repaid and taken home by main and insurance LPs in it, locks; and the share of premium insurance
gets from then on."""
FIELDS = PHI + 1


class Setting(NamedTuple):
    """One way to run the pools, in the form the kernels read."""

    book: BookRules
    insurance: int
    phi_scale: float


def make_setting(parameters: Parameters, insurance: float, phi_scale: float) -> Setting:
    """Return a setting.

    Args:
        parameters: Of the token.
        insurance: Insurance's cash at the start, over main's.
        phi_scale: Times which the price of cover is charged; negative, minus the share of premium
            that is charged whatever the need.
    """
    return Setting(make_book_rules(parameters), round(insurance * MAIN_TOKENS * ONE), phi_scale)


def empty_pools() -> State:
    """Return a state to run paths on, one after the other."""
    return empty_state(FLOWS, 1)


@kernel
def _clear(state: State, book: Book) -> None:
    """Take everything out of a state and its book."""
    pool = state.pool[0]
    pool.main = pool.insurance = pool.balances = pool.fees = pool.custody = 0
    pool.main_shares = pool.main_seed_shares = 0
    pool.insurance_shares = pool.insurance_seed_shares = 0
    pool.locked = pool.advances = pool.written_off_ms = pool.account_count = 0
    pool.peak_insurance = pool.peak_shares = 0
    pool.flushes = 1  # that which took the deposits, and began a cover period
    for slot in range(state.advance_lots.shape[0]):
        lot = state.advance_lots[slot]
        lot.amount = lot.since_ms = lot.until_ms = lot.remaining = lot.day = 0
    state.accounts[BUYER].balance = 0
    state.vesting[:] = 0
    state.flows[:] = 0
    book.notional[:] = 0


@kernel
def _set_up(state: State, setting: Setting) -> None:
    """Fund both pools and the buyer; the first cover period begins with these."""
    main = MAIN_TOKENS * ONE
    state.log_count[0] = 0
    post(state, _ACCOUNT, 1, 0, 0, 0, 0)
    transfer(state, _OUTSIDE, _MAIN, NONE, main, _SEED)
    transfer(state, _OUTSIDE, _INSURANCE, NONE, setting.insurance, _SEED)
    transfer(state, _OUTSIDE, _BALANCES, BUYER, BUYERS_BRING * ONE, _CREDIT)
    post(state, _SHARES, MAIN_POOL, NONE, main, 0, 0)
    post(state, _SHARES, INSURANCE_POOL, NONE, setting.insurance, 0, 0)
    post(state, _COVER, 1, main, 0, 0, 0)


@kernel
def _take_home(state: State, setting: Setting, nav: Nav, stress: int, row: Floats) -> None:
    """Let LPs take what is above the size their pool began with."""
    pool = state.pool[0]
    above = nav.mid - MAIN_TOKENS * ONE - int(pool.advances)
    taken = max(min(above, free_main(state, setting.book.rules, nav.low, stress)), 0)
    transfer(state, _MAIN, _OUTSIDE, NONE, taken, _REDEMPTION)
    of_insurance = max(int(pool.insurance) - setting.insurance, 0)
    transfer(state, _INSURANCE, _OUTSIDE, NONE, of_insurance, _REDEMPTION)
    row[TAKEN] = taken / ONE
    row[TAKEN_INSURANCE] = of_insurance / ONE


@kernel
def _nav(state: State, setting: Setting, worth: Worth, now_ms: int) -> Nav:
    """Return main's NAV; nobody deposits, so the upper one is that at the mark."""
    pool = state.pool[0]
    unearned = unvested_spread(state, setting.book.rules, now_ms) + int(pool.advances)
    mid = int(pool.main) - units_up(worth.mid)
    return Nav(mid, int(pool.main) - units_up(worth.high) - unearned, mid)


@kernel
def _flush(
    state: State, setting: Setting, worth: Worth, stress: int, now_ms: int, row: Floats
) -> Nav:
    """Settle cover, let LPs take their gains home where a period ends, begin the next epoch."""
    rules, pool = setting.book.rules, state.pool[0]
    settled = settle_cover(state, rules, _nav(state, setting, worth, now_ms), stress, now_ms)
    nav = _nav(state, setting, worth, now_ms)
    row[TAKEN] = row[TAKEN_INSURANCE] = 0.0
    if pool.flushes % rules.parameters[0].cover_period_flushes == 0:
        _take_home(state, setting, nav, stress, row)
        nav = _nav(state, setting, worth, now_ms)
    begin_epoch(state, rules, stress, nav, settled, now_ms)
    scale = setting.phi_scale
    phi_ppm = -scale * PPM if scale < 0.0 else scale * pool.phi_ppm
    pool.phi_ppm = min(int(phi_ppm), PPM)
    state.log_count[0] = 0
    row[MID] = nav.mid / ONE
    row[INSURANCE] = pool.insurance / ONE
    row[ADVANCES] = pool.advances / ONE
    row[CLAIM] = settled.claim / ONE
    row[REPAYMENT] = settled.repaid / ONE
    row[LOCKED] = pool.locked / ONE
    row[PHI] = pool.phi_ppm / PPM
    return nav


@allocating_kernel
def _run_path(
    state: State, setting: Setting, book: Book, demand: Demand, orders: Orders, path: int,
    prices: Floats, levels: Floats, rows: Floats, flows: Ints,
) -> None:  # fmt: skip
    """Run one path, filling what each flush leaves and the totals by flow."""
    _clear(state, book)
    _set_up(state, setting)
    terms, sums = setting.book, np.zeros((UNDERLYINGS, 2))
    for step in range(prices.shape[0]):
        now_ms = START_MS + step * STEP_MS
        index, vols = prices[step], levels[step]
        is_flush = step % STEPS_A_DAY == 0
        if step > 0:
            collect_premium(state, book)
            close_due(state, terms, book, index, vols, step, now_ms)
        worth = mark(state, terms, book, index, vols, is_flush)
        if not is_flush:
            continue
        day = step // STEPS_A_DAY
        stress_book(terms, book, index, vols, sums)
        nav = _flush(state, setting, worth, stress_of(sums), now_ms, rows[day])
        if day < orders.kinds.shape[1]:
            before = prices[max(step - STEPS_A_DAY, 0)]
            take_orders(
                state, terms, book, demand, orders, path, day,
                index, before, vols, nav.low, sums, step, now_ms,
            )  # fmt: skip
    flows[:] = state.flows


@kernel
def run_paths(
    state: State, setting: Setting, book: Book, demand: Demand, orders: Orders,
    prices: Floats, levels: Floats, rows: Floats, flows: Ints,
) -> None:  # fmt: skip
    """Run the paths of a block.

    Args:
        state: To run them on; what it holds is forgotten.
        setting: How the pools are run.
        book: To run them on.
        demand: What buyers want.
        orders: What they ask for.
        prices: Of `sims.markets.jumps.Paths`.
        levels: Likewise.
        rows: To be filled, shape (paths, days + 1, FIELDS); row 0 is the start.
        flows: To be filled with the totals by `Flow`, shape (paths, FLOWS).
    """
    for path in range(prices.shape[0]):
        _run_path(
            state, setting, book, demand, orders, path,
            prices[path], levels[path], rows[path], flows[path],
        )  # fmt: skip
