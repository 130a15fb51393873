"""How one request is filled, and all of a kind out of what there is for them."""

from amm.kernel import kernel
from amm.units import AMOUNT_MAX, mul_div_down
from vaults.ledger import post, transfer
from vaults.moves import QUEUE, Bucket, Flow, Move, RequestKind, RequestStatus
from vaults.premium import settle_account
from vaults.provide import escrow_of, give_back, pool_of
from vaults.queue import NO_FLUSH, is_eligible, oldest_flush
from vaults.rules import Rules
from vaults.shares import exit_fee, gross_for, shares_for
from vaults.state import NONE, State

_SHARES = Move.SHARES.value
_FILL = Move.FILL.value
_COUNT = Move.COUNT.value
_MAIN = Bucket.MAIN.value
_INSURANCE = Bucket.INSURANCE.value
_BALANCES = Bucket.BALANCES.value
_DEPOSIT = Flow.DEPOSIT.value
_REDEMPTION = Flow.REDEMPTION.value
_EXIT_FEE = Flow.EXIT_FEE.value
_EXIT_FEE_INSURANCE = Flow.EXIT_FEE_INSURANCE.value
_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_REDEEM_MAIN = RequestKind.REDEEM_MAIN.value
_OPEN = RequestStatus.OPEN.value
_FILLED = RequestStatus.FILLED.value
_RETURNED = RequestStatus.RETURNED.value


@kernel
def net_of_fee(gross: int, fee_ppm: int) -> int:
    """Return what is paid for shares worth `gross`."""
    return gross - exit_fee(gross, fee_ppm)


@kernel
def fill_deposit(state: State, slot: int, amount: int, shares: int) -> None:
    """Take a part of a deposit into its pool for shares."""
    asked = state.requests[slot]
    kind, account = int(asked.kind), int(asked.account)
    bucket = _MAIN if kind == _DEPOSIT_MAIN else _INSURANCE
    transfer(state, escrow_of(kind), bucket, account, amount, _DEPOSIT)
    post(state, _SHARES, pool_of(kind), account, shares, 0, 0)
    status = _FILLED if amount == asked.amount else _OPEN
    post(state, _FILL, slot, amount, shares, status, 0)


@kernel
def pay_redemption(
    state: State, rules: Rules, slot: int, shares: int, gross: int, fee_ppm: int, now_ms: int
) -> None:
    """Burn queued shares and credit their worth, less the exit fee, to the balance."""
    asked = state.requests[slot]
    kind, account = int(asked.kind), int(asked.account)
    paid = net_of_fee(gross, fee_ppm)
    bucket = _MAIN if kind == _REDEEM_MAIN else _INSURANCE
    post(state, _SHARES, pool_of(kind), QUEUE, -shares, 0, 0)
    settle_account(state, rules, account, now_ms)
    transfer(state, bucket, _BALANCES, account, paid, _REDEMPTION)
    if paid < gross:
        flow = _EXIT_FEE if kind == _REDEEM_MAIN else _EXIT_FEE_INSURANCE
        post(state, _COUNT, flow, gross - paid, 0, 0, 0)
    status = _FILLED if shares == asked.amount else _OPEN
    post(state, _FILL, slot, shares, paid, status, 0)


@kernel
def return_missed_deposits(
    state: State, rules: Rules, kind: int, supply: int, nav: int, slack: int, now_ms: int
) -> None:
    """Return the deposits that would get no share, or fewer than asked: each alone.

    With a `slack` of 1 a unit of either is allowed for: a crossing may round once more. Together
    with what was bought before they stay within what a supply can be.
    """
    most = AMOUNT_MAX - supply
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind):
            asked = state.requests[slot]
            bought = shares_for(int(asked.amount) - slack, supply, nav) - slack
            shares = int(asked.paid) + max(bought, 0)
            if shares >= max(int(asked.min_out), 1) and bought <= most:
                most -= max(bought, 0)
            else:
                give_back(state, rules, slot, _RETURNED, now_ms)


@kernel
def return_missed_redemptions(
    state: State,
    rules: Rules,
    kind: int,
    supply: int,
    nav: int,
    fee_ppm: int,
    slack: int,
    now_ms: int,
) -> None:
    """Return the redemptions that would miss their limit, with what they have had already.

    Each alone, the queue goes on; what was paid stays paid.

    And what is worth nothing at a NAV that is not negative; below that all of it may wait.
    """
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind):
            asked = state.requests[slot]
            gross = gross_for(asked.amount, supply, nav)
            net = int(asked.paid) + max(net_of_fee(gross, fee_ppm) - slack, 0)
            # Dust could never be paid, and would wait, with all rows after it, for ever.
            is_dust = nav >= 0 and gross == 0
            if net < asked.min_out or is_dust:
                give_back(state, rules, slot, _RETURNED, now_ms)


@kernel
def fill_deposits(state: State, rules: Rules, kind: int, supply: int, nav: int) -> None:
    """Mint for what is left of every deposit of a kind, at one price."""
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind):
            amount = int(state.requests[slot].amount)
            fill_deposit(state, slot, amount, shares_for(amount, supply, nav))


@kernel
def gross_of_queue(state: State, rules: Rules, kind: int, flush: int, supply: int, nav: int) -> int:
    """Return what the redemptions that take part, of one flush or of all (`NONE`), are worth."""
    gross = 0
    for slot in range(state.pool[0].request_first, state.pool[0].request_count):
        if is_eligible(state, rules, slot, kind) and flush in (NONE, state.requests[slot].flush):
            gross += gross_for(state.requests[slot].amount, supply, nav)
    return gross


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
    left = free
    flush = oldest_flush(state, rules, kind, NONE)
    while flush != NO_FLUSH:
        wanted = gross_of_queue(state, rules, kind, flush, supply, nav)
        share_of = min(left, wanted)
        for slot in range(state.pool[0].request_first, state.pool[0].request_count):
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
                    pay_redemption(state, rules, slot, shares, gross, fee_ppm, now_ms)
                elif share_of == wanted and nav > 0 and state.requests[slot].filled > 0:
                    give_back(state, rules, slot, _FILLED, now_ms)  # dust a crossing has left
        if share_of < wanted:
            return
        flush = oldest_flush(state, rules, kind, flush)
