"""Regular readings of pools and series, for histories and pictures."""

from amm.units import E15, MINUTE_MS
from api.exchange import Exchange
from api.memory import Memory, Token
from api.tables import SAMPLES, SERIES_SAMPLES
from vaults.capacity import backing
from vaults.equity import equity
from vaults.moves import Flow
from vaults.nav import net_asset_value
from vaults.rules import mark_is_fresh

POOLS_EVERY_MS = 10 * MINUTE_MS
SERIES_EVERY_MS = MINUTE_MS


class Readings:
    """Takes a reading of every pool and every live series once its time has come."""

    def __init__(self) -> None:
        self._pools_ms = 0
        self._series_ms = 0

    def take(self, exchange: Exchange, now_ms: int) -> None:
        """Keep the readings that are due, with the running batch; none while marks are stale."""
        if now_ms < min(self._series_ms + SERIES_EVERY_MS, self._pools_ms + POOLS_EVERY_MS):
            return
        memory = exchange.memory
        slots = range(len(memory.underlyings))
        if not all(mark_is_fresh(memory.market, slot, now_ms) for slot in slots):
            return
        if now_ms - self._series_ms >= SERIES_EVERY_MS:
            self._series_ms = now_ms // SERIES_EVERY_MS * SERIES_EVERY_MS
            for name, token in memory.tokens.items():
                _sample_series(exchange, name, token)
        if now_ms - self._pools_ms >= POOLS_EVERY_MS:
            self._pools_ms = now_ms // POOLS_EVERY_MS * POOLS_EVERY_MS
            for name, token in memory.tokens.items():
                exchange.sample(SAMPLES, _pool_sample(memory, name, token, self._pools_ms))


def _sample_series(exchange: Exchange, name: str, token: Token) -> None:
    market = exchange.memory.market
    for slot in range(int(token.state.pool[0].series_count)):
        series, mark = token.state.series[slot], token.state.marks[slot]
        if series.open_notional > 0:
            oracle = market.oracle[int(series.underlying)]
            exchange.sample(
                SERIES_SAMPLES,
                {
                    "token": name,
                    "slot": slot,
                    "now_ms": int(oracle.index_ms),
                    "value_e15": round(float(mark.value) * E15),
                    "premium_rate_e15": int(mark.rate_e15),
                    "index_e8": int(oracle.index_e8),
                    "vol_e9": int(oracle.mark_vol_e9),
                    "open_notional": int(series.open_notional),
                },
            )


def _pool_sample(memory: Memory, name: str, token: Token, now_ms: int) -> dict[str, str | int]:
    state, rules = token.state, token.rules
    pool, flows = state.pool[0], state.flows
    nav = net_asset_value(state, rules, memory.market, now_ms)
    costs = flows[Flow.SPREAD] + flows[Flow.IMPACT_PAID] + flows[Flow.FEE]
    return {
        "token": name,
        "now_ms": now_ms,
        "nav": int(nav.mid),
        "main_shares": int(pool.main_shares),
        "locked": int(pool.locked),
        "backing": int(backing(rules, pool.main, pool.insurance)),
        "insurance": int(pool.insurance),
        "buyers": int(pool.balances) + int(equity(state).options),
        "costs": int(costs - flows[Flow.IMPACT_REFUNDED]),
        "credited": int(flows[Flow.CREDIT]),
    }
