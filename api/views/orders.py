"""Orders, trades and quotes."""

from amm.units import DAY_MS, ONE, units_up
from api import quoting
from api.history import Entry
from api.instruments import Series, position_name
from api.memory import Memory
from api.refusals import deciding_numbers
from api.views import market
from api.views.numbers import fixed, quotient, rounded
from api.wire import Order, PublicTrade, Quote, Side, Trade
from vaults.capacity import backing, lock_of, utilisation
from vaults.commands import CALL, Close, Command, Open, Outcome
from vaults.premium import premium_for
from vaults.rejects import Refusal, Reject
from vaults.state import NONE


def side_of(command: Open | Close) -> Side:
    """Return which way an order goes."""
    return "open" if isinstance(command, Open) else "close"


def _series(memory: Memory, command: Open | Close, outcome: Outcome) -> str:
    """Return the name of the series of an order, empty for a close of no position at all."""
    if isinstance(command, Open):
        return Series(command.underlying, command.token, command.kind, command.strike_e8).name
    if outcome.series == NONE:
        return ""
    return market.series_of(memory, command.token, outcome.series).name


def order(memory: Memory, sequence: int, command: Command, outcome: Outcome) -> Order:
    """Return an order and what became of it; `sequence` is its number."""
    assert isinstance(command, Open | Close)
    limit = command.limit_total if isinstance(command, Open) else command.min_total
    is_filled = outcome.code == 0 and not outcome.queued
    return Order(
        id=str(sequence),
        status="queued" if outcome.queued else "filled" if is_filled else "refused",
        instrument=_series(memory, command, outcome),
        side=side_of(command),
        notional=fixed(command.notional),
        limit_total=fixed(limit),
        self_funding=isinstance(command, Open) and command.self_funding,
        client_id=command.client_id or None,
        expires_at=command.expires_ms or None,
        exchange_time=command.now_ms,
        filled=fixed(outcome.notional),
        total=fixed(outcome.amount),
        fee=fixed(outcome.fee),
        index=fixed(outcome.index_e8) if is_filled else None,
        position_id=position_name(command.token, outcome.row) if is_filled else None,
        code=Reject(outcome.code).name if outcome.code else None,
    )


def order_now(memory: Memory, asked: Entry, fill: Entry | None) -> Order:
    """Return an order; of a queued close that was carried out, what became of it then."""
    if fill is None:
        return order(memory, asked.sequence, asked.command, asked.outcome)
    return order(memory, asked.sequence, fill.command, fill.outcome)


def public_trade(memory: Memory, entry: Entry) -> PublicTrade:
    """Return an order that was filled, as everybody sees it."""
    command, outcome = entry.command, entry.outcome
    assert isinstance(command, Open | Close)
    return PublicTrade(
        id=str(entry.sequence),
        exchange_time=entry.now_ms,
        instrument=_series(memory, command, outcome),
        side=side_of(command),
        notional=fixed(outcome.notional),
        total=fixed(outcome.amount),
        price=quotient(outcome.amount, outcome.notional),
        index=fixed(outcome.index_e8),
    )


def trade(memory: Memory, entry: Entry) -> Trade:
    """Return an order that was filled, as its owner sees it."""
    command, outcome = entry.command, entry.outcome
    assert isinstance(command, Open | Close)
    seen = public_trade(memory, entry)
    return Trade(
        id=seen.id,
        exchange_time=seen.exchange_time,
        instrument=seen.instrument,
        side=seen.side,
        notional=seen.notional,
        total=seen.total,
        fee=fixed(outcome.fee),
        price=seen.price,
        index=seen.index,
        position_id=position_name(command.token, outcome.row),
        client_id=command.client_id or None,
    )


def _numbers(refusal: Refusal) -> tuple[str | None, str | None, str | None]:
    """Return reason, limit and actual of a refusal; nothing where there is none."""
    code, limit, actual = (int(each) for each in refusal)
    if code == 0:
        return None, None, None
    return Reject(code).name, *deciding_numbers(Outcome(code=code, limit=limit, actual=actual))


