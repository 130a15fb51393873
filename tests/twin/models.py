"""Where the twin's floats come from: prices and values, asked of the kernels' side.

Everything here is a model's figure per unit of notional; no amount of money is.
"""

import numpy as np

from amm.quote import quote_unit
from tests.twin.trading import Order
from tests.twin.worth import UnitPrice, Values, Window
from tests.vaults.harness import Bench, clone, replay
from vaults.moves import Move
from vaults.nav import net_asset_value
from vaults.opening import find_series, listed_contract, price_series
from vaults.rules import index_of, index_quality, mark_is_fresh, quote_rules
from vaults.smile import mark_surface, sell_surface
from vaults.state import State
from vaults.valuation import contract_of, potential_added, rate_of, value_book


class BenchModel:
    """The floats of a bench as it stands, or of a copy of its state that sales are told to."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._shadow: State | None = None

    def stream_e15(self, underlying: int, is_call: bool, strike_e8: int) -> int:
        """Return the yearly stream of one unit at the mark, rounded up to 1e-15."""
        state, rules, market = self.bench.state, self.bench.rules, self.bench.market
        slot = find_series(state, underlying, is_call, strike_e8)
        contract = listed_contract(state, rules, market, slot, underlying, is_call, strike_e8)
        index, surface = (
            index_of(market, underlying),
            mark_surface(state, rules, market, underlying),
        )
        return int(rate_of(contract, index, surface, 0).rate_e15)

    def values(self, row: int) -> Values:
        """Return the values of a series over the window; a valuation computes them."""
        bench = self.bench
        net_asset_value(bench.state, bench.rules, bench.market, bench.now)
        mark = bench.state.marks[row]
        return Values(float(mark.value_median), float(mark.value_low), float(mark.value_high))

    def stress(self, row: int) -> tuple[float, float]:
        """Return what one unit gains in the base stress."""
        bench = self.bench
        value_book(bench.state, bench.rules, bench.market)
        return float(bench.state.stress[row, 0]), float(bench.state.stress[row, 1])

    def index_e8(self, underlying: int) -> int:
        """Return the index."""
        return int(self.bench.market.oracle[underlying].index_e8)

    def is_fresh(self, underlying: int) -> bool:
        """Whether an underlying can be traded now."""
        return bool(mark_is_fresh(self.bench.market, underlying, self.bench.now))

    def window(self, underlying: int) -> Window:
        """Return how good the marks of an underlying are."""
        row = self.bench.market.windows[underlying]
        move = abs(float(self.index_e8(underlying)) / row.median_e8 - 1.0)
        return Window(int(row.marks), self.is_fresh(underlying), move)

    def priced(self, order: Order) -> Order:
        """Return an order with the figures of its price."""
        state, rules, market = self.bench.state, self.bench.rules, self.bench.market
        series = order.underlying, order.is_call, order.strike_e8
        quoted = price_series(state, rules, market, *series, self.bench.now)
        tokens = order.notional / 10**8
        change = potential_added(state, rules, order.underlying, state.losses[quoted.row], tokens)
        return Order(
            order.account,
            *series,
            order.notional,
            order.limit,
            order.self_funding,
            order.is_fresh,
            UnitPrice(quoted.unit.value, quoted.unit.spread, quoted.unit.fee),
            float(change),
            (float(state.stress[quoted.row, 0]), float(state.stress[quoted.row, 1])),
            self.stream_e15(*series),
        )

    def freeze(self) -> None:
        """Quote sales from the state as it is now, whatever the bench does next."""
        self._shadow = clone(self.bench.state)

    def _slot(self, number: int) -> int:
        assert self._shadow is not None
        rows = self._shadow.positions[: int(self._shadow.pool[0].position_count)]
        (slot,) = [
            slot for slot, row in enumerate(rows) if row.position_id == number and row.notional > 0
        ]
        return slot

    def sale(self, position: int, notional: int) -> tuple[UnitPrice, float]:
        """Return the price of a unit at the bid, and by how much a sale lowers U."""
        state, rules, market = self._shadow, self.bench.rules, self.bench.market
        assert state is not None
        row = int(state.positions[self._slot(position)].series)
        underlying = int(state.series[row].underlying)
        value_book(state, rules, market)
        unit = quote_unit(
            quote_rules(rules),
            index_quality(market, underlying, self.bench.now),
            contract_of(state, rules, market, row),
            index_of(market, underlying),
            sell_surface(state, rules, market, underlying),
            rules.parameters[0].token_vol,
        )
        tokens = -notional / 10**8
        change = potential_added(state, rules, underlying, state.losses[row], tokens)
        return UnitPrice(unit.value, unit.spread, unit.fee), -float(change)

    def sold(self, position: int, notional: int, impact: int) -> None:
        """Take a sale into account."""
        assert self._shadow is not None
        resize = [[int(Move.RESIZE), self._slot(position), -notional, -impact, 0, 0]]
        replay(self._shadow, np.array(resize, dtype=np.int64))
