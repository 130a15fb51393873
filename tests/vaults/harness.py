"""A token on the bench: drives the kernels and checks every invariant after every command."""

from collections.abc import Callable
from copy import copy
from functools import cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from amm.oracle import OracleState, initial_state
from amm.ssvi import FLAT, Ssvi
from amm.units import HOUR_MS, MINUTE_MS, ONE
from vaults.account import credit, debit, spendable, withdraw
from vaults.closing import close_position
from vaults.condition import Condition
from vaults.flush import Flushed, flush, list_token
from vaults.invariants import (
    SharePrice,
    first_violation,
    movements_are_conserved,
    premium_parts_sum,
    share_price_holds,
    states_are_equal,
)
from vaults.ledger import replay_moves
from vaults.market import Market, new_market, set_oracle
from vaults.moves import FLOWS, Flow, Move, RequestKind
from vaults.nav import Nav, net_asset_value
from vaults.opening import open_position
from vaults.params import BTC_TERMS, ETH_TERMS, Parameters, Terms
from vaults.provide import cancel, request
from vaults.rejects import Refusal, Reject
from vaults.rules import Rules, make_rules
from vaults.scratch import new_scratch
from vaults.smile import forget_surfaces
from vaults.state import NONE, State, empty_state, with_room
from vaults.tick import check, run_due, tick
from vaults.trade import Fill

BTC, ETH = 0, 1
START = 1_700_006_400_000
"""A midnight: 2023-11-15, ten hours before the first flush."""
RICH = 100_000 * ONE
"""More than a test spends; a token may hold 14 times as much."""


def clone(state: State) -> State:
    """Return a copy that shares nothing."""
    kept = {name: getattr(state, name).copy() for name in State._fields if name != "scratch"}
    return State(**kept, scratch=new_scratch())


def clone_market(market: Market) -> Market:
    """Return a copy that shares nothing but the rules."""
    return Market(**{name: getattr(market, name).copy() for name in Market._fields})


def oracle_of(price: float, vol: float, at_ms: int) -> OracleState:
    """Return a settled oracle: no jump pending, and the vol where it is heading."""
    vol_e9, variance = round(vol * 1e9), round((0.5 * vol) ** 2 * 1e12)
    return initial_state(0.5)._replace(
        index_e8=round(price * ONE),
        index_ms=at_ms,
        variance_1d_e12=variance,
        variance_5m_e12=variance,
        target_vol_e9=vol_e9,
        mark_vol_e9=vol_e9,
        vol_ms=at_ms,
    )


def replay(state: State, moves: npt.NDArray[np.int64]) -> None:
    """Apply moves; interpreted, as plain integers, for products of NumPy's would warn."""
    replay_moves(state, moves if hasattr(replay_moves, "py_func") else moves.tolist())


