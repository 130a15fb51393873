"""The commands of a path, each by the kernel that carries it out on the exchange.

Where the world writes commands down, a line has its kind and its numbers: what a single writer
needs to do the same.
"""

from enum import IntEnum

from amm.kernel import kernel
from amm.oracle import Observation, OracleState, OracleVerdict, observe
from sims.drawdown.world import World
from vaults.account import credit, debit, spendable, withdraw
from vaults.closing import close_position
from vaults.flush import Flushed, flush, list_token
from vaults.market import Market, publish
from vaults.opening import open_position
from vaults.provide import Requested, request
from vaults.rejects import Refusal
from vaults.state import NONE
from vaults.tick import run_due, tick
from vaults.trade import Fill

_USED = OracleVerdict.USED.value
SOURCES = 2
"""Every price is believed as if two sources gave it."""
LIMIT = 2**52
"""No order is refused for its price."""


class Kind(IntEnum):
    """Kinds of commands; the comment names the numbers."""

    LIST = 0  # time
    TICK = 1  # underlying, price in 1e-8 USD, vol level in 1e-9, time
    CREDIT = 2  # account (NONE: a new one), amount, time
    WITHDRAW = 3  # account, amount, time; what is taken out has left at once
    OPEN = 4  # account, underlying, 1 for a call, strike, notional, self funding, time
    CLOSE = 5  # account, position id, notional, time
    REQUEST = 6  # account, kind, amount, time
    FLUSH = 7  # time
    START = 8  # underlying, variances over 1, 10 and 45 days in 1e-12, time


_LIST = Kind.LIST.value
_TICK = Kind.TICK.value
_CREDIT = Kind.CREDIT.value
_WITHDRAW = Kind.WITHDRAW.value
_OPEN = Kind.OPEN.value
_CLOSE = Kind.CLOSE.value
_REQUEST = Kind.REQUEST.value
_FLUSH = Kind.FLUSH.value
_START = Kind.START.value


@kernel
def _begin(world: World, kind: int, a: int, b: int, c: int, d: int, e: int, f: int, g: int) -> None:
    """Begin a command: the log of moves is its own."""
    world.state.log_count[0] = 0
    count = world.command_count[0]
    if count < world.commands.shape[0]:
        row = world.commands[count]
        row[0] = kind
        row[1] = a
        row[2] = b
        row[3] = c
        row[4] = d
        row[5] = e
        row[6] = f
        row[7] = g
        world.command_count[0] = count + 1


@kernel
def oracle_of(market: Market, underlying: int) -> OracleState:
    """Return the oracle of an underlying as a value."""
    oracle = market.oracle[underlying]
    return OracleState(
        int(oracle.index_e8),
        int(oracle.confidence_e8),
        int(oracle.index_ms),
        int(oracle.pending_count),
        int(oracle.pending_side),
        int(oracle.pending_ms),
        int(oracle.bar_index_e8),
        int(oracle.bar_ms),
        int(oracle.variance_1d_e12),
        int(oracle.variance_10d_e12),
        int(oracle.variance_45d_e12),
        int(oracle.variance_5m_e12),
        int(oracle.target_vol_e9),
        int(oracle.mark_vol_e9),
        int(oracle.vol_ms),
    )


@kernel
def _put_oracle(market: Market, underlying: int, state: OracleState) -> None:
    oracle = market.oracle[underlying]
    oracle.index_e8 = state.index_e8
    oracle.confidence_e8 = state.confidence_e8
    oracle.index_ms = state.index_ms
    oracle.pending_count = state.pending_count
    oracle.pending_side = state.pending_side
    oracle.pending_ms = state.pending_ms
    oracle.bar_index_e8 = state.bar_index_e8
    oracle.bar_ms = state.bar_ms
    oracle.variance_1d_e12 = state.variance_1d_e12
    oracle.variance_10d_e12 = state.variance_10d_e12
    oracle.variance_45d_e12 = state.variance_45d_e12
    oracle.variance_5m_e12 = state.variance_5m_e12
    oracle.target_vol_e9 = state.target_vol_e9
    oracle.mark_vol_e9 = state.mark_vol_e9
    oracle.vol_ms = state.vol_ms


