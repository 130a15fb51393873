"""What a replay has shown: who won and lost, what was traded and refused.

Everything is read from the database and the state it holds, so a replay that was interrupted and
continued has the same results.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from amm.units import DAY_MS, ONE
from api.journal import read_command, read_outcome
from api.replay import Replay, state_digest
from api.tables import SAMPLES
from sims.series import PriceSeries, TokenSeries
from vaults.commands import Close, Open
from vaults.equity import equity
from vaults.moves import Flow
from vaults.rejects import Reject
from vaults.risk import SPOT_MOVES, VOL_MOVES, book_greeks, loss_table

PREMIUM_SOURCES = {
    "time_value_streamed": Flow.PREMIUM_ACCRUED,
    "rent_streamed": Flow.RENT_ACCRUED,
    "spread": Flow.SPREAD,
    "impact_paid": Flow.IMPACT_PAID,
    "impact_refunded": Flow.IMPACT_REFUNDED,
    "fees": Flow.FEE,
    "exit_fees": Flow.EXIT_FEE,
    "to_insurance": Flow.PREMIUM_INSURANCE,
    "cashed_out_at_the_cap": Flow.CASH_OUT,
    "written_off": Flow.WRITTEN_OFF,
}


class ProfitAndLoss(NamedTuple):
    """Gains of the four parties of one token, in base units; they sum to zero."""

    buyers: int
    main: int
    insurance: int
    protocol: int


class FairnessTest(NamedTuple):
    """Buyers' profit at mid, without spread, impact and fees, in tokens.

    The standard error comes from the run itself: at a fair price the hourly changes are those of
    a martingale, whose variance is the sum of their squares.
    """

    profit: float
    standard_error: float


@dataclass
class TokenResult:
    """One token at the end of a run; amounts in base units.

    `loss_table` is what its book would cost main LPs, in tokens, by `SPOT_MOVES` and `VOL_MOVES`;
    `greeks` are those of the book by underlying.
    """

    profit_and_loss: ProfitAndLoss
    fairness: FairnessTest
    premium: dict[str, int]
    share_price: float
    share_price_low: float
    utilisation_high: float
    open_positions: int
    loss_table: list[list[float]]
    greeks: dict[str, dict[str, float]]
    opened: int = 0
    closed: int = 0
    notional: int = 0
    refused: dict[str, int] = field(default_factory=dict)


@dataclass
class Result:
    """A whole run."""

    source: str
    days: int
    seed: int
    tokens: dict[str, TokenResult]
    commands: int
    checks: int
    state: str

    @property
    def trades(self) -> int:
        """Openings and closings that were carried out."""
        return sum(each.opened + each.closed for each in self.tokens.values())

    @property
    def is_zero_sum(self) -> bool:
        """Whether every gain of a token is somebody's loss, to the unit."""
        return all(sum(each.profit_and_loss) == 0 for each in self.tokens.values())

    @property
    def refusals(self) -> dict[str, int]:
        """Refusals of all tokens by code."""
        counts: Counter[str] = Counter()
        for each in self.tokens.values():
            counts.update(each.refused)
        return dict(counts.most_common())

    @property
    def fairness(self) -> FairnessTest:
        """All tokens together; they share the path, so errors add in the worst way."""
        tests = [each.fairness for each in self.tokens.values()]
        return FairnessTest(
            sum(each.profit for each in tests), sum(each.standard_error for each in tests)
        )


def profit_and_loss(replay: Replay, token: str) -> ProfitAndLoss:
    """Return every party's balance at the final mark, less what it brought in."""
    held = replay.exchange.memory.tokens[token]
    flow = replay.plan.flow
    pool, claims = held.state.pool[0], equity(held.state)
    seed = int(held.rules.parameters[0].seed)
    main = replay.balances(token, "provider") + int(pool.escrow_main) + int(claims.main)
    insurance = replay.balances(token, "insurer") + int(pool.escrow_insurance)
    return ProfitAndLoss(
        buyers=replay.balances(token, "buyer") + int(claims.options) - flow.buyers_bring,
        main=main - seed - flow.providers_bring,
        insurance=insurance + int(claims.insurance) - seed - flow.insurers_bring,
        protocol=int(claims.protocol),
    )


