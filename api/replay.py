"""Prices through the exchange's own rules, with a seeded flow of buyers and providers.

One step is one minute: observations, flushes that are due, then what the accounts do. Every
command goes through the single writer and every invariant is checked after it. Commits fall
between steps, so a replay that was killed goes on from the last one and ends in the same state.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from amm.oracle import OracleRules
from amm.ssvi import FLAT
from amm.units import DAY_MS, HOUR_MS, MINUTE_MS, ONE
from api.dispatch import Executed
from api.exchange import Exchange, fill_key
from api.storage.writes import Writes, upsert
from api.tables import SAMPLES, SETTINGS
from sims import flows
from sims.flows import FlowRules, View
from sims.markets.path import PricePath
from sims.markets.vols import VolHistory, level_at, no_vols, surface_at
from sims.markets.warmup import warmed_oracle
from vaults.capacity import backing
from vaults.commands import (
    Command,
    Flush,
    ListToken,
    Open,
    Outcome,
    PublishSurface,
    Restart,
    StartUnderlying,
    Tick,
)
from vaults.equity import equity
from vaults.invariants import (
    Invariant,
    SharePrice,
    first_violation_after,
    share_price_holds,
)
from vaults.market import shape_row
from vaults.moves import Flow
from vaults.nav import net_asset_value
from vaults.params import Parameters
from vaults.rejects import Reject
from vaults.state import STORED, State, words_in_use

PLAN = "replay"
CHECKS = "replay checks"
FLAT_MS = DAY_MS // 2
"""How often a flat surface is published."""
FAREWELL_MINUTES = 5
"""How long before a break in the prices everybody starts to sell."""


class InvariantError(Exception):
    """A command broke an invariant: a bug of the exchange, never of what it was given."""


class PlanError(ValueError):
    """The plan cannot be run here: another one holds the database, or its set-up is refused."""


class Plan(NamedTuple):
    """What is replayed; the same plan on the same database goes on where it stopped.

    `source` says where the prices come from; `vol` fixes the vol level, 0 leaves it to the history
    or, where that has none, to the estimator. A `smile` is that of the history, else the default.
    Without `rent` the parameters' rent is none.
    """

    source: str
    start_ms: int
    end_ms: int
    tokens: tuple[str, ...]
    seed: int
    vol: float = 0.0
    rent: bool = True
    smile: bool = True
    flow: FlowRules = FlowRules()
    parameters: Parameters = Parameters()


class Replay:
    """One run of a plan on a database."""

    def __init__(
        self, exchange: Exchange, plan: Plan, path: PricePath, vols: VolHistory | None = None
    ) -> None:
        self.exchange = exchange
        self.plan = plan
        self.path = path
        self.vols = vols or no_vols(path.symbols)
        self._claim_database()

    def _claim_database(self) -> None:
        prices = _digest_of(self.path, self.vols)
        wanted = f"{msgspec.json.encode(self.plan).decode()} on prices {prices}"
        found = self.exchange.store.setting(PLAN)
        if found is None and self.exchange.journal_length == 0:
            writes: Writes = []
            upsert(writes, SETTINGS, [{"name": PLAN, "value": wanted}])
            self.exchange.store.stage(writes)()
        elif found != wanted:
            raise PlanError(f"{self.exchange.store.url} holds another run: {found or 'no replay'}")
        self.checks = int(self.exchange.store.setting(CHECKS) or 0)

    # -- the run

    def first_row(self) -> int:
        """Return the row of the path this run begins with: after what has been committed."""
        last = self.exchange.store.last_record()
        if last is None:
            return self.path.start
        done_ms = last.now_ms // MINUTE_MS * MINUTE_MS
        return int(np.searchsorted(self.path.times_ms, done_ms, side="right"))

    def run(self, progress: Callable[[int], None] = lambda _rows: None) -> None:
        """Run to the end of the path, reporting rows done.

        Raises:
            InvariantError: A command broke an invariant.
        """
        if self.exchange.journal_length == 0:
            self._set_up()
        for row in range(self.first_row(), len(self.path.times_ms)):
            self._step(row)
            if self.exchange.is_batch_full:
                self._commit()
                progress(row)
        self._commit()
        progress(len(self.path.times_ms))

    def _commit(self) -> None:
        self.exchange.note(CHECKS, str(self.checks))
        self.exchange.commit()

    def _set_up(self) -> None:
        now_ms = int(self.path.times_ms[self.path.start]) - MINUTE_MS
        rules = OracleRules()
        for symbol, name in enumerate(self.path.symbols):
            oracle = warmed_oracle(self.path, symbol, rules)
            self._do(
                StartUnderlying(
                    name,
                    now_ms,
                    int(oracle.variance_1d_e12),
                    int(oracle.variance_10d_e12),
                    int(oracle.variance_45d_e12),
                ),
                f"start/{name}",
            )
        parameters = self.plan.parameters
        if not self.plan.rent:
            parameters = parameters._replace(rent_max=0.0)
        for token in self.plan.tokens:
            asked = flows.opening_commands(token, self.plan.flow, parameters, now_ms)
            for number, command in enumerate(asked):
                outcome = self._do(command, f"open/{token}/{number}")
                if outcome.code:
                    name = Reject(outcome.code).name
                    raise PlanError(f"{token} cannot be set up: {name} for {command}")

    def _step(self, row: int) -> None:
        now_ms = int(self.path.times_ms[row])
        for seen in self._observations(row, now_ms):
            self._do(seen, f"{now_ms}/{type(seen).__name__}/{seen.underlying}")
            if isinstance(seen, Tick):
                for close in self.exchange.waiting(seen.underlying):
                    self._do(close, fill_key(close.order))
        for number, token in enumerate(self.plan.tokens):
            state = self.exchange.memory.tokens[token].state
            if now_ms >= state.pool[0].next_flush_ms:
                self._do(Flush(token, now_ms), f"{now_ms}/Flush/{token}")
            view = self._view(token, number, row, now_ms)
            if self._break_is_near(row):
                asked = flows.farewell(view)
            else:
                asked = flows.commands(self.plan.seed, self.plan.flow, view)
            for place, command in enumerate(asked):
                self._do(command, f"{now_ms}/{token}/{place}")
            if now_ms % HOUR_MS == 0:
                self.exchange.sample(SAMPLES, self._sample(token, now_ms))

    def _observations(self, row: int, now_ms: int) -> Iterator[Tick | Restart | PublishSurface]:
        breaks = row > self.path.start and self.path.segment[row] != self.path.segment[row - 1]
        for symbol, name in enumerate(self.path.symbols):
            price = int(self.path.prices_e8[row, symbol])
            if breaks:
                yield Restart(name, now_ms)
            if price > 0:
                yield from self._surface(symbol, name, row, now_ms)
                vol = self.plan.vol or level_at(self.vols, symbol, now_ms)
                yield Tick(name, price, now_ms, now_ms, vol_e9=round(vol * 1e9))

    def _surface(self, symbol: int, name: str, row: int, now_ms: int) -> Iterator[PublishSurface]:
        """Publish a surface when it is new; a flat one before it would be too old."""
        before_ms = int(self.path.times_ms[row - 1]) if row > self.path.start else 0
        if self.plan.smile:
            surface, since_ms = surface_at(self.vols, symbol, now_ms)
        else:
            surface, since_ms = FLAT, now_ms // FLAT_MS * FLAT_MS
        if surface is not None and since_ms > before_ms:
            shape = shape_row(surface, now_ms)
            yield PublishSurface(
                name,
                shape.long_vol_e9,
                shape.reversion_e9,
                shape.skew_e9,
                shape.curvature_e9,
                now_ms,
            )

    def _break_is_near(self, row: int) -> bool:
        ahead = min(row + FAREWELL_MINUTES, len(self.path.segment) - 1)
        return bool(self.path.segment[ahead] != self.path.segment[row])

    def _view(self, token: str, number: int, row: int, now_ms: int) -> View:
        memory = self.exchange.memory
        index, day_ago = {}, {}
        before = int(np.searchsorted(self.path.times_ms, now_ms - DAY_MS))
        same_segment = self.path.segment[before] == self.path.segment[row]
        for symbol, name in enumerate(self.path.symbols):
            oracle = memory.market.oracle[symbol]
            if oracle.index_e8 > 0:
                index[name] = int(oracle.index_e8) / ONE
                past = int(self.path.prices_e8[before, symbol])
                day_ago[name] = past / ONE if past > 0 and same_segment else index[name]
        state = memory.tokens[token].state
        return View(
            token, number, state, index, day_ago, now_ms,
            lambda slot: memory.account_name(token, slot),
        )  # fmt: skip

    # -- one command

    def _do(self, command: Command, key: str) -> Outcome:
        """Execute a command and check every invariant after it."""
        tokens = self.exchange.memory.tokens
        before = {name: pool_before(token.state) for name, token in tokens.items()}
        unchanged = None
        if not isinstance(command, Tick | Restart | PublishSurface | StartUnderlying | ListToken):
            state = tokens[command.token].state
            unchanged = [words_in_use(state, part).copy() for part in STORED]
        executed = self.exchange.execute(command, key)
        for name, moves in executed.moves.items():
            token = tokens[name]
            broken = first_violation_after(
                token.state,
                token.rules,
                self.exchange.memory.market,
                moves,
                *before.get(name, (0, 0)),
            )
            self._expect(broken == 0, broken, command)
        self._check_command(command, executed, unchanged)
        return executed.outcome

    def _check_command(
        self, command: Command, executed: Executed, unchanged: list[Any] | None
    ) -> None:
        """Check what concerns a kind of command: I5's M + K, I9 for flushes, I12 for refusals."""
        outcome = executed.outcome
        if outcome.code and unchanged is not None:
            state = self.exchange.memory.tokens[command.token].state  # type: ignore[union-attr]
            now = [words_in_use(state, part) for part in STORED]
            equal = all(map(np.array_equal, unchanged, now))
            self._expect(equal, Invariant.REFUSAL, command)
        if isinstance(command, Open) and not outcome.code:
            token = self.exchange.memory.tokens[command.token]
            pool = token.state.pool[0]
            funded = pool.locked <= backing(token.rules, pool.main, pool.insurance)
            self._expect(bool(funded), Invariant.LOCKS, command)
        if isinstance(command, Flush) and outcome.done and not outcome.code:
            prices = [SharePrice(*each) for each in zip(outcome.nav, outcome.shares, strict=True)]
            # An exhausted pool pays its debt before its shares.
            is_over = bool(self.exchange.memory.tokens[command.token].state.pool[0].exhausted)
            self._expect(is_over or share_price_holds(*prices), Invariant.SHARE_PRICE, command)

    def _expect(self, holds: bool, invariant: int, command: Command) -> None:
        self.checks += 1
        if not holds:
            raise InvariantError(f"I{invariant} ({Invariant(invariant).name}) broken by {command}")

    # -- readings

    def _sample(self, token: str, now_ms: int) -> dict[str, Any]:
        """Return the hourly reading of a token."""
        memory = self.exchange.memory
        state, rules = memory.tokens[token].state, memory.tokens[token].rules
        pool = state.pool[0]
        nav = net_asset_value(state, rules, memory.market, now_ms)
        return {
            "token": token,
            "now_ms": now_ms,
            "nav": int(nav.mid),
            "main_shares": int(pool.main_shares),
            "locked": int(pool.locked),
            "backing": int(backing(rules, pool.main, pool.insurance)),
            "insurance": int(pool.insurance),
            "buyers": self.balances(token, "buyer") + int(equity(state).options),
            "costs": trading_costs(state.flows),
            "credited": self.plan.flow.buyers_bring,
        }

    def balances(self, token: str, role: str) -> int:
        """Return the free balances of all accounts of a role."""
        memory = self.exchange.memory
        state = memory.tokens[token].state
        rows = state.accounts[: state.pool[0].account_count]
        names = [memory.names[account_id] for account_id in rows.account_id.tolist()]
        held = rows.balance.tolist()
        return sum(b for name, b in zip(names, held, strict=True) if name.startswith(role))


def _digest_of(path: PricePath, vols: VolHistory) -> str:
    digest = hashlib.sha256(msgspec.json.encode(vols))
    for part in (path.times_ms, path.prices_e8, path.segment):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def pool_before(state: State) -> tuple[int, int]:
    """Return custody and premium split, which invariants compare across a command."""
    words = np.asarray(state.pool)[0]
    return int(words["custody"]), int(words["phi_ppm"])


def trading_costs(by_flow: Any) -> int:
    """Return what traders paid beyond values at the mark: spread, impact not refunded, fees."""
    return int(
        by_flow[Flow.SPREAD]
        + by_flow[Flow.IMPACT_PAID]
        - by_flow[Flow.IMPACT_REFUNDED]
        + by_flow[Flow.FEE]
    )


def state_digest(exchange: Exchange) -> str:
    """Return a hash of every integer of the state: equal for equal states, on any machine."""
    digest = hashlib.sha256()
    memory = exchange.memory
    digest.update(memory.market.oracle.tobytes())
    for name in memory.tokens:
        for part in STORED:
            digest.update(words_in_use(memory.tokens[name].state, part).tobytes())
    return digest.hexdigest()[:16]
