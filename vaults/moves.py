"""Moves: the only way state changes, and what the journal keeps.

A command decides on what it reads, then posts moves. A move is six integers: its kind and up to
five arguments. Applying the moves of the journal in order gives the same state bit for bit, on any
machine, because applying one is integer arithmetic alone.

Money moves between buckets and from nowhere else, so custody balances by construction; each
transfer says what for (`Flow`), and the totals by flow are the pool's attribution.
"""

from enum import IntEnum


class Move(IntEnum):
    """Kinds of moves; the comment names the arguments."""

    TRANSFER = 1  # from bucket, to bucket, account, amount, flow
    ACCRUE = 2  # series, index added, rent's part of it, 1 at a tick
    SETTLE = 3  # position
    RESIZE = 4  # position, notional added, impact paid added
    ALLOT = 5  # position, allowance, key
    ACCOUNT = 6  # account id
    SERIES = 7  # 2 * underlying + is call, strike, cap, funding period, discount rate
    POSITION = 8  # account, series, self funding
    SHARES = 9  # pool, account (or NONE for the seed, QUEUE for redemptions), shares added
    HOLD = 10  # pool, account, shares taken into the queue
    REQUEST = 11  # account, 4 * flush + kind, amount, min out, time
    FILL = 12  # request, amount filled, paid, status
    TICK = 13  # underlying, rent rate, time
    SPREAD = 14  # spread received, time
    FLUSH = 15  # next flush time, 1 where it was done, NAV reference, phi, rent doubled
    COVER = 16  # 1 for a new period, N_mid now, main's gain since the last flush, claimed
    ADVANCE = 17  # insurance money main owes from now on, time, when it is written off
    COUNT = 18  # flow, amount
    CLOCK = 19  # time
    CUTOFF = 20  # time after which requests wait for the flush after the next
    FUNDING = 21  # position, 1 where it funds itself
    REPAY = 22  # advances paid back, oldest first
    WRITE_OFF = 23  # time up to which advances are written off
    EXHAUST = 24  # the pool is close-only from now on
    MEASURE = 25  # underlying, index, vol and time its profit and loss is measured from
    SPLIT = 26  # every amount times the first over the second; what is pending after it
    REBASE = 27  # added to N_mid at the last flush: what came to main and is no gain
    CLOSE_BOOKS = 28  # main's premium not yet settled: profit and loss is told apart from here on
    PEAK = 29  # insurance per share is noted where it is the highest of the cover period


class Bucket(IntEnum):
    """Where tokens are; OUTSIDE is beyond custody."""

    OUTSIDE = 0
    MAIN = 1
    INSURANCE = 2
    BALANCES = 3
    ESCROW_MAIN = 4
    ESCROW_INSURANCE = 5
    FEES = 6
    PENDING = 7


class Flow(IntEnum):
    """What a transfer is for."""

    CREDIT = 0
    WITHDRAWAL = 1
    DEBIT = 2
    OPEN = 3
    CLOSE = 4
    CASH_OUT = 5
    FEE = 6
    PREMIUM_MAIN = 7
    PREMIUM_INSURANCE = 8
    DEPOSIT_ASKED = 9
    DEPOSIT_RETURNED = 10
    DEPOSIT = 11
    REDEMPTION = 12
    SEED = 13
    # Not transfers, but totals kept beside them.
    SPREAD = 14
    IMPACT_PAID = 15
    IMPACT_REFUNDED = 16
    PREMIUM_ACCRUED = 17
    RENT_ACCRUED = 18
    WRITTEN_OFF = 19
    EXIT_FEE = 20
    # Transfers between the pools, and at special times.
    CLAIM = 21
    REPAYMENT = 22
    DIVIDEND = 23
    DISSOLUTION = 24
    # Totals kept beside them.
    PAID_BY_INSURANCE = 25
    ADVANCE_WRITTEN_OFF = 26
    DELTA = 27
    GAMMA = 28
    VEGA = 29
    SPLIT_DUST = 30
    EXIT_FEE_INSURANCE = 31
    # A transfer between generations of a token.
    MOVED = 32


FLOWS = len(Flow)

MAIN_POOL = 0
INSURANCE_POOL = 1
QUEUE = -2
"""Holder of the shares that wait for redemption."""


class RequestKind(IntEnum):
    """What a liquidity provider can ask for."""

    DEPOSIT_MAIN = 0
    REDEEM_MAIN = 1
    DEPOSIT_INSURANCE = 2
    REDEEM_INSURANCE = 3


class RequestStatus(IntEnum):
    """Where a request stands."""

    OPEN = 0
    FILLED = 1
    CANCELLED = 2
    RETURNED = 3
