"""How LPs come and go: one account for all of main, one for all of insurance."""

from typing import NamedTuple

from amm.kernel import kernel
from sims.drawdown.commands import ask, pay_in, take_out
from sims.drawdown.world import World
from vaults.moves import RequestKind, RequestStatus
from vaults.state import Floats

MAIN_LPS = 0
INSURERS = 1

_DEPOSIT_MAIN = RequestKind.DEPOSIT_MAIN.value
_REDEEM_MAIN = RequestKind.REDEEM_MAIN.value
_DEPOSIT_INSURANCE = RequestKind.DEPOSIT_INSURANCE.value
_REDEEM_INSURANCE = RequestKind.REDEEM_INSURANCE.value
_OPEN = RequestStatus.OPEN.value


class Provision(NamedTuple):
    """LP flows a day, main first: `inflow` in base units, the others parts of shares.

    `run` is for each 1 % the share price has fallen since the day before.
    """

    inflow: tuple[int, int]
    outflow: tuple[float, float]
    run: tuple[float, float]


@kernel
def _redeem(world: World, account: int, kind: int, part: float, now_ms: int) -> None:
    holder = world.state.accounts[account]
    held = int(holder.main_shares if kind == _REDEEM_MAIN else holder.insurance_shares)
    shares = int(min(part, 1.0) * held)
    if shares > 0:
        ask(world, account, kind, shares, now_ms)


@kernel
def provide_and_run(
    world: World,
    provision: Provision,
    moods: Floats,
    change_main: float,
    change_insurance: float,
    now_ms: int,
) -> None:
    """Make the requests of a day.

    Args:
        world: The token.
        provision: How LPs behave.
        moods: How large today's flows are by `RequestKind`, mean 1.
        change_main: Of main's share price since the day before, relative.
        change_insurance: Of insurance's.
        now_ms: The present.
    """
    changes = (change_main, change_insurance)
    for account in (MAIN_LPS, INSURERS):
        take_out(world, account, 0, now_ms)  # what earlier redemptions paid
        deposit = _DEPOSIT_MAIN if account == MAIN_LPS else _DEPOSIT_INSURANCE
        redeem = _REDEEM_MAIN if account == MAIN_LPS else _REDEEM_INSURANCE
        brought = int(moods[deposit] * provision.inflow[account])
        if brought > 0 and world.state.pool[0].exhausted == 0:
            pay_in(world, account, brought, now_ms)
            ask(world, account, deposit, brought, now_ms)
        fear = provision.run[account] * max(-100.0 * changes[account], 0.0)
        _redeem(world, account, redeem, provision.outflow[account] * moods[redeem] + fear, now_ms)


@kernel
def flushes_waited(world: World) -> int:
    """Return after how many flushes the oldest open redemption from main is still unfilled."""
    pool, longest = world.state.pool[0], 0
    for slot in range(pool.request_first, pool.request_count):
        asked = world.state.requests[slot]
        if asked.status == _OPEN and asked.kind == _REDEEM_MAIN:
            longest = max(longest, int(pool.flushes) - int(asked.flush))
    return longest