@kernel
def list_it(world: World, now_ms: int) -> None:
    """List the token: both pools get their seeds."""
    _begin(world, _LIST, now_ms, 0, 0, 0, 0, 0, 0)
    list_token(world.state, world.rules, now_ms)


@kernel
def start_vol(world: World, underlying: int, variance_e12: int, now_ms: int) -> None:
    """Let the vol estimator of an underlying begin with a variance."""
    _begin(world, _START, underlying, variance_e12, variance_e12, variance_e12, now_ms, 0, 0)
    oracle = world.market.oracle[underlying]
    oracle.variance_1d_e12 = variance_e12
    oracle.variance_10d_e12 = variance_e12
    oracle.variance_45d_e12 = variance_e12


@kernel
def tick_index(world: World, underlying: int, price_e8: int, vol_e9: int, now_ms: int) -> None:
    """Let the exchange see an index and a vol level, and run every position that is due."""
    _begin(world, _TICK, underlying, price_e8, vol_e9, now_ms, 0, 0, 0)
    state, rules, market = world.state, world.rules, world.market
    verdict, oracle = observe(
        oracle_of(market, underlying),
        Observation(price_e8, 0, now_ms),
        SOURCES,
        now_ms,
        vol_e9,
        world.oracle_rules,
    )
    assert verdict == _USED
    _put_oracle(market, underlying, oracle)
    publish(market, underlying)
    tick(state, rules, market, underlying, now_ms)
    state.log_count[0] = 0
    while run_due(state, rules, market, underlying, now_ms) > 0:
        state.log_count[0] = 0


@kernel
def pay_in(world: World, account: int, amount: int, now_ms: int) -> Refusal:
    """Credit an account; NONE opens the next one."""
    _begin(world, _CREDIT, account, amount, now_ms, 0, 0, 0, 0)
    account_id = int(world.state.pool[0].account_count)
    return credit(world.state, world.rules, account, account_id, amount, now_ms)


@kernel
def take_out(world: World, account: int, keep: int, now_ms: int) -> int:
    """Let an account take out what it can spend beyond `keep`; returns how much that was."""
    amount = spendable(world.state, world.rules, account, now_ms) - keep
    if amount <= 0:
        return 0
    _begin(world, _WITHDRAW, account, amount, now_ms, 0, 0, 0, 0)
    withdraw(world.state, world.rules, account, amount, now_ms)
    world.state.log_count[0] = 0
    debit(world.state, amount, now_ms)
    return amount


@kernel
def buy(
    world: World,
    account: int,
    underlying: int,
    is_call: bool,
    strike_e8: int,
    notional: int,
    self_funding: int,
    now_ms: int,
) -> Fill:
    """Open a position at the present index."""
    _begin(
        world, _OPEN, account, underlying, int(is_call), strike_e8, notional, self_funding, now_ms
    )
    return open_position(
        world.state,
        world.rules,
        world.market,
        account,
        underlying,
        is_call,
        strike_e8,
        notional,
        LIMIT,
        self_funding,
        0,
        now_ms,
    )


@kernel
def sell_all(world: World, account: int, now_ms: int) -> Fill:
    """Close the first position of an account, which has one, at the present index."""
    position = world.state.positions[world.state.accounts[account].first_position]
    position_id, notional = int(position.position_id), int(position.notional)
    _begin(world, _CLOSE, account, position_id, notional, now_ms, 0, 0, 0)
    return close_position(
        world.state, world.rules, world.market, account, position_id, notional, 0, 0, now_ms
    )


@kernel
def ask(world: World, account: int, kind: int, amount: int, now_ms: int) -> Requested:
    """Request a deposit or a redemption."""
    _begin(world, _REQUEST, account, kind, amount, now_ms, 0, 0, 0)
    return request(world.state, world.rules, account, kind, amount, 0, now_ms)


@kernel
def flush_it(world: World, now_ms: int) -> Flushed:
    """Flush both pools."""
    _begin(world, _FLUSH, now_ms, 0, 0, 0, 0, 0, 0)
    return flush(world.state, world.rules, world.market, now_ms)


@kernel
def has_position(world: World, account: int) -> bool:
    """Whether an account holds anything."""
    return bool(world.state.accounts[account].first_position != NONE)