def _halted(memory: Memory, token: str, now_ms: int, otherwise: Refusal) -> Refusal:
    """Return the refusal of the corporate action that trading waits for, where it does."""
    action = memory.halting_action(token, now_ms)
    if action is None:
        return otherwise
    return Refusal(Reject.CORPORATE_ACTION, action.ends_ms, now_ms)


def _break_even(series: Series, notional: int, total: int) -> str:
    """Return the index at which the payoff repays the total."""
    share = total / notional
    factor = 1.0 + share if series.kind == CALL else 1.0 - share
    return rounded(series.strike_e8 / ONE * factor)


def quote_open(memory: Memory, series: Series, asked: Open, *, has_account: bool) -> Quote:
    """Return what an opening would cost now; of a listed token and an underlying with an index."""
    quoted = quoting.quote(memory, asked)
    unit = market.ticker(memory, series)
    assert unit is not None
    total = units_up(quoted.quote.total * ONE)
    largest = quoting.largest(memory, asked)
    reason, limit, actual = _numbers(_halted(memory, series.token, asked.now_ms, quoted.refusal))
    if series.token in memory.paused:
        reason, limit, actual = Reject.PAUSED.name, None, None
    exposure = abs(float(unit.delta)) * float(unit.index) / (series.strike_e8 / ONE)
    is_priced = total > 0
    return Quote(
        instrument=series.name,
        side="open",
        notional=fixed(asked.notional),
        exchange_time=asked.now_ms,
        index=unit.index,
        vol=unit.vol,
        mid=rounded(quoted.quote.mid),
        impact=rounded(quoted.quote.impact),
        spread=rounded(quoted.quote.spread),
        fee=rounded(quoted.quote.fee),
        total=fixed(total),
        premium_per_day=rounded(quoted.premium_per_day),
        days_covered=rounded(quoted.days_covered, 4) if has_account else None,
        break_even=_break_even(series, asked.notional, total) if is_priced else None,
        leverage=rounded(exposure * asked.notional / total, 4) if is_priced else None,
        maximum_notional=fixed(largest),
        lock=rounded(quoted.lock),
        utilisation=rounded(quoted.utilisation),
        utilisation_after=rounded(quoted.utilisation_after),
        valid=reason is None,
        reason=reason,
        limit=limit,
        actual=actual,
    )


def quote_close(
    memory: Memory, series: Series, account: str, position_id: int, notional: int, now_ms: int
) -> Quote:
    """Return what selling notional of an own position would bring now."""
    quoted = quoting.quote_close(memory, series.token, account, position_id, notional, now_ms)
    held = memory.tokens[series.token]
    slot = market.find(memory, series)
    unit = market.ticker(memory, series)
    assert unit is not None
    pool, row = held.state.pool[0], held.state.series[slot]
    lock = int(lock_of(quoted.notional, row.cap_ppm))
    backed = int(backing(held.rules, pool.main, pool.insurance))
    after = int(backing(held.rules, max(int(pool.main) - quoted.gross, 0), pool.insurance))
    reason, limit, actual = _numbers(_halted(memory, series.token, now_ms, quoted.refusal))
    rate_e15 = int(held.state.marks[slot].rate_e15)
    return Quote(
        instrument=series.name,
        side="close",
        notional=fixed(quoted.notional),
        exchange_time=now_ms,
        index=unit.index,
        vol=unit.vol,
        mid=rounded(quoted.quote.mid),
        impact=rounded(-quoted.quote.refund),
        spread=rounded(quoted.quote.spread),
        fee=fixed(quoted.fee),
        total=fixed(quoted.total),
        premium_per_day=fixed(premium_for(quoted.notional, rate_e15, DAY_MS)),
        days_covered=None,
        break_even=None,
        leverage=None,
        maximum_notional=None,
        lock=fixed(lock),
        utilisation=rounded(float(utilisation(pool.locked, backed))),
        utilisation_after=rounded(float(utilisation(int(pool.locked) - lock, after))),
        valid=reason is None,
        reason=reason,
        limit=limit,
        actual=actual,
    )