def read_samples(replay: Replay, token: str) -> Any:
    """Return the hourly readings of a token, a record array in order of time."""
    rows = replay.exchange.store.samples(token)
    names = [column.name for column in SAMPLES.columns][1:]
    words = np.array([tuple(row)[1:] for row in rows], dtype=np.int64).reshape(-1, len(names))
    return np.rec.fromarrays(list(words.T), dtype=[(name, np.int64) for name in names])


def fairness_test(samples: Any) -> FairnessTest:
    """Return buyers' profit at mid and its standard error from hourly readings."""
    at_mid = (samples.buyers - samples.credited + samples.costs) / ONE
    changes = np.diff(at_mid, prepend=0.0)
    return FairnessTest(float(at_mid[-1]), float(np.sqrt((changes**2).sum())))


def token_series(replay: Replay, token: str) -> TokenSeries:
    """Return share price and utilisation over time."""
    return _series_of(token, read_samples(replay, token))


def _series_of(token: str, samples: Any) -> TokenSeries:
    price = (samples.nav + 1) / (samples.main_shares + 1)
    used = samples.locked / np.maximum(samples.backing, 1)
    times = samples.now_ms.astype("datetime64[ms]")
    return TokenSeries(token, times, price, used)


def price_series(replay: Replay) -> list[PriceSeries]:
    """Return the hourly prices of the run."""
    path = replay.path
    found = []
    for symbol, name in enumerate(path.symbols):
        prices = path.prices_e8[path.start :, symbol]
        rows = np.flatnonzero(prices)[::60]
        times = path.times_ms[path.start :][rows].astype("datetime64[ms]")
        found.append(PriceSeries(name, times, prices[rows] / ONE))
    return found


def _token_result(replay: Replay, token: str) -> TokenResult:
    memory = replay.exchange.memory
    held = memory.tokens[token]
    state = held.state
    samples = read_samples(replay, token)
    series = _series_of(token, samples)
    return TokenResult(
        profit_and_loss=profit_and_loss(replay, token),
        fairness=fairness_test(samples),
        premium={name: int(state.flows[flow]) for name, flow in PREMIUM_SOURCES.items()},
        share_price=float(series.share_price[-1]),
        share_price_low=float(series.share_price.min()),
        utilisation_high=float(series.utilisation.max()),
        open_positions=int((state.positions.notional > 0).sum()),
        loss_table=loss_table(state, held.rules, memory.market, SPOT_MOVES, VOL_MOVES).tolist(),
        greeks={
            name: book_greeks(state, held.rules, memory.market, slot)._asdict()
            for slot, name in enumerate(memory.underlyings)
        },
    )


def collect(replay: Replay) -> Result:
    """Return the results of a finished replay."""
    exchange = replay.exchange
    tokens = {token: _token_result(replay, token) for token in replay.plan.tokens}
    for record in exchange.store.orders():
        command, outcome = read_command(record), read_outcome(record.outcome)
        result = tokens[command.token]  # type: ignore[union-attr]
        if outcome.code:
            name = Reject(outcome.code).name
            result.refused[name] = result.refused.get(name, 0) + 1
        elif isinstance(command, Open | Close) and not outcome.queued:
            result.opened += isinstance(command, Open)
            result.closed += isinstance(command, Close)
            result.notional += outcome.notional
    return Result(
        source=replay.plan.source,
        days=(replay.plan.end_ms - replay.plan.start_ms) // DAY_MS,
        seed=replay.plan.seed,
        tokens=tokens,
        commands=exchange.journal_length,
        checks=replay.checks,
        state=state_digest(exchange),
    )
