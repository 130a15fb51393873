"""An example to begin with: three tokens, two traders, a provider, and the hour before now.

All of it is ordinary commands in the journal, in one batch: either the whole example is there or
nothing of it.
"""

from amm.oracle import E12
from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE
from api.access.records import KeyRecord
from api.access.ring import KeyRing
from api.exchange import Exchange
from api.feeds import Observation
from api.feeds.simulated import STARTS, SimulatedMarket, Start
from vaults.commands import (
    CALL,
    PUT,
    Command,
    Credit,
    Flush,
    ListToken,
    Open,
    Request,
    StartUnderlying,
    Tick,
)
from vaults.moves import RequestKind
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters

DEMO = "demo"
"""The setting that marks a demo database, and the label of the demo's keys."""
DEMO_TOKENS = ("TSLA.M", "NVDA.M", "CRCL.M")
TRADER, OTHER_TRADER, PROVIDER, OPERATOR = "alice", "bob", "lena", "operator"
CREDITS = {TRADER: 1_000 * ONE, OTHER_TRADER: 1_000 * ONE, PROVIDER: 30_000 * ONE}
MAIN_DEPOSIT = 20_000 * ONE
INSURANCE_DEPOSIT = 4_000 * ONE
KEY_ROLES = {
    TRADER: ("read", "trade", "provide"),
    PROVIDER: ("read", "trade", "provide"),
    OPERATOR: ("read", "operator", "risk"),
}

_PARAMETERS = Parameters()
_STEPS = {"BTC": BTC_TERMS.strike_step_e8, "ETH": ETH_TERMS.strike_step_e8}
_POSITIONS = (
    ("BTC", CALL, 1.03, 60 * ONE),
    ("BTC", PUT, 0.96, 40 * ONE),
    ("ETH", CALL, 1.00, 80 * ONE),
)
"""Underlying, kind, strike over the index, and notional of what the other trader holds."""
_MINUTES = 60
_TRADE_MINUTE = 40
"""After enough marks for a flush, so that one in the last hour is not put off."""


class DemoError(ValueError):
    """The database holds something that is not a demo."""


def is_demo(exchange: Exchange) -> bool:
    """Whether the exchange began as a demo."""
    return exchange.store.setting(DEMO) is not None


def seed_demo(
    exchange: Exchange,
    now_ms: int,
    tokens: tuple[str, ...] = DEMO_TOKENS,
    starts: tuple[Start, ...] = STARTS,
) -> None:
    """Fill an empty exchange with what has happened until a minute ago; a demo stays as it is.

    Raises:
        DemoError: It is neither.
    """
    if is_demo(exchange):
        return
    if exchange.journal_length:
        raise DemoError(f"{exchange.store.url} holds an exchange that is no demo")
    period, offset = _PARAMETERS.flush_period_ms, _PARAMETERS.flush_offset_ms
    first_tick_ms = now_ms - _MINUTES * MINUTE_MS
    flush_ms = (first_tick_ms - offset) // period * period + offset
    listed_ms = flush_ms - DAY_MS - 2 * HOUR_MS
    _begin(exchange, listed_ms, tokens, starts)
    for at_ms in (flush_ms - DAY_MS, flush_ms):
        _flush_due(exchange, at_ms)
    market = SimulatedMarket(starts, seed=0)
    for minute in range(_MINUTES):
        at_ms = first_tick_ms + minute * MINUTE_MS
        seen = market.observe(at_ms)
        _tick(exchange, seen, at_ms)
        _flush_due(exchange, at_ms)
        if minute == _TRADE_MINUTE:
            _trade(exchange, seen, tokens, at_ms)
        market.step(MINUTE_MS)
    exchange.note(DEMO, "seeded")
    exchange.commit()


def _do(exchange: Exchange, command: Command, name: str) -> None:
    outcome = exchange.execute(command, f"/demo/{command.now_ms}/{name}").outcome
    assert outcome.code == 0, (command, outcome)


def _begin(
    exchange: Exchange, now_ms: int, tokens: tuple[str, ...], starts: tuple[Start, ...]
) -> None:
    """Start the underlyings; list the tokens, with deposits that wait for the first flush."""
    for start in starts:
        variance = round(start.vol * start.vol * E12)
        begun = StartUnderlying(start.symbol, now_ms, variance, variance, variance)
        _do(exchange, begun, start.symbol)
    for token in tokens:
        _do(exchange, ListToken(token, now_ms, _PARAMETERS), f"list/{token}")
        for account, amount in CREDITS.items():
            _do(exchange, Credit(token, account, amount, now_ms), f"credit/{token}/{account}")
        for kind, amount in (
            (RequestKind.DEPOSIT_MAIN, MAIN_DEPOSIT),
            (RequestKind.DEPOSIT_INSURANCE, INSURANCE_DEPOSIT),
        ):
            asked = Request(token, PROVIDER, kind.value, amount, now_ms)
            _do(exchange, asked, f"{kind.name}/{token}")


def _flush_due(exchange: Exchange, now_ms: int) -> None:
    for name, token in exchange.memory.tokens.items():
        if now_ms >= token.state.pool[0].next_flush_ms:
            _do(exchange, Flush(name, now_ms), f"flush/{name}")


def _tick(exchange: Exchange, seen: list[Observation], now_ms: int) -> None:
    for each in seen:
        tick = Tick(
            each.symbol,
            each.price_e8,
            each.published_ms,
            now_ms,
            each.confidence_e8,
            each.vol_e9,
        )
        # The jump guard may hold one back, as it would live; nothing depends on every one.
        _do(exchange, tick, f"tick/{each.symbol}")


def _trade(
    exchange: Exchange, seen: list[Observation], tokens: tuple[str, ...], now_ms: int
) -> None:
    """Open a few positions in every token, at the money and a little out of it."""
    prices = {each.symbol: each.price_e8 for each in seen}
    for token in tokens:
        for underlying, kind, over, notional in _POSITIONS:
            step = _STEPS[underlying]
            strike = round(prices[underlying] * over / step) * step
            order = Open(token, OTHER_TRADER, underlying, kind, strike, notional, notional, now_ms)
            _do(exchange, order, f"{token}/{underlying}-{kind}")


def demo_keys(keys: KeyRing, now_ms: int) -> list[KeyRecord]:
    """Return the demo's keys in force, made where it has none: trader's, provider's, operator's."""
    live = [key for key in keys.all() if key.label == DEMO and key.is_good(now_ms)]
    found = {key.account: key for key in live}
    if not found:
        found = {
            account: keys.create(account, roles, DEMO, now_ms)
            for account, roles in KEY_ROLES.items()
        }
    return [found[account] for account in KEY_ROLES if account in found]