class Bench:
    """One token, its rules, the market and a clock.

    Args:
        parameters: The token's parameters.
        terms: Terms of the underlyings.
        checked: Whether every command is followed by all checks; off where only the result of
            many commands counts.
    """

    def __init__(
        self,
        parameters: Parameters | None = None,
        terms: tuple[Terms, ...] = (BTC_TERMS, ETH_TERMS),
        *,
        checked: bool = True,
    ) -> None:
        self.parameters = parameters or Parameters()
        self.terms = terms
        self.shapes: tuple[Ssvi, ...] = (FLAT, FLAT)
        self.rules: Rules = make_rules(self.parameters, terms)
        self.market = new_market(initial_state(0.5))
        self.state = empty_state(FLOWS)
        self.now = START
        self.checked = checked
        self.prices = [100_000.0, 4_000.0]
        self.vols = [0.5, 0.6]
        self.moves: npt.NDArray[np.int64] = np.zeros((0, 6), dtype=np.int64)
        self.settlements = 0
        self.run(list_token, self.rules, self.now)

    def copy(self) -> Self:
        """Return a bench in the same state that goes its own way."""
        other = copy(self)
        other.state, other.market = clone(self.state), clone_market(self.market)
        other.prices, other.vols = list(self.prices), list(self.vols)
        return other

    def run(self, command: Callable[..., Any], *inputs: Any) -> Any:
        """Run a command on the state and check what must hold after each."""
        before = clone(self.state) if self.checked else self.state
        self.state = with_room(self.state)
        self.state.log_count[0] = 0
        result = command(self.state, *inputs)
        self.moves = self.state.log[: int(self.state.log_count[0])].copy()
        self.settlements += int(np.count_nonzero(self.moves[:, 0] == Move.SETTLE))
        if self.checked:
            self.check_all(before, result)
        return result

    def check_all(self, before: State, result: Any) -> None:
        """Check the invariants, and those that compare the states around a command."""
        refusal = result if isinstance(result, Refusal) else getattr(result, "refusal", None)
        if refusal is not None and refusal.code != Reject.NONE:
            assert len(self.moves) == 0
            assert states_are_equal(before, self.state)  # I12
        assert first_violation(self.state, self.rules, self.market) == 0
        custody = int(before.pool[0].custody), int(self.state.pool[0].custody)
        assert movements_are_conserved(*custody, self.moves)
        assert premium_parts_sum(self.moves, int(before.pool[0].phi_ppm))
        rebuilt = with_room(clone(before))
        replay(rebuilt, self.moves)
        assert states_are_equal(rebuilt, self.state)  # I13

    def change(self, **values: Any) -> None:
        """Change parameters from now on."""
        self.parameters = self.parameters._replace(**values)
        self.rules = make_rules(self.parameters, self.terms, self.shapes)

    def reshape(self, *shapes: Ssvi) -> None:
        """Change the surface of each underlying from now on."""
        self.shapes = shapes
        self.change()
        for underlying in range(len(shapes)):
            forget_surfaces(self.state, underlying)

    # Time and prices.

    def publish(self, underlying: int, price: float, vol: float) -> None:
        """Put an index and a vol in force now, without a tick."""
        self.prices[underlying], self.vols[underlying] = price, vol
        words = tuple(oracle_of(price, vol, self.now))
        set_oracle(self.market, underlying, words)

    def tick(
        self,
        btc: float | None = None,
        eth: float | None = None,
        *,
        btc_vol: float | None = None,
        eth_vol: float | None = None,
        after_ms: int = MINUTE_MS,
    ) -> None:
        """Let time pass, then tick both underlyings; what is not given stays."""
        self.now += after_ms
        given = ((BTC, btc, btc_vol), (ETH, eth, eth_vol))
        for underlying, price, vol in given:
            self.publish(
                underlying,
                self.prices[underlying] if price is None else price,
                self.vols[underlying] if vol is None else vol,
            )
            refusal = self.run(tick, self.rules, self.market, underlying, self.now)
            assert refusal.code == Reject.NONE
            while self.run(run_due, self.rules, self.market, underlying, self.now) > 0:
                pass

    def warm(self, minutes: int = 31) -> None:
        """Tick at unchanged marks until the valuation window is full and holds nothing else."""
        for _ in range(minutes):
            self.tick()

    # Commands.

    def account(self, amount: int = RICH) -> int:
        """Open an account with a balance; returns its row."""
        row = int(self.state.pool[0].account_count)
        refusal = self.run(credit, self.rules, NONE, 1_000 + row, amount, self.now)
        assert refusal.code == Reject.NONE
        return row

    def credit(self, account: int, amount: int) -> Refusal:
        """Book a deposit."""
        return self.run(credit, self.rules, account, 0, amount, self.now)

    def withdraw(self, account: int, amount: int) -> Refusal:
        """Ask to take balance out."""
        return self.run(withdraw, self.rules, account, amount, self.now)

    def debit(self, amount: int) -> Refusal:
        """Book a withdrawal that was paid out."""
        return self.run(debit, amount, self.now)

    def open(
        self,
        account: int,
        notional: int,
        strike: float = 100_000,
        *,
        is_call: bool = True,
        underlying: int = BTC,
        limit: int = RICH,
        self_funding: bool = False,
        fill_after: int = 0,
    ) -> Fill:
        """Buy notional of a series."""
        return self.run(
            open_position,
            self.rules,
            self.market,
            account,
            underlying,
            is_call,
            round(strike * ONE),
            notional,
            limit,
            int(self_funding),
            fill_after,
            self.now,
        )

    def close(self, account: int, position_id: int, notional: int, least: int = 0) -> Fill:
        """Sell notional of a position."""
        return self.run(
            close_position,
            self.rules,
            self.market,
            account,
            position_id,
            notional,
            least,
            0,
            self.now,
        )

    def check(self, slot: int) -> Refusal:
        """Check one position."""
        return self.run(check, self.rules, self.market, slot, self.now)

    def request(self, account: int, kind: RequestKind, amount: int, min_out: int = 0) -> Any:
        """Ask to provide or to leave."""
        return self.run(request, self.rules, account, int(kind), amount, min_out, self.now)

    def cancel(self, account: int, slot: int) -> Refusal:
        """Take a request back."""
        return self.run(cancel, self.rules, account, slot, self.now)

    def flush(self) -> Flushed:
        """Flush, and check that the price of shares holds."""
        shares = int(self.pool.main_shares)
        done = self.run(flush, self.rules, self.market, self.now)
        if done.done and done.condition != Condition.EXHAUSTED:  # I9
            before = SharePrice(int(done.nav.mid), shares)
            after = SharePrice(int(done.nav_after.mid), int(self.pool.main_shares))
            assert share_price_holds(before, after)
        return done

    def flush_when_due(self, ticks: int = 31) -> Flushed:
        """Jump to the next flush, fill its window with unchanged marks, and flush."""
        ahead = int(self.state.pool[0].next_flush_ms) - self.now - (ticks - 1) * MINUTE_MS
        assert ahead > 0
        self.tick(after_ms=ahead)
        self.warm(ticks - 1)
        return self.flush()

    # What a test looks at.

    @property
    def pool(self) -> Any:
        """The row of both pools."""
        return self.state.pool[0]

    def balance(self, account: int) -> int:
        """An account's free balance."""
        return int(self.state.accounts[account].balance)

    def position(self, position_id: int) -> Any:
        """The row of a position, None where it is gone."""
        rows = self.state.positions[: int(self.pool.position_count)]
        found = [row for row in rows if row.position_id == position_id and row.notional > 0]
        return found[0] if found else None

    def drain(self, account: int) -> None:
        """Take out all but an hour's premium."""
        amount = int(spendable(self.state, self.rules, account, self.now))
        if amount > 0:
            assert self.withdraw(account, amount).code == Reject.NONE

    def live_positions(self) -> list[Any]:
        """The rows of all positions there are."""
        rows = self.state.positions[: int(self.pool.position_count)]
        return [row for row in rows if row.notional > 0]

    def nav(self) -> Nav:
        """The three values of the main pool."""
        return net_asset_value(self.state, self.rules, self.market, self.now)

    def flow(self, flow: Flow) -> int:
        """The total of one flow."""
        return int(self.state.flows[flow])

    def fund(self, main: int = 0, insurance: int = 0) -> tuple[int, int]:
        """Fill both pools through a flush; returns the providers' accounts."""
        main_provider, insurance_provider = self.account(main + ONE), self.account(insurance + ONE)
        if main:
            asked = self.request(main_provider, RequestKind.DEPOSIT_MAIN, main)
            assert asked.refusal.code == Reject.NONE
        if insurance:
            self.request(insurance_provider, RequestKind.DEPOSIT_INSURANCE, insurance)
        assert self.flush_when_due(1).done == 1
        assert int(self.pool.main) == main + self.parameters.seed
        return main_provider, insurance_provider


@cache
def _funded(main: int, insurance: int, parameters: Parameters) -> Bench:
    bench = Bench(parameters)
    bench.tick(after_ms=HOUR_MS)
    bench.fund(main, insurance)
    bench.warm()
    return bench


def funded(
    main: int = 10_000 * ONE, insurance: int = 0, parameters: Parameters | None = None
) -> Bench:
    """Return a bench whose pools have been filled, with a full window of calm marks.

    The providers' accounts are 0 and 1, each with a token of balance.
    """
    return _funded(main, insurance, parameters or Parameters()).copy()
